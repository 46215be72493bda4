//! What a `HorizontalPodAutoscaler` is told, and what it says.

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscaler},
};
use kube::api::DeleteParams;
use prism_api::{
    condition::{self, reason},
    labels,
    stack::PrismStack,
};
use prism_plan::conditions::find;
use serde_json::{Value, json};

use crate::{
    gauged::runs,
    support::{Story, conditions},
};

/// No metrics API is installed: the real autoscaler says so.
const WITHOUT_METRICS: &str = "FailedGetResourceMetric";

fn web(autoscaling: &Value) -> Value {
    json!({"pattern": "keyvalue", "backend": "memstore", "kind": "Deployment", "autoscaling": autoscaling})
}

/// Waits until the autoscaler's spec has these limits.
async fn limits(story: &Story, min: i32, max: i32) -> HorizontalPodAutoscaler {
    story
        .object("web", &format!("has the limits {min} and {max}"), |scaler: &HorizontalPodAutoscaler| {
            let spec = scaler.spec.as_ref().unwrap();
            let found = (spec.min_replicas, spec.max_replicas);
            if found == (Some(min), max) { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_autoscaler_says_stands_on_the_pattern_and_on_the_stack() {
    let story = Story::begin("mirrored").await;
    let block = json!({"scaler": "hpa", "minReplicas": 2, "maxReplicas": 9, "targetCPU": 50});
    story.apply("web", web(&block)).await;
    let pattern = story.condition("web", condition::SCALING_ACTIVE, "False", WITHOUT_METRICS).await;
    let scaling = pattern.status.unwrap().scaling.unwrap();
    assert_eq!((scaling.min_replicas, scaling.max_replicas), (Some(2), Some(9)));
    assert_eq!(scaling.metrics[0].name, "cpu");
    assert_eq!(scaling.metrics[0].target.as_deref(), Some("50%"));
    // A workload that cannot scale still serves.
    story.ready("web").await;

    let spec = json!({"admin": {"enabled": false}, "proxy": {"autoscaling": block}});
    story.put::<PrismStack>("shop", spec).await;
    let stack = story.stack_condition("shop", condition::SCALING_ACTIVE, "False", WITHOUT_METRICS).await;
    let status = stack.status.unwrap();
    let active = find(&status.conditions, condition::SCALING_ACTIVE).unwrap();
    assert!(active.message.starts_with("proxy: "), "{}", active.message);
    story.stack_ready("shop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_pins_and_pauses_reach_the_autoscaler() {
    let story = Story::begin("told").await;
    // Opens every minute and closes once a year: it is open, but for one minute on New Year's Day.
    let always = json!([{"name": "day", "start": "* * * * *", "end": "0 0 1 1 *", "minReplicas": 4}]);
    let block = json!({"minReplicas": 2, "maxReplicas": 9, "targetCPU": 50, "windows": always});
    story.apply("web", web(&block)).await;
    limits(&story, 4, 9).await;
    runs::<Deployment>(&story, "web", 4).await;

    story.annotate("web", labels::PINNED_REPLICAS, Some("7")).await;
    limits(&story, 7, 7).await;
    runs::<Deployment>(&story, "web", 7).await;
    story.annotate("web", labels::PINNED_REPLICAS, None).await;
    story.annotate("web", labels::SCALING_PAUSED, Some("true")).await;
    story
        .object("web", "moves in neither direction", |scaler: &HorizontalPodAutoscaler| {
            let behavior = scaler.spec.as_ref().unwrap().behavior.clone().unwrap_or_default();
            let policy = |rules: Option<HPAScalingRules>| rules.and_then(|rules| rules.select_policy);
            let found = [policy(behavior.scale_up), policy(behavior.scale_down)];
            let is_stopped = found.iter().all(|policy| policy.as_deref() == Some("Disabled"));
            if is_stopped { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    limits(&story, 4, 9).await;
    runs::<Deployment>(&story, "web", 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_of_somebody_else_is_reported_and_ours_makes_way() {
    let story = Story::begin("rivals").await;
    let fixed = json!({"pattern": "keyvalue", "backend": "memstore", "kind": "Deployment", "replicas": 2});
    story.apply("web", fixed).await;
    runs::<Deployment>(&story, "web", 2).await;
    let rival: HorizontalPodAutoscaler = serde_json::from_value(json!({
        "metadata": {"name": "rival"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 5, "maxReplicas": 5,
        },
    }))
    .unwrap();
    story.create(&rival).await;
    // Also where the spec has a number of its own, it is left to whoever scales.
    runs::<Deployment>(&story, "web", 5).await;
    story.condition("web", condition::SCALER_CONFLICT, "True", reason::FOREIGN_SCALER).await;
    story.apply("web", web(&json!({"minReplicas": 2, "maxReplicas": 9, "targetCPU": 50}))).await;
    story.condition("web", condition::SCALING_ACTIVE, "False", reason::SCALER_CONFLICT).await;
    story.gone::<HorizontalPodAutoscaler>("web").await;

    let api = story.api::<HorizontalPodAutoscaler>();
    api.delete("rival", &DeleteParams::default()).await.unwrap();
    limits(&story, 2, 9).await;
    runs::<Deployment>(&story, "web", 5).await;
    story
        .pattern("web", "has no conflict any more", |pattern| {
            find(conditions(pattern), condition::SCALER_CONFLICT).is_none()
        })
        .await;
}
