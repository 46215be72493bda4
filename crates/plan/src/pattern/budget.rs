//! How many pods drains and upgrades may take at a time.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use prism_api::pattern::ActiveScaler;

use super::{child::metadata, resolved::ResolvedPattern};

/// By default one pod at a time, wherever more than one may run. A budget for a single pod would
/// either block every drain or say nothing.
pub(super) fn build(pattern: &ResolvedPattern) -> Option<PodDisruptionBudget> {
    let wish = pattern.spec.disruption_budget.clone().unwrap_or_default();
    let is_several = pattern.replicas > 1 || pattern.scaler != ActiveScaler::None;
    wish.enabled.unwrap_or(is_several).then(|| PodDisruptionBudget {
        metadata: metadata(pattern, &pattern.workload),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: match (&wish.min_available, wish.max_unavailable) {
                (Some(_), _) => None,
                (None, explicit) => Some(explicit.unwrap_or(IntOrString::Int(1))),
            },
            min_available: wish.min_available,
            selector: Some(LabelSelector {
                match_labels: Some(pattern.pod_selector.clone()),
                ..LabelSelector::default()
            }),
            // A pod that never became ready protects nothing by staying (KEP-3017).
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
        }),
        status: None,
    })
}
