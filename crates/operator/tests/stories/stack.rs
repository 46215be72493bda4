//! One object is a whole Prism.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams},
};
use prism_api::{PrismBackend, PrismCluster, PrismPattern, PrismStack, condition};
use prism_plan::conditions::{find, is_true};
use prism_testbed::{audit::Entry, eventually};
use serde_json::{Value, json};

use crate::support::{PATIENCE, Story};

/// Admin, proxy, console, patterns on provided and on known backends.
fn whole() -> Value {
    json!({
        "admin": {"replicas": 3, "storage": {"size": "1Gi"}, "leaderElection": {"enabled": true}},
        "proxy": {"replicas": 2, "autoscaling": {"minReplicas": 2, "maxReplicas": 5}},
        "webConsole": {"replicas": 2},
        "backends": [
            {"name": "cache", "type": "redis", "provision": {"storage": "1Gi"}},
            {"name": "bus", "type": "nats", "connectionString": "nats://bus.streams:4222"},
        ],
        "patterns": [
            {"name": "sessions", "type": "keyvalue", "backend": "cache", "replicas": 2},
            {"name": "events", "type": "mailbox", "backend": "bus", "storage": {"size": "1Gi"}},
        ],
    })
}

/// Resource, verb and name of each write to anything but a status or an Event.
fn touched(writes: &[Entry]) -> BTreeSet<(String, String)> {
    let is_object = |write: &&Entry| write.subresource.is_empty() && write.group != "events.k8s.io";
    writes.iter().filter(is_object).map(|write| (write.resource.clone(), write.name.clone())).collect()
}

fn pair(resource: &str, name: &str) -> (String, String) {
    (resource.to_owned(), name.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_becomes_a_whole_prism_and_then_is_quiet() {
    let story = Story::begin("whole").await;
    story.put::<PrismStack>("shop", whole()).await;
    let stack = story.stack_ready("shop").await;
    let status = stack.status.unwrap();
    let summary = status.summary.unwrap();
    assert_eq!(summary.components.as_deref(), Some("3/3"));
    assert_eq!(summary.patterns.as_deref(), Some("2/2"));
    assert_eq!(summary.backends.as_deref(), Some("1/2"), "nobody has looked at the one that is an address");
    assert_eq!(status.proxy_endpoint, Some(format!("shop-proxy.{}.svc:9090", story.namespace.name())));

    let admin: StatefulSet = story.api().get("shop-admin").await.unwrap();
    let spec = admin.spec.unwrap();
    assert_eq!(spec.service_name.as_deref(), Some("shop-admin-headless"));
    assert_eq!(spec.pod_management_policy.as_deref(), Some("Parallel"));
    let container = spec.template.spec.unwrap().containers.remove(0);
    let args = container.args.unwrap();
    assert_eq!(args[0], "--node-id=$(POD_NAME)");
    let peers = (0..3).map(|n| format!("shop-admin-{n}.shop-admin-headless:8981")).collect::<Vec<_>>();
    assert_eq!(args[1], format!("--peers={}", peers.join(",")));
    let budget: PodDisruptionBudget = story.api().get("shop-admin").await.unwrap();
    assert_eq!(json!(budget.spec.unwrap().max_unavailable), json!(1), "two of three are a quorum");
    let scaler: HorizontalPodAutoscaler = story.api().get("shop-proxy").await.unwrap();
    assert_eq!(scaler.spec.unwrap().scale_target_ref.name, "shop-proxy");

    let runner: Deployment = story.api().get("shop-sessions").await.unwrap();
    let env = runner.spec.unwrap().template.spec.unwrap().containers.remove(0).env.unwrap();
    let variable = |name: &str| json!(env.iter().find(|variable| variable.name == name).unwrap());
    let source = &variable("REDIS_URL")["valueFrom"]["secretKeyRef"];
    assert_eq!((&source["name"], &source["key"]), (&json!("shop-cache-credentials"), &json!("url")));
    assert_eq!(variable("PROXY_ENDPOINT")["value"], json!(status.proxy_endpoint));

    let secret: Secret = story.api().get("shop-cache-credentials").await.unwrap();
    let password = String::from_utf8(secret.data.unwrap().remove("password").unwrap().0).unwrap();
    let others = story.writes().into_iter().filter(|write| write.resource != "secrets");
    let told: Vec<_> = others.map(|write| json!(write.request_object).to_string()).collect();
    assert!(told.iter().all(|body| !body.contains(&password)), "it stands in its Secret and nowhere else");

    let mark = story.mark();
    story.put::<PrismStack>("shop", whole()).await;
    story
        .merge::<PrismStack>("shop", json!({"metadata": {"annotations": {"example.com/note": "look"}}}))
        .await;
    let looks =
        || story.operator().metric("prism_operator_reconcile_success_total{controller=\"prismstack\"}");
    let before = looks().await;
    story
        .merge::<PrismStack>("shop", json!({"metadata": {"annotations": {"example.com/note": "again"}}}))
        .await;
    eventually("the operator looks", PATIENCE, async || {
        if looks().await > before { Ok(()) } else { Err("it has not looked".to_owned()) }
    })
    .await
    .unwrap();
    assert!(story.writes_since(mark).is_empty(), "a second apply writes nothing");
}

/// The cluster that the ADR begins with, in small.
fn cluster(kafka: bool, claimcheck: bool, most: i32) -> Value {
    let mut patterns = vec![
        json!({"name": "keyvalue", "type": "StatefulSet", "backends": ["redis"]}),
        json!({"name": "consumer", "type": "Deployment", "backends": ["nats"]}),
    ];
    if claimcheck {
        patterns.push(json!({"name": "claimcheck", "type": "Deployment", "replicas": 2, "backends": ["minio", "redis"]}));
    }
    json!({
        "admin": {"replicas": 1, "storage": {"type": "sqlite", "size": "1Gi"}},
        "proxy": {"replicas": 2, "autoscaling": {"minReplicas": 2, "maxReplicas": most, "targetCPU": 70}},
        "patterns": patterns,
        "backends": {
            "redis": {"storage": "1Gi", "version": "7-alpine"}, "nats": {"version": "latest"},
            "minio": {"storage": "5Gi"}, "kafka": {"enabled": kafka, "replicas": 3, "version": "latest"},
        },
    })
}

async fn cluster_ready(story: &Story) -> PrismCluster {
    story
        .object("local", "is Ready, and so is what it has made", |cluster: &PrismCluster| {
            let status = cluster.status.clone().unwrap_or_default();
            let is_ready = status.observed_generation == cluster.metadata.generation
                && is_true(&status.conditions, condition::READY)
                && find(&status.conditions, condition::RECONCILING).is_none();
            if is_ready { Ok(()) } else { Err(json!(status).to_string()) }
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_changes_at_run_time_and_only_what_is_affected_is_touched() {
    let story = Story::begin("run-time").await;
    story.put::<PrismCluster>("local", cluster(false, false, 10)).await;
    let status = cluster_ready(&story).await.status.unwrap();
    assert_eq!(status.admin_status.as_ref().map(|part| part.name.as_str()), Some("prism-admin"));
    assert_eq!(status.pattern_status[0].name, "keyvalue-runner");
    assert_eq!(status.pattern_status[0].object.as_deref(), Some("local-keyvalue"));
    assert_eq!(status.backend_status[0].name, "redis");

    // A pattern more.
    let mark = story.mark();
    story.put::<PrismCluster>("local", cluster(false, true, 10)).await;
    let after = cluster_ready(&story).await.status.unwrap();
    assert!(after.pattern_status.iter().any(|part| part.name == "claimcheck-runner" && part.ready));
    assert!(after.last_reconciled >= status.last_reconciled);
    let own = ["deployments", "serviceaccounts", "services", "poddisruptionbudgets", "prismpatterns"];
    let mut expected: BTreeSet<_> = own.map(|resource| pair(resource, "local-claimcheck")).into();
    expected.insert(pair("prismstacks", "local"));
    assert_eq!(touched(&story.writes_since(mark)), expected);
    let runner: Deployment = story.api().get("local-claimcheck").await.unwrap();
    let env = runner.spec.unwrap().template.spec.unwrap().containers.remove(0).env.unwrap();
    let names: BTreeSet<_> = env.iter().map(|variable| variable.name.as_str()).collect();
    assert!(names.is_superset(&["MINIO_URL", "REDIS_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY"].into()));

    // A higher ceiling.
    let mark = story.mark();
    story.put::<PrismCluster>("local", cluster(false, true, 20)).await;
    story
        .object("local-proxy", "has the new ceiling", |scaler: &HorizontalPodAutoscaler| {
            let most = scaler.spec.as_ref().map(|spec| spec.max_replicas);
            if most == Some(20) { Ok(()) } else { Err(format!("{most:?}")) }
        })
        .await;
    cluster_ready(&story).await;
    let expected = [pair("horizontalpodautoscalers", "local-proxy"), pair("prismstacks", "local")];
    assert_eq!(touched(&story.writes_since(mark)), expected.into());

    // A backend more.
    let mark = story.mark();
    story.put::<PrismCluster>("local", cluster(true, true, 20)).await;
    cluster_ready(&story).await;
    let of_kafka: BTreeSet<_> = touched(&story.writes_since(mark))
        .into_iter()
        .filter(|(resource, name)| !(resource == "prismstacks" && name == "local"))
        .collect();
    assert!(of_kafka.contains(&pair("statefulsets", "local-kafka")), "{of_kafka:?}");
    assert!(of_kafka.iter().all(|(_, name)| name.starts_with("local-kafka")), "{of_kafka:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_with_two_hundred_patterns_converges_and_an_edit_touches_one() {
    let story = Story::begin("many").await;
    let pattern = |n: usize, replicas: i32| json!({"name": format!("p{n}"), "type": "keyvalue", "backend": "memstore", "replicas": replicas});
    let spec = |last: i32| {
        let patterns = (0..200).map(|n| pattern(n, if n == 117 { last } else { 1 }));
        json!({"patterns": patterns.collect::<Vec<_>>()})
    };
    story.put::<PrismStack>("shop", spec(1)).await;
    let status = story.stack_ready("shop").await.status.unwrap();
    assert_eq!(status.summary.unwrap().patterns.as_deref(), Some("200/200"));
    let mark = story.mark();
    story.put::<PrismStack>("shop", spec(3)).await;
    story
        .object("shop-p117", "has three replicas", |pattern: &PrismPattern| {
            let replicas = pattern.status.as_ref().and_then(|status| status.available_replicas);
            if replicas == Some(3) { Ok(()) } else { Err(format!("{replicas:?}")) }
        })
        .await;
    story.stack_ready("shop").await;
    let names: BTreeSet<_> = touched(&story.writes_since(mark)).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["shop-p117".to_owned()].into());
}

/// Everything in the namespace that the operator has made, or had made, by kind and name.
async fn left_over(story: &Story) -> Vec<String> {
    let labels = ListParams::default().labels("app.kubernetes.io/managed-by=prism-operator");
    let mut left = Vec::new();
    macro_rules! look {
        ($($kind:ty),*) => {$(
            for object in story.api::<$kind>().list(&labels).await.unwrap() {
                left.push(format!("{} {}", <$kind as kube::Resource>::kind(&()), object.name_any()));
            }
        )*};
    }
    look!(
        PrismPattern,
        PrismBackend,
        Deployment,
        StatefulSet,
        Service,
        ConfigMap,
        Secret,
        Pod,
        ServiceAccount
    );
    look!(HorizontalPodAutoscaler, PodDisruptionBudget, PersistentVolumeClaim, Role, RoleBinding);
    left
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stack_leaves_its_data_and_nothing_else_and_with_the_policy_delete_nothing_at_all() {
    let story = Story::begin("farewell").await;
    for (policy, expected) in [("Retain", 6), ("Delete", 0)] {
        let mut spec = whole();
        spec["deletionPolicy"] = json!(policy);
        story.put::<PrismStack>("shop", spec).await;
        story.stack_ready("shop").await;
        story.api::<PrismStack>().delete("shop", &DeleteParams::default()).await.unwrap();
        story.gone::<PrismStack>("shop").await;
        let left = eventually("the rest is gone", PATIENCE, async || {
            let left = left_over(&story).await;
            let is_data =
                |name: &String| name.starts_with("PersistentVolumeClaim") || name.starts_with("Secret");
            if left.len() == expected && left.iter().all(is_data) {
                Ok(left)
            } else {
                Err(format!("{left:?}"))
            }
        })
        .await
        .unwrap();
        // Three claims of the admin, one of the cache, one of a pattern, and the password of the cache.
        assert_eq!(left.len(), expected, "{left:?}");
    }
}
