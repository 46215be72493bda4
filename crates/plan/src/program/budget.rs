//! How many pods drains and upgrades may take at a time.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use prism_api::pattern::ActiveScaler;

use super::{Program, children::metadata};

/// By default one pod at a time, wherever more than one may run. A budget for a single pod would
/// either block every drain or say nothing.
pub(super) fn build(program: &Program) -> Option<PodDisruptionBudget> {
    let wish = program.disruption_budget.clone();
    let is_several = program.replicas > 1 || program.scaler != ActiveScaler::None;
    wish.enabled.unwrap_or(is_several).then(|| PodDisruptionBudget {
        metadata: metadata(program, &program.name),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: match (&wish.min_available, wish.max_unavailable) {
                (Some(_), _) => None,
                (None, explicit) => Some(explicit.unwrap_or(IntOrString::Int(1))),
            },
            min_available: wish.min_available,
            selector: Some(LabelSelector {
                match_labels: Some(program.pod_selector.clone()),
                ..LabelSelector::default()
            }),
            // A pod that never became ready protects nothing by staying (KEP-3017).
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
        }),
        status: None,
    })
}
