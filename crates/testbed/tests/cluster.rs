//! What a test finds in its cluster: volumes, nodes, identities, an audit log.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod support;

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use prism_testbed::nodes::{self, FakeNode};
use prism_testbed::{AUDITED_GROUP, eventually, until};
use serde_json::{Value, json};
use support::testbed;

const SECONDS_20: Duration = Duration::from_secs(20);

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn config_map(name: &str) -> ConfigMap {
    object(json!({ "metadata": { "name": name }, "data": { "key": "value" } }))
}

#[tokio::test]
async fn a_claim_is_bound_grows_and_its_volume_goes_with_it() {
    let testbed = testbed().await;
    let namespace = testbed.namespace("volumes").await.unwrap();
    let claims: Api<PersistentVolumeClaim> = namespace.api();
    let claim = object(json!({
        "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    }));
    claims.create(&PostParams::default(), &claim).await.unwrap();
    let has = |size: &'static str| {
        move |claim: Option<&PersistentVolumeClaim>| {
            let claim = claim.ok_or("it does not exist")?;
            let status = claim.status.clone().unwrap_or_default();
            let capacity = status.capacity.unwrap_or_default().get("storage").map(|size| size.0.clone());
            match (status.phase.as_deref(), capacity.as_deref()) {
                (Some("Bound"), Some(now)) if now == size => {
                    Ok(claim.spec.clone().unwrap_or_default().volume_name.unwrap_or_default())
                }
                state => Err(format!("it is {state:?}")),
            }
        }
    };
    let volume = until(&claims, "data", "the claim is bound", SECONDS_20, has("1Gi")).await.unwrap();

    let pods: Api<Pod> = namespace.api();
    let pod = object(json!({
        "metadata": { "name": "reader" },
        "spec": {
            "containers": [{ "name": "main", "image": "any", "volumeMounts": [{ "name": "data", "mountPath": "/data" }] }],
            "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }],
        },
    }));
    pods.create(&PostParams::default(), &pod).await.unwrap();
    until(&pods, "reader", "a pod with the claim runs", SECONDS_20, |pod| {
        let phase = pod.and_then(|pod| pod.status.as_ref()?.phase.clone()).unwrap_or_default();
        if phase == "Running" { Ok(()) } else { Err(format!("it is {phase}")) }
    })
    .await
    .unwrap();

    let grow = json!({ "spec": { "resources": { "requests": { "storage": "3Gi" } } } });
    claims.patch("data", &PatchParams::default(), &Patch::Merge(grow)).await.unwrap();
    until(&claims, "data", "the claim grows", SECONDS_20, has("3Gi")).await.unwrap();
    let volumes: Api<PersistentVolume> = Api::all(testbed.client());
    let grown = volumes.get(&volume).await.unwrap().spec.unwrap().capacity.unwrap();
    assert_eq!(grown["storage"].0, "3Gi");

    pods.delete("reader", &DeleteParams::default()).await.unwrap();
    claims.delete("data", &DeleteParams::default()).await.unwrap();
    until(&volumes, &volume, "the volume goes with its claim", SECONDS_20, |volume| match volume {
        None => Ok(()),
        Some(volume) => Err(format!("it is {:?}", volume.status)),
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_node_can_be_added_for_certain_pods_only() {
    let testbed = testbed().await;
    let namespace = testbed.namespace("nodes").await.unwrap();
    let node = FakeNode::new(namespace.name(), "zone-a").label("prism.io/pool", namespace.name()).taint(
        "prism.io/pool",
        "special",
        "NoSchedule",
    );
    nodes::add(&testbed.client(), &[node]).await.unwrap();

    let deployment: Deployment = object(json!({
        "metadata": { "name": "web" },
        "spec": {
            "replicas": 3,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": {
                    "nodeSelector": { "prism.io/pool": namespace.name() },
                    "tolerations": [{ "key": "prism.io/pool", "operator": "Exists" }],
                    "containers": [{ "name": "main", "image": "any" }],
                },
            },
        },
    }));
    let deployments: Api<Deployment> = namespace.api();
    deployments.create(&PostParams::default(), &deployment).await.unwrap();
    until(&deployments, "web", "all replicas are ready", SECONDS_20, |deployment| {
        let ready = deployment.and_then(|one| one.status.as_ref()?.ready_replicas).unwrap_or(0);
        if ready == 3 { Ok(()) } else { Err(format!("{ready} are ready")) }
    })
    .await
    .unwrap();
    let pods: Api<Pod> = namespace.api();
    for pod in pods.list(&ListParams::default()).await.unwrap() {
        assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some(namespace.name()));
    }
}

#[tokio::test]
async fn the_audit_log_tells_who_wrote_what_since_a_mark() {
    let testbed = testbed().await;
    let namespace = testbed.namespace("audit").await.unwrap();
    let user = format!("auditee:{}", namespace.name());
    let config = testbed.cluster().config_for(&user, &["system:masters", AUDITED_GROUP]).await.unwrap();
    let client = Client::try_from(config).unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace.name());
    let audit = testbed.audit().unwrap();

    maps.create(&PostParams::default(), &config_map("before")).await.unwrap();
    let mark = audit.mark().unwrap();
    assert!(
        audit.writes_of(&user, mark).unwrap().objects.is_empty(),
        "what is answered is in the log already"
    );

    maps.get("before").await.unwrap();
    maps.create(&PostParams::default(), &config_map("after")).await.unwrap();
    let mut apply = config_map("after");
    apply.data.as_mut().unwrap().insert("more".into(), "value".into());
    let apply = serde_json::to_value(&apply).unwrap();
    let apply = Patch::Apply(
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": apply["metadata"], "data": apply["data"] }),
    );
    maps.patch("after", &PatchParams::apply("test").force(), &apply).await.unwrap();
    maps.create(&PostParams::default(), &config_map("after")).await.unwrap_err();

    let writes = audit.writes_of(&user, mark).unwrap();
    let told: Vec<_> =
        writes.objects.iter().map(|one| (one.verb.as_str(), one.name.as_str(), one.code)).collect();
    assert_eq!(told, [("create", "after", 201), ("patch", "after", 200), ("create", "after", 409)]);
    assert_eq!(writes.objects[1].request_object.as_ref().unwrap()["data"]["more"], "value");
    let all = audit.since(mark, |name| name == user).unwrap();
    assert_eq!(all.len(), 4, "reads are told, too");
}

#[tokio::test]
async fn the_audit_log_is_never_behind_the_answers() {
    let testbed = testbed().await;
    let namespace = testbed.namespace("prompt").await.unwrap();
    let user = format!("prompt:{}", namespace.name());
    let config = testbed.cluster().config_for(&user, &["system:masters"]).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(Client::try_from(config).unwrap(), namespace.name());
    let audit = testbed.audit().unwrap();
    let mark = audit.mark().unwrap();
    for expected in 1..=100 {
        maps.create(&PostParams::default(), &config_map(&format!("map-{expected}"))).await.unwrap();
        assert_eq!(audit.writes_of(&user, mark).unwrap().objects.len(), expected);
    }
}

#[tokio::test]
async fn an_identity_may_do_only_what_its_roles_say() {
    let testbed = testbed().await;
    let config = testbed.cluster().config_for("stranger", &[AUDITED_GROUP]).await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(Client::try_from(config).unwrap());
    let error = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(error.to_string().contains("\"stranger\" cannot list"), "{error}");
}

#[tokio::test]
async fn a_wait_that_ends_in_vain_says_what_was_missing() {
    let wait = Duration::from_millis(100);
    let late =
        eventually("the consumer scales up", wait, async || Err::<(), _>("it has 1 replica".to_owned()));
    assert_eq!(
        format!("{:?}", late.await.unwrap_err()),
        "the consumer scales up: not within 0.1 s; in the end: it has 1 replica"
    );
}
