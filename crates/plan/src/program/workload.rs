//! The Deployment or `StatefulSet` of a program.

use k8s_openapi::{
    api::apps::v1::{
        Deployment, DeploymentSpec, RollingUpdateStatefulSetStrategy, StatefulSet,
        StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use prism_api::{labels, workload::WorkloadKind};

use super::{
    Program, ProgramFacts,
    children::{Workload, metadata},
    pod, quorum,
    storage::{self, StorageVerdict},
};
use crate::{invalid::Invalid, text};

/// Builds the workload. Under a scaler, whoever made it, the replicas are left out: they are the scaler's.
/// Where they may not be left to any, they are always there.
pub(super) fn build(
    program: &Program,
    verdict: &StorageVerdict,
    facts: &ProgramFacts,
) -> Result<Workload, Invalid> {
    let mut metadata = metadata(program, &program.name);
    let replicas = (!program.is_scaled(facts)).then_some(program.replicas);
    let selector =
        LabelSelector { match_labels: Some(program.workload_selector()), ..LabelSelector::default() };
    let template = pod::template(program)?;
    let mut annotations = program.annotations.clone();
    let update_strategy = program.votes.then(|| {
        let hash = text::hash_of(&template);
        let partition = Some(quorum::partition(program.replicas, &hash, facts));
        annotations.insert(labels::TEMPLATE_HASH.to_owned(), hash);
        StatefulSetUpdateStrategy {
            type_: Some("RollingUpdate".to_owned()),
            rolling_update: Some(RollingUpdateStatefulSetStrategy { partition, max_unavailable: None }),
        }
    });
    metadata.annotations = (!annotations.is_empty()).then_some(annotations);
    Ok(match program.kind {
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
                service_name: Some(program.headless_name()),
                // Members do not wait for each other: Raft needs a quorum of them to make the first one ready.
                pod_management_policy: Some("Parallel".to_owned()),
                volume_claim_templates: storage::template(program, verdict).map(|claim| vec![claim]),
                persistent_volume_claim_retention_policy: program.deletes_volumes.then(|| {
                    StatefulSetPersistentVolumeClaimRetentionPolicy {
                        when_deleted: Some("Delete".to_owned()),
                        when_scaled: Some("Retain".to_owned()),
                    }
                }),
                update_strategy,
                ..StatefulSetSpec::default()
            }),
            status: None,
        })),
    })
}
