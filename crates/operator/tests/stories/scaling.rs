//! The operator scales by metrics of an admin.

use k8s_openapi::{
    api::apps::v1::{Deployment, StatefulSet},
    jiff::{SignedDuration, Timestamp},
};
use prism_api::{autoscaling::Autoscaling, condition, condition::reason, labels, scaling::HeldBy};
use prism_scale::{Observation, Policy, Reading, State, decide};
use serde_json::{Value, json};

use crate::gauged::{Gauged, LAG, Path};

fn consumer(kind: &str, autoscaling: &Value) -> Value {
    json!({
        "pattern": "consumer", "backend": "memstore", "kind": kind, "image": "registry.example.com/consumer:1",
        "autoscaling": autoscaling,
    })
}

/// The replicas one after the other that the rules predict, looked at once a second, for a lag that is
/// `first` until the replicas have come to rest, and then `second`.
fn predicted(block: &Value, first: f64, second: f64) -> Vec<i32> {
    let block: Autoscaling = serde_json::from_value(block.clone()).unwrap();
    let policy = Policy::of(&block, "spec.autoscaling").unwrap();
    let (mut state, mut replicas, mut path, mut at) = (State::default(), 1, vec![1], Timestamp::UNIX_EPOCH);
    for lag in [first, second] {
        for _ in 0..60 {
            let metrics = vec![Ok(Reading::new(lag, at))];
            let seen = Observation { at, current: replicas, ready: replicas, metrics };
            let (decision, next) = decide(&policy, &state, &seen);
            state = next;
            if decision.desired != replicas {
                replicas = decision.desired;
                path.push(replicas);
            }
            at += SignedDuration::from_secs(1);
        }
    }
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn lag_scales_a_stateful_set_up_and_down_along_the_path_that_the_rules_predict() {
    let gauged = Gauged::begin("path").await;
    let behavior = json!({
        "scaleUp": {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 4}]},
        "scaleDown": {
            "stabilizationWindowSeconds": 3,
            "policies": [{"type": "Pods", "value": 3, "periodSeconds": 4}],
        },
    });
    let block = gauged.by_lag(1, 20, "100", &json!({"behavior": behavior}));
    let expected = predicted(&block, 700.0, 90.0);
    assert_eq!(expected, [1, 3, 5, 7, 4, 1], "by hand");

    gauged.lag("orders", 700.0);
    let path = Path::of::<StatefulSet>(gauged.story.api(), "orders");
    gauged.story.apply("orders", consumer("StatefulSet", &block)).await;
    gauged.runs::<StatefulSet>("orders", 7).await;
    let up = gauged.decision("orders", "says why 7", |decision| {
        decision.desired_replicas == 7 && decision.metrics[0].desired_replicas == Some(7)
    });
    let up = up.await;
    assert_eq!(up.decided_by.as_deref(), Some(LAG));
    assert_eq!(up.metrics[0].current.as_deref(), Some("700"), "{up:?}");
    assert_eq!(up.metrics[0].target.as_deref(), Some("100"), "{up:?}");
    gauged.story.condition("orders", condition::SCALING_ACTIVE, "True", reason::METRICS_READ).await;

    // The policies count what was changed within their period: let those four seconds pass, a look a second.
    for _ in 0..3 {
        gauged.looked("orders").await;
    }
    gauged.lag("orders", 90.0);
    gauged.decision("orders", "says why 1", |decision| decision.desired_replicas == 1).await;
    assert_eq!(path.until(1).await, expected);

    // The seed is the only write of the operator's main hand that says how many; decisions are written
    // through the subresource.
    let writes = gauged.story.writes();
    let says_how_many =
        |body: &Option<Value>| body.as_ref().is_some_and(|body| !body["spec"]["replicas"].is_null());
    let to_workload = writes.iter().filter(|write| write.resource == "statefulsets");
    let (scaled, applied): (Vec<_>, Vec<_>) = to_workload
        .filter(|write| says_how_many(&write.request_object))
        .partition(|write| write.subresource == "scale");
    assert_eq!((scaled.len(), applied.len()), (expected.len() - 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_written_when_it_changes_and_not_at_every_look() {
    let gauged = Gauged::begin("record").await;
    gauged.lag("orders", 500.0);
    let block = gauged.by_lag(1, 20, "100", &json!({}));
    gauged.story.apply("orders", consumer("Deployment", &block)).await;
    gauged.runs::<Deployment>("orders", 5).await;
    gauged.looked("orders").await;
    let pattern = gauged.story.ready("orders").await;
    let mark = gauged.story.mark();
    for lag in [501.0, 505.0, 499.0, 495.0, 500.0] {
        gauged.lag("orders", lag);
        gauged.looked("orders").await;
    }
    let written = gauged.story.writes_since(mark);
    assert_eq!(written.len(), 0, "{written:?}");
    let after = gauged.story.ready("orders").await;
    assert_eq!(pattern.status, after.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_goes_to_zero_and_comes_back() {
    let gauged = Gauged::begin("zero").await;
    gauged.lag("orders", 300.0);
    let block = gauged.by_lag(0, 9, "100", &json!({"cooldownPeriod": 2}));
    gauged.story.apply("orders", consumer("Deployment", &block)).await;
    gauged.runs::<Deployment>("orders", 3).await;
    gauged.lag("orders", 0.0);
    gauged.runs::<Deployment>("orders", 0).await;
    gauged.story.condition("orders", condition::READY, "True", reason::SCALED_TO_ZERO).await;
    gauged.lag("orders", 250.0);
    gauged.runs::<Deployment>("orders", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_decides_and_records_and_acts_on_nothing() {
    let gauged = Gauged::begin("shadow").await;
    gauged.lag("orders", 800.0);
    let fast = json!({"scaleUp": {"policies": [{"type": "Pods", "value": 50, "periodSeconds": 1}]}});
    let block = gauged.by_lag(2, 20, "100", &json!({"mode": "Shadow", "behavior": fast}));
    gauged.story.apply("orders", consumer("Deployment", &block)).await;
    let decision =
        gauged.decision("orders", "is decided on", |decision| decision.desired_replicas == 8).await;
    assert_eq!(decision.current_replicas, 2);
    gauged.lag("orders", 1800.0);
    gauged.decision("orders", "is decided on anew", |decision| decision.desired_replicas == 18).await;
    gauged.runs::<Deployment>("orders", 2).await;
    let writes = gauged.story.writes();
    assert!(writes.iter().all(|write| write.subresource != "scale"), "{writes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_pauses_and_pins_by_annotation() {
    let gauged = Gauged::begin("held").await;
    gauged.lag("orders", 400.0);
    let block = gauged.by_lag(1, 20, "100", &json!({}));
    gauged.story.apply("orders", consumer("Deployment", &block)).await;
    gauged.runs::<Deployment>("orders", 4).await;

    gauged.story.annotate("orders", labels::SCALING_PAUSED, Some("true")).await;
    gauged.decision("orders", "is paused", |decision| decision.held_by == Some(HeldBy::Paused)).await;
    gauged.lag("orders", 900.0);
    gauged
        .decision("orders", "would like 9", |decision| {
            decision.metrics[0].desired_replicas == Some(9) && decision.desired_replicas == 4
        })
        .await;
    gauged.story.annotate("orders", labels::SCALING_PAUSED, None).await;
    gauged.runs::<Deployment>("orders", 9).await;

    gauged.story.annotate("orders", labels::PINNED_REPLICAS, Some("2")).await;
    gauged.runs::<Deployment>("orders", 2).await;
    gauged.decision("orders", "is pinned", |decision| decision.held_by == Some(HeldBy::Pinned)).await;
    gauged.story.annotate("orders", labels::PINNED_REPLICAS, Some("many")).await;
    let refused = gauged.story.condition("orders", condition::STALLED, "True", reason::INVALID_SPEC).await;
    let message = json!(refused.status).to_string();
    assert!(message.contains("metadata.annotations[prism.io/pinned-replicas]: write a number"), "{message}");
    gauged.runs::<Deployment>("orders", 2).await;
    gauged.story.annotate("orders", labels::PINNED_REPLICAS, None).await;
    gauged.runs::<Deployment>("orders", 9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_window_has_limits_of_its_own() {
    let gauged = Gauged::begin("window").await;
    gauged.lag("orders", 0.0);
    let with = |start: &str, end: &str| {
        let window = json!([{"name": "day", "start": start, "end": end, "minReplicas": 3}]);
        consumer("Deployment", &gauged.by_lag(1, 9, "100", &json!({"windows": window})))
    };
    // Opens every minute and closes once a year: it is open, but for one minute on New Year's Day.
    gauged.story.apply("orders", with("* * * * *", "0 0 1 1 *")).await;
    gauged.runs::<Deployment>("orders", 3).await;
    let named = |decision: &prism_api::scaling::ScalingDecision| decision.window.as_deref() == Some("day");
    let decision = gauged.decision("orders", "names the window", named).await;
    assert_eq!((decision.min_replicas, decision.max_replicas), (Some(3), Some(9)));

    gauged.story.apply("orders", with("0 0 1 1 *", "* * * * *")).await;
    gauged.runs::<Deployment>("orders", 1).await;

    gauged.story.apply("orders", with("0 25 * * *", "* * * * *")).await;
    let refused = gauged.story.condition("orders", condition::STALLED, "True", reason::INVALID_SPEC).await;
    let message = json!(refused.status).to_string();
    assert!(message.contains("spec.autoscaling.windows[0].start"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_target_turns_lag_and_rate_into_replicas() {
    let gauged = Gauged::begin("drain").await;
    let block = gauged.by_lag(
        1,
        50,
        "1",
        &json!({
            "metrics": [{"type": "AdminMetric", "adminMetric": {
                "metricName": LAG, "endpoint": gauged.endpoint(), "target": {"drainWithin": "20s"},
            }}],
            "behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 50, "periodSeconds": 1}]}},
        }),
    );
    // One replica does 10 in a second and 2000 wait, neither more nor less for a while, so 10 arrive in a
    // second: to be through in 20 s takes 110 in a second, and 11 replicas.
    let tell = || {
        gauged.report("orders", "pattern.consumer.throughput", 10.0);
        gauged.lag("orders", 2000.0);
    };
    tell();
    gauged.story.apply("orders", consumer("Deployment", &block)).await;
    gauged.runs::<Deployment>("orders", 1).await;
    gauged.story.ready("orders").await;
    // What a replica can do is seen between two measurements while it is ready.
    for _ in 0..2 {
        tell();
        gauged.looked("orders").await;
    }
    tell();
    let eleven = |decision: &prism_api::scaling::ScalingDecision| decision.desired_replicas == 11;
    let decision = gauged.decision("orders", "is decided by the time that it takes", eleven).await;
    assert_eq!(decision.metrics[0].target.as_deref(), Some("20s"));
}
