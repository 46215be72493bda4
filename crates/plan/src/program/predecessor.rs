//! Which workload stays while its successor starts.

use prism_api::workload::WorkloadKind;

use super::{Program, ProgramFacts};

/// The workload of the other kind, as long as it serves better than its successor.
///
/// A program that changes its kind runs on the old workload until the new one has as many pods
/// available, so nothing is lost if the new one never gets there. Only what the spec itself asks for
/// may be less: a fixed number, or the most that its own scaler may run.
pub(super) fn decide(program: &Program, facts: &ProgramFacts) -> Option<WorkloadKind> {
    let other = program.kind.other();
    let old = facts.workload(other)?;
    let available = facts.workload(program.kind).map_or(0, |new| new.available);
    let most = if program.is_scaled(facts) {
        let own = program.autoscaling.as_ref().filter(|own| own.is_enabled());
        own.and_then(|own| own.max_replicas)
    } else {
        Some(program.replicas)
    };
    (available < old.available.min(most.unwrap_or(i32::MAX))).then_some(other)
}
