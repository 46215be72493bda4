//! Hands that change children while nobody looks: what is theirs gives way where it is in the way of ours.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::Service,
    policy::v1::PodDisruptionBudget,
};
use kube::api::PostParams;
use prism_api::{PrismBackend, PrismCluster, PrismPattern, PrismStack, labels};
use prism_testbed::eventually;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Story};

const HAND: &str = "kubectl-edit";

/// Changes an object as `kubectl edit` does.
async fn by_hand<K>(story: &Story, name: &str, edit: impl Fn(&mut Value))
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + serde::Serialize,
{
    let params = PostParams { field_manager: Some(HAND.to_owned()), ..PostParams::default() };
    // Controllers write the status meanwhile.
    eventually(&format!("{name} is edited"), PATIENCE, async || {
        let mut object = json!(story.api::<K>().get(name).await.map_err(|error| error.to_string())?);
        edit(&mut object["spec"]);
        let object: K = serde_json::from_value(object).unwrap();
        story.api::<K>().replace(name, &params, &object).await.map(drop).map_err(|error| error.to_string())
    })
    .await
    .unwrap();
}

/// What hands do to the children of the pattern `name`: in each list that has keys, and in each block of which
/// there can be one kind only.
async fn meddle(story: &Story, name: &str) {
    by_hand::<Service>(story, name, |spec| spec["ports"][0]["port"] = json!(8081)).await;
    by_hand::<PodDisruptionBudget>(story, name, |spec| {
        *spec = json!({"minAvailable": 1, "selector": spec["selector"]})
    })
    .await;
    by_hand::<Deployment>(story, name, |spec| {
        let pod = &mut spec["template"]["spec"];
        pod["volumes"] = json!([{"name": "config", "emptyDir": {}}, {"name": "theirs", "emptyDir": {}}]);
        let container = &mut pod["containers"][0];
        container["ports"][0]["containerPort"] = json!(8081);
        container["readinessProbe"] = json!({"exec": {"command": ["true"]}});
        container["env"] = json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]);
    })
    .await;
}

fn spec(image: &str) -> Value {
    json!({
        "pattern": "keyvalue", "kind": "Deployment", "backend": "memstore", "replicas": 2, "image": image, "config": {"batch": 1},
        "env": [{"name": "A", "value": "one"}], "service": {"annotations": {"example.com/team": image}},
        "disruptionBudget": {"maxUnavailable": 1},
    })
}

async fn converges(story: &Story, name: &str, image: &str) {
    story.ready(name).await;
    let service: Service = story.api().get(name).await.unwrap();
    let ports = service.spec.unwrap().ports.unwrap();
    assert_eq!((ports.len(), ports[0].port), (1, 8080), "{name}: the port is the operator's");
    let budget: PodDisruptionBudget = story.api().get(name).await.unwrap();
    let budget = budget.spec.unwrap();
    assert_eq!(json!([budget.max_unavailable, budget.min_available]), json!([1, null]), "{name}");
    let deployment: Deployment = story.api().get(name).await.unwrap();
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    let container = &pod.containers[0];
    assert_eq!(container.image.as_deref(), Some(image));
    assert_eq!(container.ports.as_ref().unwrap()[0].container_port, 8080);
    let own = container.env.as_ref().unwrap().iter().find(|variable| variable.name == "A").unwrap();
    assert_eq!(json!([own.value, own.value_from]), json!(["one", null]));
    assert!(container.readiness_probe.as_ref().unwrap().exec.is_none());
    assert!(pod.volumes.unwrap().iter().any(|volume| volume.name == "config" && volume.config_map.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_hand_converges_together_with_an_edit_while_paused_or_while_nobody_looks() {
    let mut story = Story::begin("hands").await;
    for name in ["paused", "alone"] {
        story.put::<PrismPattern>(name, spec("registry.example.com/kv:1")).await;
    }
    story.put::<PrismBackend>("store", json!({"type": "redis", "provision": {}})).await;
    story.ready("paused").await;
    story.ready("alone").await;
    story.annotate("paused", labels::PAUSED, Some("true")).await;
    story
        .condition("paused", prism_api::condition::RECONCILING, "False", prism_api::condition::reason::PAUSED)
        .await;
    meddle(&story, "paused").await;
    story.put::<PrismPattern>("paused", spec("registry.example.com/kv:2")).await;
    story.annotate("paused", labels::PAUSED, None).await;
    converges(&story, "paused", "registry.example.com/kv:2").await;

    story.stop_operator().await;
    meddle(&story, "alone").await;
    by_hand::<StatefulSet>(&story, "store", |spec| {
        spec["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = json!(6380);
    })
    .await;
    story.put::<PrismPattern>("alone", spec("registry.example.com/kv:3")).await;
    story
        .put::<PrismBackend>("store", json!({"type": "redis", "provision": {"version": "7.2-alpine"}}))
        .await;
    story.start_operator().await;
    converges(&story, "alone", "registry.example.com/kv:3").await;
    story
        .object("store", "the server has its port and its version", |set: &StatefulSet| {
            let container = &set.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers[0];
            let ports: Vec<_> = container.ports.iter().flatten().map(|port| port.container_port).collect();
            let is_new = container.image.as_ref().is_some_and(|image| image.ends_with("7.2-alpine"));
            if is_new && ports == [6379] { Ok(()) } else { Err(format!("{ports:?}, {:?}", container.image)) }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_service_follows_its_pattern_to_another_port() {
    let story = Story::begin("moved").await;
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": "moved", "labels": {"app": "prism"}, "annotations": {labels::ADOPT: "true"}},
        "spec": {"selector": {"app": "old"}, "ports": [{"name": "grpc", "port": 8080, "targetPort": "grpc", "protocol": "TCP"}]},
    }))
    .unwrap();
    story.create(&service).await;
    let spec = json!({"pattern": "keyvalue", "backend": "memstore"});
    story.put::<PrismPattern>("moved", spec).await;
    story.ready("moved").await;
    let spec = json!({"pattern": "keyvalue", "backend": "memstore", "service": {"port": 9000}});
    story.put::<PrismPattern>("moved", spec).await;
    story.ready("moved").await;
    let service: Service = story.api().get("moved").await.unwrap();
    let ports = service.spec.unwrap().ports.unwrap();
    assert_eq!((ports.len(), ports[0].port), (1, 9000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_added_to_an_object_that_a_stack_or_a_cluster_owns_is_set_back() {
    let mut story = Story::begin("added").await;
    let patterns = json!([{"name": "sessions", "type": "keyvalue", "backend": "memstore"}]);
    let backends =
        json!([{"name": "cache", "type": "redis", "connection": {"url": "redis://cache.data.svc:6379"}}]);
    story.put::<PrismStack>("shop", json!({"patterns": patterns, "backends": backends})).await;
    let patterns = json!([{"name": "keyvalue", "type": "Deployment", "backends": ["memstore"]}]);
    story.put::<PrismCluster>("play", json!({"proxy": {"replicas": 1}, "patterns": patterns})).await;
    story.stack_ready("shop").await;
    story.stack_ready("play").await;

    let before = [pattern(&story).await, backend(&story).await, stack(&story).await];
    add(&story).await;
    is_as_before(&story, &before).await;
    story.stop_operator().await;
    add(&story).await;
    story.start_operator().await;
    is_as_before(&story, &before).await;
    let labelled: PrismPattern = story.api().get("shop-sessions").await.unwrap();
    assert_eq!(labelled.metadata.labels.unwrap()["example.com/team"], "web", "labels of others stay");
    story.stack_ready("shop").await;
    story.stack_ready("play").await;
}

async fn add(story: &Story) {
    story
        .merge::<PrismPattern>(
            "shop-sessions",
            json!({
                "metadata": {"labels": {"example.com/team": "web"}},
                "spec": {"image": "registry.example.com/other:1", "service": {"port": 9999}, "env": [{"name": "X", "value": "y"}]},
            }),
        )
        .await;
    story.merge::<PrismBackend>("shop-cache", json!({"spec": {"connection": {"database": "other"}}})).await;
    // What somebody applies under the name of the stack that a cluster has made.
    let parts = json!([{"name": "kv", "type": "keyvalue", "backend": "memstore"}]);
    story.put::<PrismStack>("play", json!({"patterns": parts, "webConsole": {"enabled": false}})).await;
}

async fn is_as_before(story: &Story, before: &[Value; 3]) {
    eventually("every spec is its owner's", PATIENCE, async || {
        let now = [pattern(story).await, backend(story).await, stack(story).await];
        if now == *before { Ok(()) } else { Err(json!(now).to_string()) }
    })
    .await
    .unwrap();
}

async fn pattern(story: &Story) -> Value {
    json!(story.api::<PrismPattern>().get("shop-sessions").await.unwrap().spec)
}

async fn backend(story: &Story) -> Value {
    json!(story.api::<PrismBackend>().get("shop-cache").await.unwrap().spec)
}

async fn stack(story: &Story) -> Value {
    json!(story.api::<PrismStack>().get("play").await.unwrap().spec)
}
