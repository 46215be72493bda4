//! What a backend's status says.

use k8s_openapi::jiff::Timestamp;
use prism_api::{
    backend::{BackendPhase, PrismBackend, PrismBackendSpec, PrismBackendStatus},
    condition::{self, reason},
};

use super::{
    Plan,
    facts::{Facts, ServiceView},
    resolved::{ResolvedBackend, is_provisioned, resolve},
    server::{KIND, Server},
};
use crate::{
    conditions::{Conditions, is_true},
    invalid::Invalid,
    program::Rollout,
    report::{Problem, Report, reconciling, with_hold, with_storage},
    scaling,
};

/// The status after a pass. `facts` are those after it.
#[must_use]
pub fn status(
    backend: &PrismBackend,
    plan: &Plan,
    facts: &Facts,
    report: Report,
    now: Timestamp,
) -> PrismBackendStatus {
    let previous = backend.status.clone().unwrap_or_default();
    let problems = with_hold(report.problems, plan.hold.as_deref());
    let problems = match &plan.server {
        Some(Server { program, .. }) => with_storage(problems, program),
        None => problems,
    };
    let stall = problems.iter().find_map(Problem::as_stall);
    let rollout = plan.server.as_ref().map(|_| Rollout::of(KIND, &facts.server));

    let mut conditions = Conditions::new(&previous.conditions, backend.metadata.generation, now);
    match (&stall, &rollout) {
        (Some((reason, message)), _) => conditions.set(condition::READY, false, reason, *message),
        (None, Some(rollout)) => {
            conditions.set(condition::READY, rollout.is_ready, rollout.reason, rollout.message.as_str());
        }
        (None, None) => reachable(&mut conditions, &backend.spec, &plan.backend, &facts.service),
    }
    reconciling(&mut conditions, &problems, rollout.as_ref(), report.is_paused);
    if let Some((reason, message)) = &stall {
        conditions.set(condition::STALLED, true, reason, *message);
    }
    conditions.set_unknown(condition::BACKEND_HEALTHY, reason::NOT_PROBED, NOT_PROBED);
    if let Some(Server { program, .. }) = &plan.server {
        let scaling = program.program.scaling();
        scaling::conditions(&mut conditions, &scaling, &program.scaling, &facts.server.scaling, None, now);
    }
    if let Some(rollout) = &rollout {
        conditions.set(condition::PROVISIONED, rollout.is_ready, rollout.reason, rollout.message.as_str());
    }
    let conditions = conditions.finish();

    PrismBackendStatus {
        observed_generation: backend.metadata.generation,
        phase: Some(phase(&conditions, rollout.as_ref(), facts, previous.phase)),
        provider: Some(plan.backend.provider.clone()),
        endpoint: plan.backend.endpoint.clone(),
        last_checked: None,
        healthy: None,
        message: None,
        last_handled_reconcile_at: report.handled_request.or(previous.last_handled_reconcile_at),
        inventory: report.inventory,
        conditions,
    }
}

/// What is said of a backend that nobody has connected to.
const NOT_PROBED: &str = "nobody has connected to it yet";

/// Whether a backend that somebody else runs can be used, as far as that can be told from here.
fn reachable(
    conditions: &mut Conditions<'_>,
    spec: &PrismBackendSpec,
    backend: &ResolvedBackend,
    service: &ServiceView,
) {
    if backend.is_reachable() {
        return conditions.set_unknown(condition::READY, reason::NOT_PROBED, NOT_PROBED);
    }
    let advice = match &spec.service_ref {
        Some(reference) if *service == ServiceView::Refused => {
            let message = format!(
                "spec.serviceRef: namespace {} does not exist or does not consent to be used by others: let it carry the label prism.io/backend-type, or set spec.connection.url",
                reference.namespace.as_ref().unwrap_or(&backend.namespace)
            );
            return conditions.set(condition::READY, false, reason::REF_NOT_PERMITTED, message);
        }
        Some(reference) => format!(
            "no Service {} in namespace {} carries the label prism.io/backend-type: label it, correct spec.serviceRef, or set spec.connection.url",
            reference.name,
            reference.namespace.as_ref().unwrap_or(&backend.namespace)
        ),
        None => "the backend has no address: set spec.connection.url, spec.serviceRef or spec.provision, or name the key of the Secret that holds it in spec.connection.secretRef.keys.url".to_owned(),
    };
    conditions.set(condition::READY, false, reason::CONNECTION_MISSING, advice);
}

/// The status of a backend whose spec cannot be followed: what runs, runs on.
#[must_use]
pub fn refused(
    backend: &PrismBackend,
    invalid: &Invalid,
    facts: &Facts,
    now: Timestamp,
) -> PrismBackendStatus {
    let previous = backend.status.clone().unwrap_or_default();
    let mut conditions = Conditions::new(&previous.conditions, backend.metadata.generation, now);
    conditions.set(condition::READY, false, reason::INVALID_SPEC, invalid.to_string());
    conditions.set(condition::STALLED, true, reason::INVALID_SPEC, invalid.to_string());
    conditions.keep(condition::BACKEND_HEALTHY);
    conditions.keep(condition::PROVISIONED);
    conditions.keep(condition::SCALER_CONFLICT);
    let conditions = conditions.finish();
    let rollout = is_provisioned(&backend.spec).then(|| Rollout::of(KIND, &facts.server));
    PrismBackendStatus {
        observed_generation: backend.metadata.generation,
        phase: Some(phase(&conditions, rollout.as_ref(), facts, previous.phase)),
        provider: previous.provider.or_else(|| Some(provider(backend, facts))),
        conditions,
        ..previous
    }
}

fn provider(backend: &PrismBackend, facts: &Facts) -> String {
    let name = backend.metadata.name.as_deref().unwrap_or_default();
    let namespace = backend.metadata.namespace.as_deref().unwrap_or_default();
    resolve(&backend.spec, name, namespace, facts.service.facts()).provider
}

/// Whether two statuses differ in nothing but messages.
#[must_use]
pub fn is_progress_only(before: &PrismBackendStatus, after: &PrismBackendStatus) -> bool {
    let essence = |status: &PrismBackendStatus| {
        let mut essence = status.clone();
        essence.conditions.iter_mut().for_each(|condition| condition.message.clear());
        essence
    };
    essence(before) == essence(after)
}

/// Of a server of ours more is known than of others: whether its pods serve.
fn phase(
    conditions: &[condition::Condition],
    rollout: Option<&Rollout>,
    facts: &Facts,
    before: Option<BackendPhase>,
) -> BackendPhase {
    let Some(rollout) = rollout else { return BackendPhase::Unknown };
    let has_served = matches!(before, Some(BackendPhase::Ready | BackendPhase::Unhealthy));
    let serves = facts.server.workload(KIND).is_some_and(|workload| workload.available > 0);
    let is_stuck = !rollout.is_ready && !rollout.is_moving;
    if is_true(conditions, condition::READY) {
        BackendPhase::Ready
    } else if is_true(conditions, condition::STALLED) || is_stuck || (has_served && !serves) {
        BackendPhase::Unhealthy
    } else {
        BackendPhase::Unknown
    }
}
