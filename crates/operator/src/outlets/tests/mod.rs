//! The outlets over real connections, and what they keep in a cluster that misbehaves.

mod catalogue;
mod cluster;
mod external_metrics;
mod external_scaler;
mod keeping;

use k8s_openapi::jiff::Timestamp;
use prism_api::autoscaling::Autoscaling;
use prism_scale::Policy;
use serde_json::json;

use super::{Outlets, identity::Identity, settings::OutletConfig};

/// The rules of a workload with one metric, whose readings count for a minute.
pub(super) fn policy() -> Policy {
    let block: Autoscaling = serde_json::from_value(json!({
        "scaler": "admin", "via": "hpa", "maxReplicas": 9,
        "metrics": [{"type": "AdminMetric", "adminMetric": {"metricName": "lag", "target": {"averageValue": "5"}}}],
    }))
    .unwrap();
    Policy::of(&block, "spec.autoscaling").unwrap()
}

/// Certificates for loopback.
fn identity() -> Identity {
    Identity::draw(&["localhost".to_owned()], Timestamp::now()).unwrap()
}

#[tokio::test]
async fn without_an_address_planners_are_told_which_flag_opens_an_outlet() {
    let (outlets, doors) = Outlets::bind(OutletConfig::default()).await.unwrap();
    outlets.settled().await;
    let facts = outlets.facts();
    assert_eq!((doors.external_scaler(), doors.external_metrics()), (None, None));
    assert_eq!(facts.external_scaler, None);
    let sentence = facts.external_metrics_closed.unwrap();
    assert!(sentence.contains("--external-metrics-bind-address"), "{sentence}");
}
