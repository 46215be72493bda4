//! How far a workload is.

use prism_api::{condition::reason, workload::WorkloadKind};

use super::facts::{ProgramFacts, WorkloadFacts};

/// How far the workload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Whether there is a workload at all.
    pub exists: bool,
    /// Whether as many pods serve as are wanted.
    pub is_ready: bool,
    /// Whether pods are starting or being replaced.
    pub is_moving: bool,
    /// Reason of the condition that says so.
    pub reason: &'static str,
    /// What to know, with the counts.
    pub message: String,
}

impl Rollout {
    /// Judges the workload of that kind.
    #[must_use]
    pub fn of(kind: WorkloadKind, facts: &ProgramFacts) -> Self {
        let (kind, workload) = (kind.as_str(), facts.workload(kind));
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
            failure if is_observed && available >= desired && desired > 0 => {
                let why = failure.as_ref().map(|failure| format!(": {failure}")).unwrap_or_default();
                (true, true, reason::WORKLOAD_READY, format!("{counts}, {updated} of them up to date{why}"))
            }
            _ => (false, true, reason::WORKLOAD_PROGRESSING, counts),
        };
        Self { exists: true, is_ready, is_moving, reason, message }
    }
}
