//! A pattern with one spelling of everything: what the builders work from.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::apis::meta::v1::OwnerReference};
use prism_api::{
    labels,
    pattern::{ActiveScaler, PrismPattern, PrismPatternSpec},
    placement::Placement,
    workload::{RuntimeProfile, WorkloadKind},
};

use super::{
    backend::{self, Backend},
    facts::Facts,
    kind, labels as pattern_labels,
};
use crate::{
    because::Because,
    invalid::Invalid,
    owner,
    program::{replicas, workload_name},
    refusals::Refusals,
    scaling::{Control, active_scaler, control},
};

/// Port of a runner when its Service names none.
const DEFAULT_PORT: i32 = 8080;

/// A pattern after aliases, defaults and references: the only form that builders see.
#[derive(Clone, Debug)]
pub struct ResolvedPattern {
    /// Name of the `PrismPattern`.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// The type, such as `consumer`.
    pub pattern_type: String,
    /// The stack it belongs to, if any.
    pub stack: Option<String>,
    /// Kind of the workload.
    pub kind: Because<WorkloadKind>,
    /// Name of the workload, and of what is named after it.
    pub workload: String,
    /// Image, as it goes into the pod.
    pub image: String,
    /// Conventions of the program.
    pub profile: RuntimeProfile,
    /// Backends in the order of their use; the first one names the pattern's labels.
    pub backends: Vec<Backend>,
    /// Who decides the replicas.
    pub scaler: ActiveScaler,
    /// Whether a person holds the replicas where they are, or at a number.
    pub control: Control,
    /// The number to run, or to begin with when a scaler decides.
    pub replicas: i32,
    /// Host and port of the admin of its stack.
    pub admin: Option<String>,
    /// Port of the runner and of its Service.
    pub port: i32,
    /// Resources of the runner.
    pub resources: Option<ResourceRequirements>,
    /// Where the pods run.
    pub placement: Placement,
    /// Labels of every child and of the pods.
    pub labels: BTreeMap<String, String>,
    /// Labels by which Services and budgets find the pods.
    pub pod_selector: BTreeMap<String, String>,
    /// What this operator refuses.
    pub refusals: Refusals,
    /// The rest, as written.
    pub spec: PrismPatternSpec,
}

impl ResolvedPattern {
    /// Resolves `pattern`, once for all builders.
    pub(super) fn new(pattern: &PrismPattern, facts: &Facts) -> Result<Self, Invalid> {
        let spec = pattern.spec.clone();
        let name = pattern.metadata.name.clone().unwrap_or_default();
        let pattern_type = spec
            .pattern_type()
            .ok_or_else(|| {
                Invalid::new("spec.pattern", "name the pattern to run, such as keyvalue or consumer")
            })?
            .to_owned();
        let stack = pattern.metadata.labels.as_ref().and_then(|all| all.get(labels::STACK)).cloned();
        let kind = kind::decide(&spec, &pattern_type);
        let backends = backend::resolve(pattern, facts);
        let first = backends.first().map(|backend| backend.name.as_str());
        let scaler = active_scaler(spec.autoscaling.as_ref());
        Ok(Self {
            workload: workload_name(&name, kind.value),
            image: spec
                .image
                .clone()
                .unwrap_or_else(|| facts.defaults.image(&format!("{pattern_type}-runner"))),
            profile: spec.runtime_profile.unwrap_or_default(),
            replicas: replicas(
                spec.replicas.unwrap_or(1),
                spec.autoscaling.as_ref(),
                kind.value,
                &facts.runner,
                pattern.status.as_ref().and_then(|status| status.desired_replicas),
            ),
            port: spec.service.as_ref().and_then(|service| service.port).unwrap_or(DEFAULT_PORT),
            resources: resources(&spec),
            placement: placement(&spec),
            labels: pattern_labels::all(&name, &pattern_type, first, stack.as_deref()),
            pod_selector: pattern_labels::pod_selector(&name),
            namespace: pattern.metadata.namespace.clone().unwrap_or_default(),
            uid: pattern.metadata.uid.clone().unwrap_or_default(),
            pattern_type,
            stack,
            kind,
            backends,
            scaler,
            control: control(pattern.metadata.annotations.as_ref(), None)?,
            admin: facts.admin.clone(),
            refusals: facts.defaults.refusals,
            name,
            spec,
        })
    }

    /// What `metadata.ownerReferences` of every child says.
    #[must_use]
    pub fn owner_reference(&self) -> OwnerReference {
        owner::reference("PrismPattern", &self.name, &self.uid)
    }
}

/// Field by field, `placement` wins over its alias `runnerSpec`.
fn placement(spec: &PrismPatternSpec) -> Placement {
    let outer = spec.placement.clone().unwrap_or_default();
    let alias = spec.runner_spec.clone().unwrap_or_default();
    let Placement {
        strategy,
        node_selector,
        node_name,
        affinity,
        tolerations,
        topology_spread_constraints,
        priority_class_name,
        runtime_class_name,
        scheduler_name,
        resources,
    } = outer;
    Placement {
        strategy: strategy.or(alias.strategy),
        node_selector: if node_selector.is_empty() { alias.node_selector } else { node_selector },
        node_name: node_name.or(alias.node_name),
        affinity: affinity.or(alias.affinity),
        tolerations: if tolerations.is_empty() { alias.tolerations } else { tolerations },
        topology_spread_constraints: if topology_spread_constraints.is_empty() {
            alias.topology_spread_constraints
        } else {
            topology_spread_constraints
        },
        priority_class_name: priority_class_name.or(alias.priority_class_name),
        runtime_class_name: runtime_class_name.or(alias.runtime_class_name),
        scheduler_name: scheduler_name.or(alias.scheduler_name),
        resources: resources.or(alias.resources),
    }
}

/// The block beside the placement wins over the one inside.
fn resources(spec: &PrismPatternSpec) -> Option<ResourceRequirements> {
    spec.resources.clone().or_else(|| placement(spec).resources)
}
