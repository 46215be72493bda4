//! The `PrismPattern`s and `PrismBackend`s that a stack makes of its lists.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{api::core::v1::ContainerPort, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use prism_api::{
    backend::{PrismBackend, PrismBackendSpec},
    labels, names,
    pattern::{PrismPattern, PrismPatternSpec},
    stack::{StackBackend, StackPattern},
};

use super::{
    component::or,
    locality::{Spot, names},
    resolved::ResolvedStack,
};
use crate::{
    backend::is_provisioned,
    environment::overridden,
    restricted::{Setting, restrict},
    text,
};

/// A pattern of the stack, and the object behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct PatternEntry {
    /// Its name in the stack.
    pub name: String,
    /// The object.
    pub object: PrismPattern,
    /// What it waits for before it is made, if it is not there yet.
    pub waits_for: Option<String>,
    /// Whether it stays as it is, because its namespace does not consent.
    pub is_frozen: bool,
    /// Settings of the spec that its namespace does not allow, and that are left out.
    pub withheld: BTreeSet<Setting>,
}

/// A backend of the stack, and the object behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendEntry {
    /// Its name in the stack.
    pub name: String,
    /// The object.
    pub object: PrismBackend,
    /// Whether the stack is ready only if it is: because somebody said so, or because the stack
    /// provides it.
    pub is_required: bool,
    /// What it waits for before it is made.
    pub waits_for: Option<String>,
    /// Whether it stays as it is, because its namespace does not consent.
    pub is_frozen: bool,
}

/// The `PrismPattern` for `entry`, where it lives; in a restricted form, where that is not at home.
pub(super) fn pattern(
    stack: &ResolvedStack,
    entry: &StackPattern,
    spot: &Spot,
    proxy: Option<&str>,
) -> PatternEntry {
    let name = stack.child_name(&entry.name);
    let own = entry.spec.clone();
    let own_image = || {
        let pattern = own.pattern_type().filter(|_| stack.has_own_images)?;
        Some(stack.images.image(&format!("{pattern}-runner")))
    };
    let env = overridden(stack.telemetry(&name), &own.env);
    let mut spec = PrismPatternSpec {
        image: own.image.clone().or_else(own_image),
        image_pull_policy: own.image_pull_policy.or(stack.spec.image_pull_policy),
        image_pull_secrets: or(&own.image_pull_secrets, &stack.spec.image_pull_secrets),
        runtime_profile: own.runtime_profile.or(stack.spec.runtime_profile),
        deletion_policy: own.deletion_policy.or(stack.spec.deletion_policy),
        proxy_endpoint: own.proxy_endpoint.clone().or_else(|| proxy.map(str::to_owned)),
        placement: placement(stack, &own),
        ports: ports(stack, &own),
        env,
        ..own
    };
    let mut labels = common_labels(stack, "pattern");
    labels.insert(labels::PLAIN_RUNNER.to_owned(), name.clone());
    let used = names(entry);
    let secrets = stack.secrets(|backend| used.contains(&backend.name));
    let withheld = match spot {
        Spot::Guest(_, consent) => restrict(&mut spec, consent.settings(), &secrets),
        Spot::Home | Spot::Frozen(_) | Spot::Waiting(_) => BTreeSet::new(),
    };
    let hash = text::hash_of(&spec);
    let namespace = spot.away().unwrap_or(&stack.namespace);
    PatternEntry {
        name: entry.name.clone(),
        object: PrismPattern {
            metadata: metadata(stack, &name, namespace, labels, hash),
            spec,
            status: None,
        },
        waits_for: None,
        is_frozen: matches!(spot, Spot::Frozen(_)),
        withheld,
    }
}

/// The `PrismBackend` for `entry`, where it lives.
pub(super) fn backend(stack: &ResolvedStack, entry: &StackBackend, spot: &Spot) -> BackendEntry {
    let spec = PrismBackendSpec {
        // Without a type of its own, a backend is what its name says.
        type_: entry.spec.type_.clone().or_else(|| Some(entry.name.clone())),
        deletion_policy: entry.spec.deletion_policy.or(stack.spec.deletion_policy),
        ..entry.spec.clone()
    };
    let is_provided = is_provisioned(&spec);
    let mut labels = common_labels(stack, "backend");
    labels.insert(labels::BACKEND.to_owned(), entry.name.clone());
    let hash = text::hash_of(&spec);
    let namespace = spot.away().unwrap_or(&stack.namespace);
    let metadata = metadata(stack, &stack.child_name(&entry.name), namespace, labels, hash);
    BackendEntry {
        name: entry.name.clone(),
        object: PrismBackend { metadata, spec, status: None },
        is_required: entry.required.unwrap_or(is_provided),
        waits_for: match spot {
            Spot::Waiting(refusal) => Some(refusal.clone()),
            Spot::Home | Spot::Guest(..) | Spot::Frozen(_) => None,
        },
        is_frozen: matches!(spot, Spot::Frozen(_)),
    }
}

fn metadata(
    stack: &ResolvedStack,
    name: &str,
    namespace: &str,
    labels: BTreeMap<String, String>,
    hash: String,
) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels),
        annotations: Some([(labels::SPEC_HASH.to_owned(), hash)].into()),
        owner_references: Some(vec![stack.owner_reference()]),
        ..ObjectMeta::default()
    }
}

fn common_labels(stack: &ResolvedStack, component: &str) -> BTreeMap<String, String> {
    [
        (labels::APP_INSTANCE, stack.name.as_str()),
        (labels::APP_COMPONENT, component),
        (labels::APP_PART_OF, &stack.name),
        (labels::APP_MANAGED_BY, names::MANAGED_BY),
        (labels::COMPONENT, component),
        (labels::STACK, &stack.name),
        (labels::PLAIN_STACK, &stack.name),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// The stack's affinity, where neither spelling of the placement has one.
fn placement(stack: &ResolvedStack, own: &PrismPatternSpec) -> Option<prism_api::placement::Placement> {
    let blocks = [&own.placement, &own.runner_spec];
    let has_affinity = blocks.into_iter().flatten().any(|placement| placement.affinity.is_some());
    if has_affinity || stack.spec.affinity.is_none() {
        return own.placement.clone();
    }
    let mut placement = own.placement.clone().unwrap_or_default();
    placement.affinity.clone_from(&stack.spec.affinity);
    Some(placement)
}

/// The port of metrics is declared where somebody scrapes it: a monitor finds declared ports only.
fn ports(stack: &ResolvedStack, own: &PrismPatternSpec) -> Vec<ContainerPort> {
    let is_scraped = stack
        .observability()
        .and_then(|block| block.prometheus.as_ref())
        .is_some_and(|prometheus| prometheus.enabled.unwrap_or(true));
    let number = stack.metrics_port();
    let in_service = own.service.as_ref().and_then(|service| service.port);
    let is_taken = in_service == Some(number)
        || own
            .ports
            .iter()
            .any(|port| port.container_port == number || port.name.as_deref() == Some("metrics"));
    let metrics = (is_scraped && !is_taken).then(|| ContainerPort {
        name: Some("metrics".to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    });
    own.ports.iter().cloned().chain(metrics).collect()
}
