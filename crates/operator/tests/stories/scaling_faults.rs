//! An admin that does not tell, or does not tell the truth, never lowers the replicas.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use prism_admin::{
    Fault,
    faults::{Absence, Nonsense},
};
use prism_api::{
    condition::{self, reason},
    scaling::HeldBy,
};
use prism_plan::conditions::find;
use rstest::rstest;
use serde_json::{Value, json};

use crate::gauged::{Gauged, Path};

fn consumer(autoscaling: &Value) -> Value {
    json!({
        "pattern": "consumer", "kind": "Deployment", "backend": "memstore", "image": "registry.example.com/consumer:1",
        "autoscaling": autoscaling,
    })
}

/// A consumer with five replicas, and an admin that knows why.
async fn five(name: &str, more: &Value) -> Gauged {
    let gauged = Gauged::begin(name).await;
    gauged.lag("orders", 500.0);
    gauged.story.apply("orders", consumer(&gauged.by_lag(1, 20, "100", more))).await;
    gauged.runs::<Deployment>("orders", 5).await;
    gauged.story.condition("orders", condition::SCALING_ACTIVE, "True", reason::METRICS_READ).await;
    gauged
}

/// Waits until the condition says, in these words, why nothing is scaled.
async fn says(gauged: &Gauged, words: &str) {
    let what = format!("says that {words}");
    let said = |pattern: &prism_api::PrismPattern| {
        let conditions = pattern.status.as_ref().map(|status| status.conditions.as_slice());
        find(conditions.unwrap_or_default(), condition::SCALING_ACTIVE).is_some_and(|active| {
            active.status == "False"
                && active.reason == reason::METRICS_UNAVAILABLE
                && active.message.contains(words)
        })
    };
    gauged.story.pattern("orders", &what, said).await;
}

#[rstest]
#[case::hung(Fault::Hung, "no answer within 5 s")]
#[case::slow(Fault::Slow(Duration::from_mins(1)), "no answer within 5 s")]
#[case::not_a_number(Fault::Wrong(Nonsense::NotANumber), "no amount")]
#[case::infinite(Fault::Wrong(Nonsense::Infinite), "no amount")]
#[case::negative(Fault::Wrong(Nonsense::Negative), "no amount")]
#[case::stale(Fault::Stale(Duration::from_hours(2)), "was measured")]
#[case::unavailable(Fault::Absent(Absence::Unavailable), "Unavailable")]
#[case::not_found(Fault::Absent(Absence::NotFound), "the admin says")]
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_the_admin_nothing_goes_down(#[case] fault: Fault, #[case] words: &str) {
    let gauged = five("fault", &json!({})).await;
    let path = Path::of::<Deployment>(gauged.story.api(), "orders");
    path.until(5).await;
    // What a sound answer would say now is that one replica is enough.
    gauged.gauge.admin().faults().set(fault);
    gauged.lag("orders", 10.0);
    says(&gauged, words).await;
    gauged.looked("orders").await;
    let held = |decision: &prism_api::scaling::ScalingDecision| {
        decision.desired_replicas == 5 && decision.held_by == Some(HeldBy::MissingMetrics)
    };
    gauged.decision("orders", "stays", held).await;

    gauged.gauge.admin().faults().clear();
    gauged.story.condition("orders", condition::SCALING_ACTIVE, "True", reason::METRICS_READ).await;
    assert_eq!(path.until(1).await, [5, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_that_is_killed_and_comes_back_with_nothing_lowers_nothing() {
    let mut gauged = five("killed", &json!({})).await;
    let path = Path::of::<Deployment>(gauged.story.api(), "orders");
    path.until(5).await;
    gauged.gauge.kill().await;
    gauged.story.condition("orders", condition::SCALING_ACTIVE, "False", reason::METRICS_UNAVAILABLE).await;
    gauged.looked("orders").await;
    gauged.gauge.restart().await;
    says(&gauged, "the admin says").await;
    gauged.lag("orders", 700.0);
    gauged.story.condition("orders", condition::SCALING_ACTIVE, "True", reason::METRICS_READ).await;
    assert_eq!(path.until(7).await, [5, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_enough_failures_the_fallback_applies() {
    let mut gauged = five("fallback", &json!({"fallback": {"failureThreshold": 3, "replicas": 8}})).await;
    gauged.gauge.kill().await;
    gauged.runs::<Deployment>("orders", 8).await;
    gauged.story.condition("orders", condition::SCALING_ACTIVE, "False", reason::FALLBACK_ACTIVE).await;
    gauged.gauge.restart().await;
    gauged.lag("orders", 200.0);
    gauged.runs::<Deployment>("orders", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_metrics_one_that_cannot_be_read_keeps_the_other_from_scaling_down() {
    const LATENCY: &str = "pattern.consumer.processing_time_p99";
    let gauged = Gauged::begin("half").await;
    gauged.lag("orders", 500.0);
    let mut block = gauged.by_lag(1, 20, "100", &json!({}));
    let other = json!({"type": "AdminMetric", "adminMetric": {
        "metricName": LATENCY, "endpoint": gauged.endpoint(), "target": {"type": "Value", "value": "5s"},
    }});
    block["metrics"].as_array_mut().unwrap().push(other);
    gauged.story.apply("orders", consumer(&block)).await;
    // Up by the one that tells.
    gauged.runs::<Deployment>("orders", 5).await;
    gauged.lag("orders", 100.0);
    says(&gauged, LATENCY).await;
    let held = |decision: &prism_api::scaling::ScalingDecision| {
        decision.desired_replicas == 5 && decision.held_by == Some(HeldBy::MissingMetrics)
    };
    gauged.decision("orders", "is held by what is missing", held).await;
    gauged.report("orders", LATENCY, 1.0);
    gauged.runs::<Deployment>("orders", 1).await;
}
