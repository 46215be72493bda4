//! Quantities compare as numbers do, and amounts are finite.

use std::cmp::Ordering;

use prism_fuzz::fuzz;
use prism_fuzz::hostile::{amount, json, text};
use prism_plan::quantity::{compare, milli};
use prism_scale::Policy;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn fuzz_quantities() {
    fuzz(file!(), &(prop_oneof![amount(), text()], amount(), amount()), |(one, two, three)| {
        if milli(&one).is_some() {
            prop_assert_eq!(compare(&one, &one), Some(Ordering::Equal));
        }
        prop_assert_eq!(compare(&one, &two), compare(&two, &one).map(Ordering::reverse));
        if compare(&one, &two) == Some(Ordering::Less) && compare(&two, &three) == Some(Ordering::Less) {
            prop_assert_eq!(compare(&one, &three), Some(Ordering::Less));
        }
        Ok(())
    });
}

#[test]
fn fuzz_policies() {
    let target =
        prop_oneof![amount().prop_map(|text| json!(text)), text().prop_map(|text| json!(text)), json()];
    let span = prop_oneof![amount(), text()];
    fuzz(file!(), &(target, span, any::<i32>(), any::<i32>()), |(target, span, min, seconds)| {
        for kind in ["averageValue", "value", "drainWithin"] {
            let block = json!({
                "scaler": "admin", "minReplicas": min, "maxReplicas": 9, "pollingInterval": seconds,
                "metrics": [{"type": "AdminMetric", "adminMetric": {
                    "metricName": "lag", "maxAge": span, "target": {kind: target},
                }}],
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": seconds}},
            });
            let Ok(block) = serde_json::from_value(block) else { continue };
            if let Err(invalid) = Policy::of(&block, "spec.autoscaling") {
                let sentence = invalid.to_string();
                prop_assert!(sentence.starts_with("spec.autoscaling"), "{}", sentence);
            }
        }
        Ok(())
    });
}
