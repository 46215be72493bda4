//! What others do to the children.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    time::{Duration, Instant},
};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Service, ServiceAccount},
        policy::v1::PodDisruptionBudget,
    },
};
use kube::{
    Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use prism_api::condition::{self, reason};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::Story;

/// Repairs take well under a second; the machine that runs all stories at once may take longer.
const PROMPTLY: Duration = Duration::from_secs(5);

async fn settled(name: &str, kind: &str) -> Story {
    let story = Story::begin(name).await;
    let spec = json!({
        "pattern": "consumer", "kind": kind, "backend": "memstore", "config": {"batch": 100},
        "autoscaling": {"minReplicas": 1, "maxReplicas": 5},
    });
    story.apply("web", spec).await;
    story.ready("web").await;
    story
}

/// Edits, relabels and deletes one child; each time it is as before, promptly.
async fn is_repaired<K>(story: &Story, name: &str, edit: Value, field: &str)
where
    K: Resource<Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + serde::Serialize
        + Send
        + 'static,
    K::DynamicType: Default,
{
    let api = story.api::<K>();
    let original = api.get(name).await.unwrap();
    let wanted = |object: &K| json!(object).pointer(field).cloned();
    let expected = (wanted(&original), original.labels().clone(), original.owner_references().to_vec());
    let as_before = |object: &K| {
        let actual = (wanted(object), object.labels().clone(), object.owner_references().to_vec());
        if actual == expected { Ok(()) } else { Err(format!("it is {actual:?} instead of {expected:?}")) }
    };
    let all_labels_gone: BTreeMap<_, _> = expected.1.keys().map(|key| (key, Value::Null)).collect();
    let hands = [
        ("edited", edit),
        (
            "relabelled",
            json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "somebody-else", "app": "other"}}}),
        ),
        ("stripped of its labels", json!({"metadata": {"labels": all_labels_gone}})),
        ("disowned", json!({"metadata": {"ownerReferences": null}})),
    ];
    for (what, patch) in hands {
        let params = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
        let touched = api.patch(name, &params, &Patch::Merge(&patch)).await.unwrap();
        assert!(as_before(&touched).is_err(), "{what}: the story changes something");
        let since = Instant::now();
        story
            .object(
                name,
                &format!("{} {name} is repaired after it was {what}", K::kind(&K::DynamicType::default())),
                &as_before,
            )
            .await;
        assert!(since.elapsed() < PROMPTLY, "{what}: took {:?}", since.elapsed());
    }
    let since = Instant::now();
    api.delete(name, &DeleteParams::background()).await.unwrap();
    story
        .object(name, &format!("{} {name} is back", K::kind(&K::DynamicType::default())), |object: &K| {
            if object.uid() == original.uid() {
                return Err("it is being deleted".to_owned());
            }
            as_before(object)
        })
        .await;
    assert!(since.elapsed() < PROMPTLY, "deleted: took {:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_child_of_a_deployment_is_repaired_promptly() {
    let story = settled("drift-deployment", "Deployment").await;
    let template = json!({"spec": {"template": {"spec": {"serviceAccountName": "other"}}}});
    is_repaired::<Deployment>(&story, "web", template, "/spec/template/spec/serviceAccountName").await;
    is_repaired::<ConfigMap>(&story, "web-config", json!({"data": {"config.yaml": "batch: 1"}}), "/data")
        .await;
    is_repaired::<ServiceAccount>(
        &story,
        "web",
        json!({"automountServiceAccountToken": true}),
        "/automountServiceAccountToken",
    )
    .await;
    let ports = json!({"spec": {"ports": [{"name": "grpc", "port": 9999, "targetPort": 9999}]}});
    is_repaired::<Service>(&story, "web", ports, "/spec/ports").await;
    is_repaired::<PodDisruptionBudget>(
        &story,
        "web",
        json!({"spec": {"maxUnavailable": 5}}),
        "/spec/maxUnavailable",
    )
    .await;
    is_repaired::<HorizontalPodAutoscaler>(&story, "web", json!({"spec": {"maxReplicas": 99}}), "/spec")
        .await;
    story.ready("web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_child_of_a_stateful_set_is_repaired_promptly() {
    let story = settled("drift-stateful-set", "StatefulSet").await;
    let template = json!({"spec": {"template": {"spec": {"serviceAccountName": "other"}}}});
    is_repaired::<StatefulSet>(&story, "web", template, "/spec/template/spec/serviceAccountName").await;
    let publish = json!({"spec": {"publishNotReadyAddresses": false}});
    is_repaired::<Service>(&story, "web-headless", publish, "/spec/publishNotReadyAddresses").await;
    story.ready("web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_add_stays() {
    let story = settled("addition", "Deployment").await;
    let api = story.api::<Service>();
    let patch = json!({"metadata": {"annotations": {"example.com/owner": "network-team"}}});
    api.patch("web", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    story.apply("web", json!({"pattern": "consumer", "kind": "Deployment", "service": {"port": 9000}})).await;
    let service: Service = story
        .object("web", "the Service has its new port", |service: &Service| {
            let port = service.spec.as_ref().and_then(|spec| spec.ports.as_ref()).map(|ports| ports[0].port);
            if port == Some(9000) { Ok(()) } else { Err(format!("its port is {port:?}")) }
        })
        .await;
    assert_eq!(service.annotations().get("example.com/owner").map(String::as_str), Some("network-team"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_object_of_the_same_name_is_never_touched() {
    let story = Story::begin("conflict").await;
    let foreign: Service = serde_json::from_value(json!({
        "metadata": {"name": "web", "labels": {"team": "payments"}},
        "spec": {"ports": [{"port": 443}], "selector": {"app": "payments"}},
    }))
    .unwrap();
    let foreign = story.create(&foreign).await;
    story.apply("web", json!({"pattern": "producer", "backend": "memstore"})).await;
    let pattern = story.condition("web", condition::STALLED, "True", reason::NAME_CONFLICT).await;
    let message = &prism_plan::conditions::find(crate::support::conditions(&pattern), condition::STALLED)
        .unwrap()
        .message;
    assert!(message.contains("Service web") && message.contains("rename"), "{message}");
    let untouched = story.api::<Service>().get("web").await.unwrap();
    assert_eq!(untouched.resource_version(), foreign.resource_version());

    // The pods run all the same, and the Service is made as soon as the name is free.
    story.object("web", "the Deployment exists", |_: &Deployment| Ok(())).await;
    story.api::<Service>().delete("web", &DeleteParams::default()).await.unwrap();
    story.annotate("web", prism_api::labels::RECONCILE_REQUESTED_AT, Some("now")).await;
    story.ready("web").await;
}
