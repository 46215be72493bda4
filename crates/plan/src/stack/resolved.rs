//! A stack with one spelling of everything: what the builders work from.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{api::core::v1::EnvVar, apimachinery::pkg::apis::meta::v1::OwnerReference};
use prism_api::{
    component::ComponentStatus,
    labels, names,
    observability::Observability,
    stack::{Approval, PlannedAction, PrismStack, PrismStackSpec, StackBackend},
    workload::{RuntimeProfile, WorkloadKind},
};

use super::facts::Facts;
use crate::{backend::secret_name, defaults::Defaults, environment::literal, owner, text::bounded};

/// Names of Services, and of the objects that Services are named after, are DNS labels.
const NAME_LIMIT: usize = 63;
/// Port of metrics if the spec does not say.
const DEFAULT_METRICS_PORT: i32 = 9090;

/// Name of the object that the stack `stack` makes of its entry `name`.
#[must_use]
pub fn child_name(stack: &str, name: &str) -> String {
    bounded(&format!("{stack}-{name}"), NAME_LIMIT)
}

/// A stack after defaults and references.
#[derive(Clone, Debug)]
pub struct ResolvedStack {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The plan that a person has agreed to, by its hash.
    pub approved: Option<String>,
    /// The plan that the status shows, by its hash.
    pub announced: Option<String>,
    /// The plan that the status shows.
    pub announced_plan: Vec<PlannedAction>,
    /// What the status recorded of the components last.
    pub recorded: Vec<ComponentStatus>,
    /// Generation of the spec: what was agreed to for one is not agreed to for the next.
    pub generation: i64,
    /// Conventions of the programs.
    pub profile: RuntimeProfile,
    /// What images are called that no spec names, and what this operator refuses.
    pub images: Defaults,
    /// Whether somebody chose those, rather than the operator.
    pub has_own_images: bool,
    /// The rest, as written.
    pub spec: PrismStackSpec,
}

impl ResolvedStack {
    /// Resolves `stack`, once for all builders.
    pub(super) fn new(stack: &PrismStack, facts: &Facts) -> Self {
        let spec = stack.spec.clone();
        let annotations = stack.metadata.annotations.as_ref();
        Self {
            name: stack.metadata.name.clone().unwrap_or_default(),
            namespace: stack.metadata.namespace.clone().unwrap_or_default(),
            uid: stack.metadata.uid.clone().unwrap_or_default(),
            annotations: annotations.cloned().unwrap_or_default(),
            approved: annotations.and_then(|all| all.get(labels::APPROVED_PLAN)).cloned(),
            announced: stack.status.as_ref().and_then(|status| status.plan_hash.clone()),
            announced_plan: stack.status.as_ref().map(|status| status.plan.clone()).unwrap_or_default(),
            recorded: stack.status.as_ref().map(|status| status.components.clone()).unwrap_or_default(),
            generation: stack.metadata.generation.unwrap_or_default(),
            profile: spec.runtime_profile.unwrap_or_default(),
            images: Defaults {
                image_registry: spec
                    .image_registry
                    .clone()
                    .unwrap_or_else(|| facts.defaults.image_registry.clone()),
                version: spec.version.clone().unwrap_or_else(|| facts.defaults.version.clone()),
                refusals: facts.defaults.refusals,
            },
            has_own_images: spec.image_registry.is_some() || spec.version.is_some(),
            spec,
        }
    }

    /// `<stack>-<name>`.
    #[must_use]
    pub fn child_name(&self, name: &str) -> String {
        child_name(&self.name, name)
    }

    /// How many replicas the `component` had when the status was written, if it was of that kind, or of
    /// any.
    #[must_use]
    pub fn recorded(&self, component: &str, kind: Option<WorkloadKind>) -> Option<i32> {
        let recorded = self.recorded.iter().find(|part| part.name == component)?;
        let is_kind = kind.is_none_or(|kind| recorded.kind.as_deref() == Some(kind.as_str()));
        recorded.replicas.filter(|_| is_kind)
    }

    /// Whether changes that replace or delete something wait for a person.
    #[must_use]
    pub fn needs_approval(&self) -> bool {
        self.spec.approval == Some(Approval::Manual)
    }

    /// The observability block, if it counts.
    #[must_use]
    pub fn observability(&self) -> Option<&Observability> {
        self.spec.observability.as_ref().filter(|block| block.is_enabled())
    }

    /// Port of metrics, where it is free.
    #[must_use]
    pub fn metrics_port(&self) -> i32 {
        let metrics = self.observability().and_then(|block| block.metrics.as_ref());
        metrics.and_then(|metrics| metrics.port).unwrap_or(DEFAULT_METRICS_PORT)
    }

    /// Variables by which every program learns where traces go, and how to write logs.
    #[must_use]
    pub fn telemetry(&self, service: &str) -> Vec<EnvVar> {
        let Some(block) = self.observability() else { return Vec::new() };
        let mut env = Vec::new();
        let mut set = |name: &str, value: String| {
            env.push(literal(name, value));
        };
        let tracing = block.tracing.as_ref();
        if let Some(endpoint) = tracing.and_then(|tracing| tracing.endpoint.clone()) {
            set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
            set("OTEL_SERVICE_NAME", service.to_owned());
            if let Some(percent) = tracing.and_then(|tracing| tracing.sampling_percentage) {
                set("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".to_owned());
                set("OTEL_TRACES_SAMPLER_ARG", (f64::from(percent) / 100.0).to_string());
            }
        }
        if block.loki.as_ref().is_some_and(|loki| loki.enabled.unwrap_or(true)) {
            set("LOG_FORMAT", "json".to_owned());
        }
        env
    }

    /// What `metadata.ownerReferences` of every child in the stack's own namespace says.
    #[must_use]
    pub fn owner_reference(&self) -> OwnerReference {
        owner::reference("PrismStack", &self.name, &self.uid)
    }

    /// Names of the Secrets of its backends that `is_meant` picks: those that they name, and those that the
    /// operator makes for their servers.
    #[must_use]
    pub fn secrets(&self, is_meant: impl Fn(&StackBackend) -> bool) -> BTreeSet<String> {
        let backends = self.spec.backends.iter().filter(|backend| is_meant(backend));
        let named = |backend: &StackBackend| {
            let inner =
                backend.spec.connection.as_ref().and_then(|connection| connection.secret_ref.as_ref());
            inner.or(backend.spec.secret_ref.as_ref()).map(|secret| secret.name.clone())
        };
        backends
            .map(|backend| named(backend).unwrap_or_else(|| secret_name(&self.child_name(&backend.name))))
            .collect()
    }

    /// Labels of whatever belongs to the stack as a whole, or to its `component`.
    #[must_use]
    pub fn labels(&self, component: &str) -> BTreeMap<String, String> {
        let program = format!("prism-{component}");
        [
            (labels::APP_NAME, program.as_str()),
            (labels::APP_INSTANCE, &self.name),
            (labels::APP_COMPONENT, component),
            (labels::APP_PART_OF, &self.name),
            (labels::APP_MANAGED_BY, names::MANAGED_BY),
            (labels::COMPONENT, component),
            (labels::STACK, &self.name),
            (labels::PLAIN_APP, &program),
            (labels::PLAIN_COMPONENT, &program),
            (labels::PLAIN_STACK, &self.name),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
    }
}
