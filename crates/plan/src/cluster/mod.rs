//! What becomes of a `PrismCluster`: one `PrismStack`, whose status it mirrors.

mod status;
#[cfg(test)]
mod tests;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use prism_api::{
    backend::PrismBackendSpec,
    cluster::{ClusterPattern, PrismCluster},
    labels, names,
    pattern::PrismPatternSpec,
    stack::{PrismStack, PrismStackSpec, StackBackend, StackPattern},
};

pub use status::{is_progress_only, status};

use crate::{invalid::Invalid, owner, program::check_name, text};

/// What is to be done for one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The stack behind it.
    pub stack: PrismStack,
}

/// Plans `cluster`: every word of it has its place in a stack.
///
/// # Errors
/// When it says what a stack cannot follow.
pub fn plan(cluster: &PrismCluster) -> Result<Plan, Invalid> {
    check_name(cluster.metadata.name.as_deref().unwrap_or_default())?;
    let spec = cluster.spec.clone();
    let provisioned = spec.backends.iter().flat_map(prism_api::cluster::ClusterBackends::iter);
    let backends = provisioned.filter(|(_, provision)| provision.is_enabled()).map(|(product, provision)| {
        StackBackend {
            name: product.to_owned(),
            required: None,
            spec: PrismBackendSpec {
                type_: Some(product.to_owned()),
                provision: Some(provision.clone()),
                ..PrismBackendSpec::default()
            },
        }
    });
    let spec = PrismStackSpec {
        backends: backends.collect(),
        patterns: spec.patterns.into_iter().map(pattern).collect(),
        admin: spec.admin,
        proxy: spec.proxy,
        ingress: spec.ingress,
        observability: spec.observability,
        image_pull_secrets: spec.image_pull_secrets,
        image_registry: spec.image_registry,
        version: spec.version,
        runtime_profile: spec.runtime_profile,
        paused: spec.paused,
        ..PrismStackSpec::default()
    };
    Ok(Plan { stack: PrismStack { metadata: metadata(cluster, text::hash_of(&spec)), spec, status: None } })
}

/// In a cluster, `type` is the kind of the workload, and the name is the type of the pattern.
fn pattern(pattern: ClusterPattern) -> StackPattern {
    let ClusterPattern {
        name,
        pattern,
        type_,
        image,
        replicas,
        backends,
        storage,
        resources,
        autoscaling,
        config,
    } = pattern;
    StackPattern {
        spec: PrismPatternSpec {
            pattern: Some(pattern.unwrap_or_else(|| name.clone())),
            kind: type_,
            image,
            replicas,
            backends,
            storage,
            resources,
            autoscaling,
            config,
            ..PrismPatternSpec::default()
        },
        name,
    }
}

/// The stack has the name of the cluster, and belongs to it.
fn metadata(cluster: &PrismCluster, hash: String) -> ObjectMeta {
    let name = cluster.metadata.name.clone().unwrap_or_default();
    let labels = [
        (labels::APP_INSTANCE, name.as_str()),
        (labels::APP_COMPONENT, "stack"),
        (labels::APP_PART_OF, &name),
        (labels::APP_MANAGED_BY, names::MANAGED_BY),
    ];
    // Consent to a plan is given where its author looks.
    let approval = cluster.metadata.annotations.as_ref().and_then(|all| all.get(labels::APPROVED_PLAN));
    let approval = approval.map(|hash| (labels::APPROVED_PLAN.to_owned(), hash.clone()));
    ObjectMeta {
        namespace: cluster.metadata.namespace.clone(),
        labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
        annotations: Some(approval.into_iter().chain([(labels::SPEC_HASH.to_owned(), hash)]).collect()),
        owner_references: Some(vec![owner::reference(
            "PrismCluster",
            &name,
            cluster.metadata.uid.as_deref().unwrap_or_default(),
        )]),
        name: Some(name),
        ..ObjectMeta::default()
    }
}
