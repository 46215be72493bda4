//! Changing a program whose members vote, without losing the vote.
//!
//! Pods are replaced one at a time, and members come and go one at a time. The `StatefulSet` controller
//! alone does neither: it follows `spec.replicas` at once, and a rolling update looks only at the pods
//! that it has replaced already, and never at those it has still to replace.
//!
//! Two notes on the `StatefulSet` say how far a change has come: how many members were decided, and of
//! how many each of them is told. No member is ever told of fewer than were decided, so any two
//! majorities that members may believe in have a member in common.

mod partition;
mod set;
#[cfg(test)]
mod tests;
mod wait;

pub use partition::partition;
pub use wait::Wait;

use std::cmp::Ordering;

use prism_api::labels;

use self::set::Set;
use super::{ProgramFacts, WorkloadFacts};

/// One pod of a `StatefulSet`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The number at the end of its name.
    pub ordinal: i32,
    /// Whether it serves.
    pub is_ready: bool,
    /// Revision of the template it was made from.
    pub revision: String,
}

/// Members that must agree, of `members`.
#[must_use]
pub const fn quorum(members: i32) -> i32 {
    members / 2 + 1
}

/// The number of members that the operator has decided for the set that is there. What somebody else
/// wrote into `spec.replicas` does not count. A set of an operator that did not note it has no more than
/// its members are told of.
#[must_use]
pub fn decided(live: &WorkloadFacts) -> i32 {
    let told = || set::note(live, labels::MEMBERS).unwrap_or(live.desired);
    set::note(live, labels::REPLICAS).unwrap_or_else(|| live.desired.min(told()))
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Number of members.
    pub members: i32,
    /// Whether somebody has agreed that they lose their quorum.
    pub may_lose_quorum: bool,
    /// The number that the status recorded last, for a set that is gone.
    pub recorded: Option<i32>,
}

/// How far a change of the number of members has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Members to run.
    pub replicas: i32,
    /// Members that each member is told of.
    pub peers: i32,
    /// Members that what is agreed on was agreed on by: a loss of their quorum is judged by them until
    /// it is complete, not by those that are left half-way.
    pub voters: i32,
    /// Whether the wish would leave too few of the voters to agree on anything, and nobody has agreed.
    pub is_refused: bool,
    /// Whether the wish is still to be fulfilled, step by step.
    pub is_under_way: bool,
    /// What the next step waits for.
    pub waits_for: Option<Wait>,
}

impl Membership {
    fn still(replicas: i32, peers: i32) -> Self {
        Self {
            replicas,
            peers,
            voters: replicas.max(peers),
            is_refused: false,
            is_under_way: false,
            waits_for: None,
        }
    }

    fn waiting(self, wait: Wait) -> Self {
        Self { waits_for: Some(wait), ..self }
    }
}

/// The members as they are, without a step. A set that is made anew begins with every member that runs,
/// and with no fewer than were recorded: a member that is away at that moment is not forgotten.
#[must_use]
pub fn unmoved(wish: &Wish, facts: &ProgramFacts) -> Membership {
    if let Some(set) = Set::of(facts) {
        return Membership::still(set.decided, set.told);
    }
    let running = facts.members.iter().map(|member| member.ordinal + 1).max();
    let replicas = running.max(wish.recorded).unwrap_or(wish.members);
    Membership::still(replicas, replicas)
}

/// The next step towards the members that are wished for.
#[must_use]
pub fn membership(wish: &Wish, facts: &ProgramFacts) -> Membership {
    let unmoved = unmoved(wish, facts);
    let Some(set) = Set::of(facts) else { return unmoved };
    let wanted = wish.members;
    let is_loss = wanted < set.decided && wanted < quorum(unmoved.voters);
    if is_loss && !wish.may_lose_quorum {
        return Membership { is_refused: true, ..unmoved };
    }
    let voters = unmoved.voters;
    let next = match wanted {
        _ if is_loss => lose(&set, unmoved),
        _ if wanted > set.decided => grow(&set, unmoved),
        _ if wanted < set.decided => shrink(&set, unmoved, wanted),
        _ => rest(&set, unmoved),
    };
    let is_under_way = (wanted, wanted) != (set.decided, set.told);
    Membership { voters, is_under_way, ..next }
}

/// As many as are wanted. They are told of no others, and until they are, it is said what that waits for.
fn rest(set: &Set<'_>, still: Membership) -> Membership {
    if set.told != set.decided {
        return tell(set, still, set.decided);
    }
    let waits_for = if set.incomplete().is_none() { set.unreplaced() } else { None };
    Membership { waits_for, ..still }
}

/// All are to be told of `peers`. While they are still being replaced for what they were told before, a
/// member that is down is left to that: begun anew, the replacement would not reach it. Unless what they
/// were told is more than any rule here tells them: then that is why.
fn tell(set: &Set<'_>, still: Membership, peers: i32) -> Membership {
    if set.told > set.decided + 1 {
        return Membership { peers, ..still };
    }
    let unreached = || set.unreplaced().and_then(|_| set.unready(0..set.decided - 1));
    match set.incomplete().or_else(|| unreached().and_then(|_| set.unready(0..set.decided))) {
        Some(wait) => still.waiting(wait),
        None => Membership { peers, ..still },
    }
}

/// One more. All that run know of it first, and serve, unless they cannot before it has come.
fn grow(set: &Set<'_>, still: Membership) -> Membership {
    let next = set.decided + 1;
    match set.told.cmp(&next) {
        Ordering::Equal => {}
        Ordering::Less => return tell(set, still, next),
        // They wait for members that have yet to come, and would hold up their own replacement.
        Ordering::Greater => return tell(set, still, set.decided),
    }
    let can_serve = set.decided >= quorum(set.told);
    match set.unsettled().or_else(|| set.unready(0..set.decided).filter(|_| can_serve)) {
        Some(wait) => still.waiting(wait),
        None => Membership { replicas: next, ..still },
    }
}

/// One fewer: the highest. If it is down, nothing that lives is lost with it. Otherwise those that are
/// left are told first of no more members than there are, serve with a quorum without it, and the ones
/// that stay in the end do so to the last.
fn shrink(set: &Set<'_>, still: Membership, wanted: i32) -> Membership {
    let leaving = set.decided - 1;
    if let Some(wait) = set.incomplete() {
        return still.waiting(wait);
    }
    let unreplaced = set.unreplaced();
    if unreplaced.is_none() && !set.is_ready(leaving) {
        return Membership { replicas: leaving, ..still };
    }
    if set.told > set.decided {
        return tell(set, still, set.decided);
    }
    let has_quorum = set.count_ready(0..leaving) >= quorum(set.told);
    let stays = if has_quorum { wanted } else { leaving };
    match unreplaced.or_else(|| set.unready(0..stays)) {
        Some(wait) => still.waiting(wait),
        None => Membership { replicas: leaving, ..still },
    }
}

/// One fewer on the way to a loss that somebody has agreed to: those that are left need not be able to
/// agree any more, and are told of the others until it is complete. Only as long as they are, they are
/// replaced to the end first, if they are to be.
fn lose(set: &Set<'_>, still: Membership) -> Membership {
    let serves = set.count_ready(0..set.decided) >= quorum(set.decided);
    match set.incomplete().or_else(|| set.unreplaced().filter(|_| serves)) {
        Some(wait) => still.waiting(wait),
        None => Membership { replicas: set.decided - 1, ..still },
    }
}
