//! Whatever is measured, a decision stays within its limits, and what cannot be read lowers nothing.

use jiff::{SignedDuration, Timestamp};
use prism_fuzz::fuzz;
use prism_fuzz::hostile::float;
use prism_scale::{Observation, Policy, Problem, ProblemKind, Reading, State, decide};
use proptest::prelude::*;
use serde_json::json;

/// One look: seconds since the one before, replicas that run if somebody has changed them, of those how many are
/// ready, and what two metrics say: a value and its age, or nothing.
type Look = (i64, Option<i32>, i32, [Option<(f64, i64)>; 2]);

fn look() -> impl Strategy<Value = Look> {
    let metric =
        || proptest::option::weighted(0.8, (float(), prop_oneof![Just(0i64), -10i64..400, any::<i64>()]));
    let replicas = prop_oneof![0..30i32, any::<i32>()];
    (
        prop_oneof![Just(10i64), -60i64..700],
        proptest::option::weighted(0.2, replicas),
        prop_oneof![0..30i32, any::<i32>()],
        [metric(), metric()],
    )
}

#[test]
fn fuzz_decisions() {
    let limits = (0..5i32, 1..20i32, 0..400i32, 0..100i32);
    let looks = proptest::collection::vec(look(), 1..40);
    fuzz(file!(), &(limits, looks), |((min, more, down, up), looks)| {
        let max = min + more;
        let metric = |name: &str| json!({"type": "AdminMetric", "adminMetric": {"metricName": name, "target": {"averageValue": "5"}}});
        let block = json!({
            "scaler": "admin", "minReplicas": min, "maxReplicas": max,
            "metrics": [metric("lag"), metric("rate")],
            "behavior": {
                "scaleDown": {"stabilizationWindowSeconds": down}, "scaleUp": {"stabilizationWindowSeconds": up},
            },
        });
        let block = serde_json::from_value(block).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let policy = Policy::of(&block, "spec").map_err(|error| TestCaseError::fail(error.to_string()))?;
        let (mut state, mut at, mut running) = (State::default(), Timestamp::UNIX_EPOCH, min);
        for (pause, changed, ready, metrics) in looks {
            at = at.saturating_add(SignedDuration::from_secs(pause)).unwrap_or(at);
            running = changed.unwrap_or(running);
            let read = metrics.map(|metric| match metric {
                Some((value, age)) => {
                    Ok(Reading::new(value, at.saturating_sub(SignedDuration::from_secs(age)).unwrap_or(at)))
                }
                None => Err(Problem::new(ProblemKind::Late, "no answer")),
            });
            let is_blind = read.iter().all(Result::is_err);
            let seen = Observation { at, current: running, ready, metrics: read.into() };
            let (decision, next) = decide(&policy, &state, &seen);
            prop_assert!((0..=100_000).contains(&decision.desired), "{decision:?}");
            let was_within = (min..=max).contains(&running);
            if was_within {
                prop_assert!((min..=max).contains(&decision.desired), "{decision:?}");
            }
            if is_blind && was_within {
                prop_assert_eq!(decision.desired, running, "nothing can be read: {:?}", decision);
            }
            prop_assert!(serde_json::to_value(decision.record()).is_ok());
            (state, running) = (next, decision.desired);
        }
        Ok(())
    });
}
