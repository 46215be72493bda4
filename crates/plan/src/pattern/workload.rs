//! The Deployment or `StatefulSet` of a pattern.

use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentSpec, StatefulSet, StatefulSetSpec},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use prism_api::{pattern::ActiveScaler, workload::WorkloadKind};

use super::{
    child::{Workload, metadata},
    labels, pod,
    resolved::ResolvedPattern,
    service,
    storage::{self, StorageVerdict},
};
use crate::invalid::Invalid;

/// Builds the workload. Under a scaler it leaves the replicas out: they are the scaler's.
pub(super) fn build(pattern: &ResolvedPattern, verdict: &StorageVerdict) -> Result<Workload, Invalid> {
    let metadata = metadata(pattern, &pattern.workload);
    let replicas = (pattern.scaler == ActiveScaler::None).then_some(pattern.replicas);
    let selector = LabelSelector {
        match_labels: Some(labels::workload_selector(&pattern.name, pattern.kind.value)),
        ..LabelSelector::default()
    };
    let template = pod::template(pattern)?;
    Ok(match pattern.kind.value {
        WorkloadKind::Deployment => Workload::Deployment(Box::new(Deployment {
            metadata,
            spec: Some(DeploymentSpec { replicas, selector, template, ..DeploymentSpec::default() }),
            status: None,
        })),
        WorkloadKind::StatefulSet => Workload::StatefulSet(Box::new(StatefulSet {
            metadata,
            spec: Some(StatefulSetSpec {
                replicas,
                selector,
                template,
                service_name: Some(service::headless_name(pattern)),
                // Runners do not wait for each other.
                pod_management_policy: Some("Parallel".to_owned()),
                volume_claim_templates: storage::template(pattern, verdict).map(|claim| vec![claim]),
                ..StatefulSetSpec::default()
            }),
            status: None,
        })),
    })
}
