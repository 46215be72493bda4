//! What a pass came to, and what that means for the conditions that every kind has.

use k8s_openapi::jiff::Timestamp;
use prism_api::{
    condition::{self, Condition, reason},
    inventory::InventoryEntry,
    pattern::Phase,
};

use crate::{
    conditions::{Conditions, is_true},
    program::{ProgramPlan, Rollout, StorageVerdict},
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

impl Problem {
    /// Reason and message, if somebody has to act.
    #[must_use]
    pub fn as_stall(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Stalled { reason, message } => Some((reason, message)),
            Self::Retrying(_) | Self::Waiting(_) => None,
        }
    }
}

/// The problems, and that nothing is changed because a namespace does not consent.
#[must_use]
pub fn with_hold(mut problems: Vec<Problem>, hold: Option<&str>) -> Vec<Problem> {
    let stalled =
        |message: &str| Problem::Stalled { reason: reason::REF_NOT_PERMITTED, message: message.to_owned() };
    problems.extend(hold.map(stalled));
    problems
}

/// The problems, and that of volumes that cannot be as they are wanted.
#[must_use]
pub fn with_storage(mut problems: Vec<Problem>, plan: &ProgramPlan) -> Vec<Problem> {
    problems.extend(plan.missing_class.iter().map(|message| Problem::Stalled {
        reason: reason::STORAGE_CLASS_NOT_FOUND,
        message: message.clone(),
    }));
    if let StorageVerdict::Refused { reason, advice, .. } = &plan.storage {
        problems.push(Problem::Stalled { reason, message: advice.clone() });
    }
    problems
}

/// `Reconciling` stands there only while it is true, or to say that it cannot be.
pub fn reconciling(
    conditions: &mut Conditions<'_>,
    problems: &[Problem],
    rollout: Option<&Rollout>,
    is_paused: bool,
) {
    if is_paused {
        let message = "reconciliation is paused: remove the annotation prism.io/pause-reconciliation, here or on the stack, or its spec.paused, to go on";
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
    } else if let Some(rollout) = rollout.filter(|rollout| rollout.is_moving) {
        conditions.set(condition::RECONCILING, true, reason::WORKLOAD_PROGRESSING, rollout.message.as_str());
    }
}

/// The conditions of an object whose deletion does not come to an end: `previous`, and why. It is not `Stalled`
/// for it: everything that holds a deletion up is tried again.
#[must_use]
pub fn deletion_failed(
    previous: &[Condition],
    generation: Option<i64>,
    problem: &Problem,
    now: Timestamp,
) -> Vec<Condition> {
    let mut conditions = Conditions::new(previous, generation, now);
    for condition in
        previous.iter().filter(|known| ![condition::RECONCILING, condition::STALLED].contains(&&*known.type_))
    {
        conditions.keep(&condition.type_);
    }
    let (Problem::Stalled { message, .. } | Problem::Retrying(message) | Problem::Waiting(message)) = problem;
    conditions.set(condition::RECONCILING, true, reason::DELETION_FAILED, message.as_str());
    conditions.finish()
}

/// The state in one word.
#[must_use]
pub fn phase(conditions: &[Condition], is_serving: bool, before: Option<Phase>) -> Phase {
    let was_running = matches!(before, Some(Phase::Running | Phase::Degraded | Phase::Failed));
    match (is_true(conditions, condition::READY), is_true(conditions, condition::STALLED)) {
        (true, _) => Phase::Running,
        (false, true) if !is_serving => Phase::Failed,
        (false, false) if !was_running => Phase::Pending,
        (false, _) => Phase::Degraded,
    }
}
