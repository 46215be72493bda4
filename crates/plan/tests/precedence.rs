//! Whatever goes wrong at the same time, a status says one thing: somebody has to act, or something is under way.

// In a test, what is not as expected ends it.
#![allow(clippy::unwrap_used)]

use k8s_openapi::jiff::Timestamp;
use prism_api::{
    PrismAutoscaler, PrismBackend, PrismCluster, PrismPattern, PrismStack,
    condition::{self, Condition, reason},
};
use prism_plan::{
    autoscaler, backend, cluster,
    conditions::{find, is_true},
    pattern,
    report::{Problem, Report},
    stack,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn object<K: serde::de::DeserializeOwned>(kind: &str, spec: &Value) -> K {
    serde_json::from_value(json!({
        "apiVersion": "prism.io/v1alpha1", "kind": kind,
        "metadata": {"name": "shop", "namespace": "shop", "uid": "0000-1111", "generation": 3},
        "spec": spec,
    }))
    .unwrap()
}

/// The conditions of an object of each kind after a pass that came to `report`.
fn all(report: &Report) -> Vec<(&'static str, Vec<Condition>)> {
    let now = Timestamp::UNIX_EPOCH;
    let report = || report.clone();

    let runner: PrismPattern = object("PrismPattern", &json!({"pattern": "keyvalue", "backend": "memstore"}));
    let facts = pattern::Facts::default();
    let plan = pattern::plan(&runner, &facts).unwrap();
    let of_pattern = pattern::status(&runner, &plan, &facts, report(), now).conditions;

    let server: PrismBackend = object("PrismBackend", &json!({"type": "redis", "provision": {}}));
    let facts = backend::Facts::default();
    let plan = backend::plan(&server, &facts).unwrap();
    let of_backend = backend::status(&server, &plan, &facts, report(), now).conditions;

    // Two members would be left to agree on what three have said: refused, beside all that is announced.
    let parts = json!({"admin": {"replicas": 3}, "approval": "Manual", "backends": [{"name": "cache", "provision": {}, "type": "redis"}]});
    let parts: PrismStack = object("PrismStack", &parts);
    let facts = stack::Facts::default();
    let plan = stack::plan(&parts, &facts).unwrap();
    let status = stack::status(&parts, &plan, &facts, report(), now);
    let of_stack = status.conditions.clone();

    let words: PrismCluster = object("PrismCluster", &json!({"patterns": []}));
    let plan = cluster::plan(&words);
    let mirrored = PrismStack { status: Some(status), ..parts };
    let of_cluster = cluster::status(&words, &plan, Some(&mirrored), report(), now).conditions;

    let target = json!({"targetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 3, "metrics": [
        {"type": "AdminMetric", "adminMetric": {"metricName": "pattern.consumer.lag", "target": {"type": "AverageValue", "averageValue": "100"}}}]});
    let scaler: PrismAutoscaler = object("PrismAutoscaler", &target);
    let facts = autoscaler::Facts::default();
    let plan = autoscaler::plan(&scaler, &facts).unwrap();
    let of_scaler = autoscaler::status(&scaler, &plan, &facts, report(), now).conditions;
    vec![
        ("PrismPattern", of_pattern),
        ("PrismBackend", of_backend),
        ("PrismStack", of_stack),
        ("PrismCluster", of_cluster),
        ("PrismAutoscaler", of_scaler),
    ]
}

fn problem() -> impl Strategy<Value = Problem> {
    prop_oneof![
        Just(Problem::Stalled { reason: reason::APPLY_REJECTED, message: "no".to_owned() }),
        Just(Problem::Retrying("later".to_owned())),
        Just(Problem::Waiting("soon".to_owned())),
    ]
}

proptest! {
    #[test]
    fn what_waits_for_a_person_is_not_under_way(problems in prop::collection::vec(problem(), 0..4), is_paused: bool) {
        let is_stalled = problems.iter().any(|problem| problem.as_stall().is_some());
        let report = Report { problems, is_paused, ..Report::default() };
        for (kind, conditions) in all(&report) {
            let (stalled, moving) =
                (is_true(&conditions, condition::STALLED), is_true(&conditions, condition::RECONCILING));
            prop_assert!(!(stalled && moving), "{kind}: {conditions:?}");
            prop_assert_eq!(stalled, is_stalled, "{}: the worst is said", kind);
            let ready = find(&conditions, condition::READY).unwrap();
            prop_assert!(!(stalled && ready.status == "True"), "{kind}: {conditions:?}");
        }
    }
}
