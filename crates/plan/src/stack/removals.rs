//! What exists and is no longer wanted: announced before it goes, where that is more than a pod.

use prism_api::{stack::PlannedAction, workload::WorkloadKind};

use super::{
    BackendEntry, Facts, Kept, PatternEntry, Place, admin, approval, facts::place, front,
    resolved::ResolvedStack,
};
use crate::program::workload_name;

/// What the spec still has.
pub(super) struct Wanted<'a> {
    /// Admin, proxy and web console.
    pub(super) components: [bool; 3],
    pub(super) patterns: &'a [PatternEntry],
    pub(super) backends: &'a [BackendEntry],
}

/// What stays for now, and what is announced about it. The admin never goes unannounced; the others
/// only where a person wants to agree.
pub(super) fn announced(
    stack: &ResolvedStack,
    wanted: &Wanted<'_>,
    facts: &Facts,
) -> (Vec<Kept>, Vec<PlannedAction>) {
    let is_manual = stack.needs_approval();
    let entries = is_manual.then(|| entries(wanted, facts)).into_iter().flatten();
    components(stack, wanted, facts).chain(entries).unzip()
}

fn components(
    stack: &ResolvedStack,
    wanted: &Wanted<'_>,
    facts: &Facts,
) -> impl Iterator<Item = (Kept, PlannedAction)> {
    let is_manual = stack.needs_approval();
    let roles = [&admin::ROLE, &front::PROXY, &front::CONSOLE];
    let running = [&facts.admin, &facts.proxy, &facts.console];
    let parts = roles.into_iter().zip(running).zip(wanted.components);
    parts.filter_map(move |((role, running), is_wanted)| {
        let kinds = [WorkloadKind::StatefulSet, WorkloadKind::Deployment];
        let kind = kinds.into_iter().find(|kind| running.workload(*kind).is_some())?;
        let is_announced = !is_wanted && (is_manual || role.component == admin::ROLE.component);
        is_announced.then(|| {
            let name = workload_name(&stack.child_name(role.component), kind);
            let action = approval::of_removal(kind.as_str(), &name, is_manual);
            (Kept::Component(name), action)
        })
    })
}

fn entries(wanted: &Wanted<'_>, facts: &Facts) -> Vec<(Kept, PlannedAction)> {
    let patterns: Vec<Place> = wanted.patterns.iter().map(|entry| place(&entry.object.metadata)).collect();
    let backends: Vec<Place> = wanted.backends.iter().map(|entry| place(&entry.object.metadata)).collect();
    let pattern =
        |place: &Place| (Kept::Pattern(place.clone()), approval::of_removal("PrismPattern", &place.1, true));
    let backend =
        |place: &Place| (Kept::Backend(place.clone()), approval::of_removal("PrismBackend", &place.1, true));
    let patterns = facts.patterns.keys().filter(|known| !patterns.contains(known)).map(pattern);
    let backends = facts.backends.keys().filter(|known| !backends.contains(known)).map(backend);
    patterns.chain(backends).collect()
}
