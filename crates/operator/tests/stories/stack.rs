//! One object is a whole Prism.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams},
};
use prism_api::{PrismBackend, PrismPattern, PrismStack, condition, condition::reason};
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
            {"name": "events", "type": "pubsub", "backend": "bus"},
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
