//! Which workload stays while its successor starts.

use prism_api::workload::WorkloadKind;

use super::{Program, ProgramFacts};

/// The workload of the other kind, as long as it serves better than its successor.
///
/// A program that changes its kind runs on the old workload until the new one has as many pods
/// available, so nothing is lost if the new one never gets there.
pub(super) fn decide(program: &Program, facts: &ProgramFacts) -> Option<WorkloadKind> {
    let other = program.kind.other();
    let old = facts.workload(other)?;
    let new = facts.workload(program.kind);
    let available = new.map_or(0, |new| new.available);
    let enough = new.map_or(old.available, |new| old.available.min(new.desired));
    (available < enough).then_some(other)
}
