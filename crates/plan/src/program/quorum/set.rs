//! The `StatefulSet` of members that vote, and its pods.

use std::ops::Range;

use prism_api::labels;

use super::{Member, Wait};
use crate::program::{ProgramFacts, WorkloadFacts};

/// A number that stands in an annotation of the set.
pub(super) fn note(live: &WorkloadFacts, key: &str) -> Option<i32> {
    live.notes.get(key).and_then(|count| count.parse().ok())
}

/// The set that is there.
pub(super) struct Set<'a> {
    pub(super) live: &'a WorkloadFacts,
    pub(super) members: &'a [Member],
    /// How many members were decided.
    pub(super) decided: i32,
    /// Of how many each of them is told, by the newest template.
    pub(super) told: i32,
}

impl<'a> Set<'a> {
    pub(super) fn of(facts: &'a ProgramFacts) -> Option<Self> {
        let live = facts.stateful_set.as_ref()?;
        let decided = super::decided(live);
        let told = note(live, labels::MEMBERS).unwrap_or(decided);
        Some(Self { live, members: &facts.members, decided, told })
    }

    /// What is missing of exactly the members that were decided, or too many; `None`: all are there.
    pub(super) fn incomplete(&self) -> Option<Wait> {
        if !self.live.is_observed || self.live.desired != self.decided {
            return Some(Wait::Controller);
        }
        let ordinals = |of: &dyn Fn(i32) -> bool| -> Vec<i32> {
            self.members.iter().map(|member| member.ordinal).filter(|ordinal| of(*ordinal)).collect()
        };
        let surplus = ordinals(&|ordinal| ordinal >= self.decided);
        if !surplus.is_empty() {
            return Some(Wait::Gone(surplus));
        }
        let missing: Vec<i32> = (0..self.decided).filter(|ordinal| !self.has(*ordinal)).collect();
        (!missing.is_empty()).then_some(Wait::There(missing))
    }

    /// Members that do not run the newest template yet; or one that holds up their replacement.
    pub(super) fn unreplaced(&self) -> Option<Wait> {
        let Some(revision) = self.live.update_revision.as_deref() else { return Some(Wait::Controller) };
        let old = self.members.iter().filter(|member| member.revision != revision);
        let old: Vec<i32> = old.map(|member| member.ordinal).collect();
        (!old.is_empty()).then(|| self.unready(0..self.decided).unwrap_or(Wait::Replaced(old)))
    }

    /// The same, or what is missing.
    pub(super) fn unsettled(&self) -> Option<Wait> {
        self.incomplete().or_else(|| self.unreplaced())
    }

    /// Those of `ordinals` that do not serve.
    pub(super) fn unready(&self, ordinals: Range<i32>) -> Option<Wait> {
        let unready: Vec<i32> = ordinals.filter(|ordinal| !self.is_ready(*ordinal)).collect();
        (!unready.is_empty()).then_some(Wait::Ready(unready))
    }

    /// How many of `ordinals` serve.
    pub(super) fn count_ready(&self, ordinals: Range<i32>) -> i32 {
        ordinals.map(|ordinal| i32::from(self.is_ready(ordinal))).sum()
    }

    pub(super) fn is_ready(&self, ordinal: i32) -> bool {
        self.member(ordinal).is_some_and(|member| member.is_ready)
    }

    pub(super) fn has(&self, ordinal: i32) -> bool {
        self.member(ordinal).is_some()
    }

    fn member(&self, ordinal: i32) -> Option<&Member> {
        self.members.iter().find(|member| member.ordinal == ordinal)
    }
}
