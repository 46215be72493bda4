//! What a pattern's status says.

use k8s_openapi::jiff::Timestamp;
use prism_api::{
    condition::{self, reason},
    inventory::InventoryEntry,
    pattern::{ActiveScaler, Phase, PrismPattern, PrismPatternStatus},
};

use super::{
    Plan,
    backend::{Backend, Found},
    facts::{Facts, WorkloadFacts},
    storage::StorageVerdict,
};
use crate::{
    conditions::{Conditions, is_true},
    invalid::Invalid,
};

/// What a pass came to, beside what the facts show.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What kept the pass from being complete.
    pub problems: Vec<Problem>,
    /// The children, for the inventory.
    pub inventory: Vec<InventoryEntry>,
    /// Whether the pass was left out because the pattern is paused.
    pub is_paused: bool,
    /// The request for a reconciliation that this pass has served.
    pub handled_request: Option<String>,
}

/// Something that kept a pass from being complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Somebody has to act.
    Stalled {
        /// Reason of the condition.
        reason: &'static str,
        /// What to do.
        message: String,
    },
    /// It is tried again.
    Retrying(String),
    /// It goes on when something else has happened.
    Waiting(String),
}

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
    let workload = facts.workload(resolved.kind.value).cloned().unwrap_or_default();
    let problems = with_storage(report.problems, &plan.storage);
    let stall = problems.iter().find_map(Problem::as_stall);
    let rollout = Rollout::of(facts.workload(resolved.kind.value), plan);

    let mut conditions = Conditions::new(&previous.conditions, pattern.metadata.generation, now);
    match (&stall, &rollout) {
        (Some((reason, message)), _) => conditions.set(condition::READY, false, reason, *message),
        (None, rollout) => {
            conditions.set(condition::READY, rollout.is_ready, rollout.reason, rollout.message.as_str());
        }
    }
    reconciling(&mut conditions, &problems, &rollout, report.is_paused);
    if let Some((reason, message)) = &stall {
        conditions.set(condition::STALLED, true, reason, *message);
    }
    backend_resolved(&mut conditions, &resolved.backends);
    scaling_active(&mut conditions, resolved.scaler, &workload);
    let conditions = conditions.finish();

    PrismPatternStatus {
        observed_generation: pattern.metadata.generation,
        phase: Some(phase(&conditions, &workload, previous.phase)),
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
    let workload = previous.kind.and_then(|kind| facts.workload(kind)).cloned().unwrap_or_default();
    let mut conditions = Conditions::new(&previous.conditions, pattern.metadata.generation, now);
    conditions.set(condition::READY, false, reason::INVALID_SPEC, invalid.to_string());
    conditions.set(condition::STALLED, true, reason::INVALID_SPEC, invalid.to_string());
    conditions.keep(condition::BACKEND_RESOLVED);
    conditions.keep(condition::SCALING_ACTIVE);
    let conditions = conditions.finish();
    PrismPatternStatus {
        observed_generation: pattern.metadata.generation,
        phase: Some(phase(&conditions, &workload, previous.phase)),
        replicas: Some(workload.replicas),
        desired_replicas: Some(workload.desired),
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

impl Problem {
    fn as_stall(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Stalled { reason, message } => Some((reason, message)),
            Self::Retrying(_) | Self::Waiting(_) => None,
        }
    }
}

fn with_storage(mut problems: Vec<Problem>, verdict: &StorageVerdict) -> Vec<Problem> {
    if let StorageVerdict::Refused { reason, advice, .. } = verdict {
        problems.push(Problem::Stalled { reason, message: advice.clone() });
    }
    problems
}

/// How far the workload is.
struct Rollout {
    exists: bool,
    is_ready: bool,
    is_moving: bool,
    reason: &'static str,
    message: String,
}

impl Rollout {
    fn of(workload: Option<&WorkloadFacts>, plan: &Plan) -> Self {
        let kind = plan.pattern.kind.value.as_str();
        let Some(workload) = workload else {
            return Self {
                exists: false,
                is_ready: false,
                is_moving: true,
                reason: reason::WORKLOAD_PROGRESSING,
                message: format!("the {kind} does not exist yet"),
            };
        };
        let WorkloadFacts { is_observed, desired, replicas, available, updated, .. } = *workload;
        let counts = format!("{available} of {desired} replicas are available");
        let is_complete = is_observed && updated >= desired && replicas == desired && available >= desired;
        let (is_ready, is_moving, reason, message) = match &workload.failure {
            Some(failure) if available < desired => {
                (false, false, reason::WORKLOAD_UNAVAILABLE, format!("{counts}: {failure}"))
            }
            _ if is_complete && desired == 0 => {
                (true, false, reason::SCALED_TO_ZERO, "no replicas are wanted".to_owned())
            }
            _ if is_complete => (true, false, reason::WORKLOAD_READY, counts),
            _ if is_observed && available >= desired && desired > 0 => {
                (true, true, reason::WORKLOAD_READY, format!("{counts}, {updated} of them up to date"))
            }
            _ => (false, true, reason::WORKLOAD_PROGRESSING, counts),
        };
        Self { exists: true, is_ready, is_moving, reason, message }
    }
}

/// `Reconciling` stands there only while it is true, or to say that it cannot be.
fn reconciling(conditions: &mut Conditions<'_>, problems: &[Problem], rollout: &Rollout, is_paused: bool) {
    if is_paused {
        let message =
            "reconciliation is paused: remove the annotation prism.io/pause-reconciliation to go on";
        conditions.set(condition::RECONCILING, false, reason::PAUSED, message);
        return;
    }
    let unfinished = problems.iter().find_map(|problem| match problem {
        Problem::Retrying(message) => Some((reason::APPLY_FAILED, message)),
        Problem::Waiting(message) => Some((reason::PROGRESSING, message)),
        Problem::Stalled { .. } => None,
    });
    if let Some((reason, message)) = unfinished {
        conditions.set(condition::RECONCILING, true, reason, message.as_str());
    } else if rollout.is_moving {
        conditions.set(condition::RECONCILING, true, reason::WORKLOAD_PROGRESSING, rollout.message.as_str());
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
        Found::NotPermitted => (
            false,
            reason::REF_NOT_PERMITTED,
            format!(
                "backend {name} refers to another namespace, which has not consented: use a PrismBackend and a Secret of this namespace"
            ),
        ),
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

/// Scalers that this operator cannot run yet leave the workload at the number it has.
fn scaling_active(conditions: &mut Conditions<'_>, scaler: ActiveScaler, workload: &WorkloadFacts) {
    let name = match scaler {
        ActiveScaler::None | ActiveScaler::Hpa => return,
        ActiveScaler::Keda => "keda",
        ActiveScaler::Admin => "admin",
    };
    let message = format!(
        "this operator does not run the scaler {name}: the workload stays at {} replicas until it is scaled by hand or set to scaler: hpa",
        workload.desired
    );
    conditions.set(condition::SCALING_ACTIVE, false, reason::SCALER_NOT_SUPPORTED, message);
}

fn phase(conditions: &[condition::Condition], workload: &WorkloadFacts, before: Option<Phase>) -> Phase {
    let is_serving = workload.available > 0;
    let was_running = matches!(before, Some(Phase::Running | Phase::Degraded | Phase::Failed));
    match (is_true(conditions, condition::READY), is_true(conditions, condition::STALLED)) {
        (true, _) => Phase::Running,
        (false, true) if !is_serving => Phase::Failed,
        (false, false) if !was_running => Phase::Pending,
        (false, _) => Phase::Degraded,
    }
}

fn names(backends: &[Backend]) -> String {
    backends.iter().map(|backend| backend.name.as_str()).collect::<Vec<_>>().join(",")
}

fn selector(labels: &std::collections::BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
