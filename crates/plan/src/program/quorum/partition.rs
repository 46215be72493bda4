//! Which pods of a set of voting members may be replaced by such of a new template.

use prism_api::labels;

use super::{quorum, set::Set};
use crate::program::ProgramFacts;

/// The ordinal from which on pods of a set of `replicas` may be replaced by such of the template with
/// `hash`.
#[must_use]
pub fn partition(replicas: i32, hash: &str, facts: &ProgramFacts) -> i32 {
    let Some(set) = Set::of(facts) else { return replicas };
    // None of those that run is replaced.
    let running = set.members.iter().map(|member| member.ordinal + 1).max();
    let hold = running.map_or(replicas, |running| running.min(set.decided));
    if set.live.notes.get(labels::TEMPLATE_HASH).map(String::as_str) != Some(hash) {
        return hold;
    }
    // A set that is new has not told its revision yet.
    let Some(revision) = set.live.update_revision.as_deref() else { return hold };
    let old = set.members.iter().filter(|member| member.revision != revision);
    let Some(next) = old.map(|member| member.ordinal).filter(|ordinal| *ordinal < set.decided).max() else {
        // One that has yet to start, or was deleted to be replaced, begins with the newest template.
        let missing = (0..set.decided).find(|ordinal| !set.has(*ordinal));
        return missing.unwrap_or(hold);
    };
    let has_quorum = set.count_ready(0..set.decided) >= quorum(set.decided);
    let others_serve = set.incomplete().is_none()
        && (0..set.decided).all(|ordinal| ordinal == next || set.is_ready(ordinal));
    match (has_quorum, others_serve || !set.is_ready(next)) {
        // Nothing to lose, and perhaps the new template is what brings the members back.
        (false, _) => 0,
        (true, true) => next,
        (true, false) => next + 1,
    }
}
