//! What admin, proxy and web console have in common.

use k8s_openapi::{
    api::core::v1::{EnvVar, HTTPGetAction, Probe, TCPSocketAction},
    apimachinery::pkg::util::intstr::IntOrString,
};
use prism_api::{
    component::{ComponentSpec, ScaledComponentSpec},
    labels,
    placement::Placement,
    workload::{Probes, RuntimeProfile, WorkloadKind},
};

use super::{admin, resolved::ResolvedStack};
use crate::{
    edge::METRICS_LABEL,
    environment::overridden,
    invalid::Invalid,
    program::{Port, Program, ProgramFacts, replicas, workload_name},
    scaling::{active_scaler, control},
};

/// Name of the port that clients use.
pub(super) const CLIENT_PORT: &str = "grpc";
/// Name of the port of metrics and health checks.
const METRICS_PORT: &str = "metrics";

/// What tells one component from the others.
pub(super) struct Role {
    /// `admin`, `proxy` or `web-console`.
    pub(super) component: &'static str,
    /// Its block in the spec.
    pub(super) field: &'static str,
    /// Kind of its workload, if the spec does not say.
    pub(super) kind: WorkloadKind,
    /// Name of the port that clients use.
    pub(super) port_name: &'static str,
    /// Its port with the profiles standard and upstream.
    pub(super) ports: [i32; 2],
}

/// The program of a component that may scale.
pub(super) fn scaled(
    stack: &ResolvedStack,
    role: &Role,
    spec: &ScaledComponentSpec,
    facts: &ProgramFacts,
) -> Result<Program, Invalid> {
    let base = program(stack, role, &spec.component);
    let wanted = spec.component.replicas.unwrap_or(1);
    Ok(Program {
        scaler: active_scaler(spec.autoscaling.as_ref()),
        replicas: replicas(
            wanted,
            spec.autoscaling.as_ref(),
            base.kind,
            facts,
            stack.recorded(role.component, None),
        ),
        autoscaling: spec.autoscaling.clone(),
        control: control(Some(&stack.annotations), Some(role.component))?,
        pattern: base.name.clone(),
        admin: admin_endpoint(stack),
        ..base
    })
}

/// The program of a component, without what only its own builder knows.
pub(super) fn program(stack: &ResolvedStack, role: &Role, spec: &ComponentSpec) -> Program {
    let kind = match (spec.kind, &spec.storage) {
        (Some(kind), _) => kind,
        (None, Some(_)) => WorkloadKind::StatefulSet,
        (None, None) => role.kind,
    };
    let port = port(stack, role, spec);
    let probes = spec.probes.clone().unwrap_or_default();
    let default = default_probes(stack.profile, role);
    let mut service = spec.service.clone().unwrap_or_default();
    service.labels.insert(METRICS_LABEL.to_owned(), "true".to_owned());
    let labels = stack.labels(role.component);
    let selector = [labels::STACK, labels::COMPONENT];
    let selector = selector.into_iter().filter_map(|key| labels.get_key_value(key));
    Program {
        field: role.field.to_owned(),
        name: workload_name(&stack.child_name(role.component), kind),
        namespace: stack.namespace.clone(),
        owner: stack.owner_reference(),
        container: role.component.to_owned(),
        kind,
        image: spec.image.clone().unwrap_or_else(|| stack.images.image(&format!("prism-{}", role.component))),
        image_pull_policy: spec.image_pull_policy.or(stack.spec.image_pull_policy),
        image_pull_secrets: or(&spec.image_pull_secrets, &stack.spec.image_pull_secrets),
        args: spec.args.clone(),
        env: overridden(stack.telemetry(&stack.child_name(role.component)), &spec.env),
        env_from: spec.env_from.clone(),
        ports: vec![
            Port { name: role.port_name, number: port },
            Port { name: METRICS_PORT, number: metrics_port(stack, role, spec) },
        ],
        probes: Probes {
            liveness: probes.liveness.or(default.liveness),
            readiness: probes.readiness.or(default.readiness),
            startup: probes.startup,
        },
        resources: spec
            .resources
            .clone()
            .or_else(|| spec.placement.as_ref().and_then(|placement| placement.resources.clone())),
        placement: placement(stack, spec.placement.clone()),
        storage: spec.storage.clone().filter(|_| kind == WorkloadKind::StatefulSet),
        deletes_volumes: stack.spec.deletion_policy == Some(prism_api::backend::DeletionPolicy::Delete),
        pod_selector: selector.map(|(key, value)| (key.clone(), value.clone())).collect(),
        labels,
        pod_labels: spec.pod_labels.clone(),
        pod_annotations: spec.pod_annotations.clone(),
        pod_template: spec.pod_template.clone(),
        service_account_name: spec.service_account_name.clone(),
        termination_grace_period_seconds: spec.termination_grace_period_seconds,
        service,
        disruption_budget: spec.disruption_budget.clone().unwrap_or_default(),
        replicas: spec.replicas.unwrap_or(1),
        secrets: stack.secrets(|_| true),
        refusals: stack.images.refusals,
        ..Program::default()
    }
}

/// The port that clients use.
pub(super) fn port(stack: &ResolvedStack, role: &Role, spec: &ComponentSpec) -> i32 {
    let in_service = spec.service.as_ref().and_then(|service| service.port);
    in_service.or(spec.port).unwrap_or(match stack.profile {
        RuntimeProfile::Standard => role.ports[0],
        RuntimeProfile::Upstream => role.ports[1],
    })
}

/// The port of metrics; one more where clients connect to that one.
pub(super) fn metrics_port(stack: &ResolvedStack, role: &Role, spec: &ComponentSpec) -> i32 {
    let wanted = spec.metrics_port.unwrap_or_else(|| stack.metrics_port());
    if wanted == port(stack, role, spec) { wanted + 1 } else { wanted }
}

/// Whether somebody asked for a port of metrics that clients connect to already.
pub(super) fn port_has_moved(stack: &ResolvedStack, role: &Role, spec: &ComponentSpec) -> bool {
    let of_stack = stack.observability().and_then(|block| block.metrics.as_ref()?.port);
    spec.metrics_port.or(of_stack) == Some(port(stack, role, spec))
}

/// HTTP on `/health` beside the metrics; of the released programs, which have no such thing, no more
/// than a connection is asked.
fn default_probes(profile: RuntimeProfile, role: &Role) -> Probes {
    let check = match profile {
        RuntimeProfile::Standard => Probe {
            http_get: Some(HTTPGetAction {
                path: Some("/health".to_owned()),
                port: IntOrString::String(METRICS_PORT.to_owned()),
                ..HTTPGetAction::default()
            }),
            ..Probe::default()
        },
        RuntimeProfile::Upstream => Probe {
            tcp_socket: Some(TCPSocketAction {
                port: IntOrString::String(role.port_name.to_owned()),
                host: None,
            }),
            ..Probe::default()
        },
    };
    let every =
        |seconds, probe: Probe| Probe { period_seconds: Some(seconds), failure_threshold: Some(3), ..probe };
    Probes {
        readiness: Some(every(5, check.clone())),
        liveness: Some(Probe { initial_delay_seconds: Some(10), ..every(10, check) }),
        startup: None,
    }
}

/// The stack's affinity, where the block has none of its own.
pub(super) fn placement(stack: &ResolvedStack, own: Option<Placement>) -> Placement {
    let own = own.unwrap_or_default();
    Placement { affinity: own.affinity.or_else(|| stack.spec.affinity.clone()), ..own }
}

/// Adds variables of the operator's, unless the spec has one of the name.
pub(super) fn add_env(program: &mut Program, variables: impl IntoIterator<Item = EnvVar>) {
    program.env = overridden(variables.into_iter().collect(), &program.env);
}

/// Host and port of the admin, if the stack has one.
pub(super) fn admin_endpoint(stack: &ResolvedStack) -> Option<String> {
    let admin = stack.spec.admin.as_ref().filter(|admin| admin.component.is_enabled())?;
    Some(endpoint(stack, &program(stack, &admin::ROLE, &admin.component)))
}

/// The first list, if it has anything in it.
pub(super) fn or<T: Clone>(own: &[T], other: &[T]) -> Vec<T> {
    if own.is_empty() { other.to_vec() } else { own.to_vec() }
}

/// Host and port of a Service of the stack, from any namespace.
pub(super) fn endpoint(stack: &ResolvedStack, program: &Program) -> String {
    let port = program.ports.first().map_or(0, |port| port.number);
    format!("{}.{}.svc:{port}", program.name, stack.namespace)
}
