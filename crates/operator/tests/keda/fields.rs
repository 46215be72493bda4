//! What a spec says is what KEDA is told.

use k8s_openapi::api::events::v1::Event;
use kube::api::{DynamicObject, ListParams};
use prism_api::{condition, condition::reason};
use prism_testbed::brokers::Redis;
use serde_json::{Value, json};

use crate::story::{Story, settled};

fn lists(redis: &Redis) -> Value {
    let list = |name: &str, length: &str| json!({"address": redis.address(), "listName": name, "listLength": length});
    json!([
        {"type": "redis", "name": "jobs", "metadata": list("jobs", "5"), "metricType": "AverageValue"},
        {"type": "redis", "name": "urgent", "metadata": list("urgent", "1"), "useCachedMetrics": true},
    ])
}

/// The spec as the operator has written it: KEDA adds an empty list of modifiers.
fn written(mut scaled_object: DynamicObject) -> Value {
    let mut spec = scaled_object.data["spec"].take();
    spec["advanced"].as_object_mut().unwrap().remove("scalingModifiers");
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_reaches_keda_and_keda_gives_the_operator_nothing_to_repair() {
    let story = Story::begin("fields").await;
    let redis = Redis::start(None).await.unwrap();
    let behavior = json!({
        "scaleDown": {
            "stabilizationWindowSeconds": 300, "selectPolicy": "Min",
            "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}],
        },
        "scaleUp": {
            "stabilizationWindowSeconds": 0, "selectPolicy": "Max",
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
        },
    });
    let fallback = json!({"failureThreshold": 4, "replicas": 3, "behavior": "currentReplicasIfHigher"});
    let all = json!({
        "scaler": "keda", "minReplicas": 2, "maxReplicas": 7, "pollingInterval": 3, "cooldownPeriod": 40,
        "initialCooldownPeriod": 50, "behavior": behavior, "fallback": fallback,
        "restoreToOriginalReplicaCount": true, "triggers": lists(&redis),
    });
    let few = json!({"strategy": "keda", "maxReplicas": 4, "triggers": [lists(&redis)[0]]});
    let spec = |kind: &str, autoscaling: &Value| json!({"pattern": "consumer", "kind": kind, "backend": "memstore", "autoscaling": autoscaling});
    story.apply("every", spec("StatefulSet", &all)).await;
    story.apply("few", spec("Deployment", &few)).await;

    let target = |kind: &str, name: &str| json!({"apiVersion": "apps/v1", "kind": kind, "name": name});
    let told = story.accepted("every").await;
    let expected = json!({
        "scaleTargetRef": target("StatefulSet", "every"), "minReplicaCount": 2, "maxReplicaCount": 7,
        "pollingInterval": 3, "cooldownPeriod": 40, "initialCooldownPeriod": 50, "fallback": fallback,
        "advanced": {
            "restoreToOriginalReplicaCount": true,
            "horizontalPodAutoscalerConfig": {"name": "keda-hpa-every", "behavior": behavior},
        },
        "triggers": lists(&redis),
    });
    assert_eq!(written(told), expected);
    let told = story.accepted("few").await;
    let expected = json!({
        "scaleTargetRef": target("Deployment", "few"), "minReplicaCount": 1, "maxReplicaCount": 4,
        "pollingInterval": 10, "cooldownPeriod": 300,
        "advanced": {"horizontalPodAutoscalerConfig": {"name": "keda-hpa-few"}},
        "triggers": [lists(&redis)[0]],
    });
    assert_eq!(written(told), expected);
    story.runs("StatefulSet", "every", 2).await;

    // KEDA has written its label and its finalizer by now.
    story.ready("every").await;
    story.ready("few").await;
    settled().await;
    assert_eq!(story.writes_to("scaledobjects").len(), 2, "each ScaledObject was written once");
    let events = story.api::<Event>().list(&ListParams::default()).await.unwrap();
    let repairs = events.iter().filter(|event| event.reason.as_deref() == Some("DriftRepaired"));
    assert_eq!(repairs.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keda_would_refuse_is_refused_with_the_field_and_the_way_out() {
    let story = Story::begin("refused").await;
    let cpu = json!([{"type": "cpu", "metadata": {"value": "70"}}]);
    let spec = |min: i32| {
        json!({
            "pattern": "consumer", "kind": "Deployment", "backend": "memstore",
            "autoscaling": {"scaler": "keda", "minReplicas": min, "maxReplicas": 4, "triggers": cpu},
        })
    };
    story.apply("reader", spec(0)).await;
    let refused = story.condition("reader", condition::STALLED, "True", reason::INVALID_SPEC).await;
    assert!(refused.message.starts_with("spec.autoscaling.minReplicas: "), "{}", refused.message);
    // The container asks for no CPU, of which a percentage could be taken: the operator asks for some.
    story.apply("reader", spec(1)).await;
    story.accepted("reader").await;
    story.ready("reader").await;
}
