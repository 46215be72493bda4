//! What a pattern's status says.

use k8s_openapi::jiff::Timestamp;
use prism_api::{
    condition::{self, reason},
    pattern::{PrismPattern, PrismPatternStatus},
};

use super::{
    Plan,
    backend::{Backend, Found, not_permitted},
    facts::Facts,
};
use crate::{
    conditions::Conditions,
    invalid::Invalid,
    program::Rollout,
    report::{Problem, Report, phase, reconciling, with_hold, with_storage},
    scaling::{self, ScalingPlan},
};

/// The status after a pass. `facts` are those after it.
#[must_use]
pub fn status(
    pattern: &PrismPattern,
    plan: &Plan,
    facts: &Facts,
    report: Report,
    now: Timestamp,
) -> PrismPatternStatus {
    let previous = pattern.status.clone().unwrap_or_default();
    let resolved = &plan.pattern;
    let workload = facts.runner.workload(resolved.kind.value).cloned().unwrap_or_default();
    let problems = with_storage(with_hold(report.problems, plan.hold.as_deref()), &plan.runner);
    let stall = problems.iter().find_map(Problem::as_stall);
    let rollout = Rollout::of(resolved.kind.value, &facts.runner);

    let mut conditions = Conditions::new(&previous.conditions, pattern.metadata.generation, now);
    match (&stall, &rollout) {
        (Some((reason, message)), _) => conditions.set(condition::READY, false, reason, *message),
        (None, rollout) => {
            conditions.set(condition::READY, rollout.is_ready, rollout.reason, rollout.message.as_str());
        }
    }
    reconciling(&mut conditions, &problems, Some(&rollout), report.is_paused);
    if let Some((reason, message)) = &stall {
        conditions.set(condition::STALLED, true, reason, *message);
    }
    backend_resolved(&mut conditions, &resolved.backends);
    let scaling = scaling::conditions(
        &mut conditions,
        &plan.runner.program.scaling(),
        &plan.runner.scaling,
        &facts.runner.scaling,
        previous.scaling.as_ref(),
        now,
    );
    advice(&mut conditions, &plan.runner.scaling);
    let conditions = conditions.finish();

    PrismPatternStatus {
        observed_generation: pattern.metadata.generation,
        phase: Some(phase(&conditions, workload.available > 0, previous.phase)),
        kind: Some(resolved.kind.value),
        workload: Some(resolved.workload.clone()),
        scaler: Some(resolved.scaler),
        backend: Some(names(&resolved.backends)).filter(|names| !names.is_empty()),
        replicas: Some(workload.replicas),
        desired_replicas: Some(if rollout.exists { workload.desired } else { resolved.replicas }),
        ready_replicas: Some(workload.ready),
        available_replicas: Some(workload.available),
        updated_replicas: Some(workload.updated),
        selector: Some(selector(&resolved.pod_selector)),
        scaling,
        last_handled_reconcile_at: report.handled_request.or(previous.last_handled_reconcile_at),
        inventory: report.inventory,
        conditions,
    }
}

/// The status of a pattern whose spec cannot be followed: what runs, runs on, and is still counted.
#[must_use]
pub fn refused(
    pattern: &PrismPattern,
    invalid: &Invalid,
    facts: &Facts,
    now: Timestamp,
) -> PrismPatternStatus {
    let previous = pattern.status.clone().unwrap_or_default();
    let workload = previous.kind.and_then(|kind| facts.runner.workload(kind)).cloned();
    // One that is made anew begins with the number that was there last.
    let desired = workload.as_ref().map(|workload| workload.desired);
    let workload = workload.unwrap_or_default();
    let mut conditions = Conditions::new(&previous.conditions, pattern.metadata.generation, now);
    conditions.set(condition::READY, false, reason::INVALID_SPEC, invalid.to_string());
    conditions.set(condition::STALLED, true, reason::INVALID_SPEC, invalid.to_string());
    conditions.keep(condition::BACKEND_RESOLVED);
    for kept in [condition::SCALING_ACTIVE, condition::SCALING_LIMITED, condition::SCALER_CONFLICT] {
        conditions.keep(kept);
    }
    let conditions = conditions.finish();
    PrismPatternStatus {
        observed_generation: pattern.metadata.generation,
        phase: Some(phase(&conditions, workload.available > 0, previous.phase)),
        replicas: Some(workload.replicas),
        desired_replicas: desired.or(previous.desired_replicas),
        ready_replicas: Some(workload.ready),
        available_replicas: Some(workload.available),
        updated_replicas: Some(workload.updated),
        conditions,
        ..previous
    }
}

/// Whether two statuses differ in nothing but counts and messages.
#[must_use]
pub fn is_progress_only(before: &PrismPatternStatus, after: &PrismPatternStatus) -> bool {
    let essence = |status: &PrismPatternStatus| {
        let mut essence = PrismPatternStatus {
            replicas: None,
            desired_replicas: None,
            ready_replicas: None,
            available_replicas: None,
            updated_replicas: None,
            ..status.clone()
        };
        essence.conditions.iter_mut().for_each(|condition| condition.message.clear());
        essence
    };
    essence(before) == essence(after)
}

fn advice(conditions: &mut Conditions<'_>, plan: &ScalingPlan) {
    if let Some((reason, message)) = scaling::warnings(plan).next() {
        conditions.set(condition::SPEC_WARNING, true, reason, message);
    }
}

fn backend_resolved(conditions: &mut Conditions<'_>, backends: &[Backend]) {
    let worst = backends.iter().max_by_key(|backend| backend.found.badness());
    let Some(Backend { name, found, .. }) = worst else {
        return conditions.set(
            condition::BACKEND_RESOLVED,
            true,
            reason::NO_BACKEND,
            "the pattern names no backend",
        );
    };
    let (status, reason, message) = match found {
        Found::Resource => (true, reason::BACKEND_FOUND, format!("PrismBackend {name} was found")),
        Found::BuiltIn => (true, reason::BUILT_IN_BACKEND, format!("{name} is a built-in backend type")),
        Found::WithoutAddress => (
            false,
            reason::CONNECTION_MISSING,
            format!(
                "backend {name} has no address: create a PrismBackend named {name}, or set its address in spec.backendConfig"
            ),
        ),
        Found::NotPermitted => (false, reason::REF_NOT_PERMITTED, not_permitted(name)),
        Found::Nowhere => (
            false,
            reason::BACKEND_NOT_FOUND,
            format!(
                "backend {name} was not found: create a PrismBackend named {name} in this namespace, or correct spec.backend"
            ),
        ),
    };
    conditions.set(condition::BACKEND_RESOLVED, status, reason, message);
}

impl Found {
    fn badness(self) -> u8 {
        match self {
            Self::Resource => 0,
            Self::BuiltIn => 1,
            Self::WithoutAddress => 2,
            Self::Nowhere => 3,
            Self::NotPermitted => 4,
        }
    }
}

fn names(backends: &[Backend]) -> String {
    backends.iter().map(|backend| backend.name.as_str()).collect::<Vec<_>>().join(",")
}

fn selector(labels: &std::collections::BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
