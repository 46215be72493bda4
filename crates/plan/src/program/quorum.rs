//! Changing a program whose members vote, without losing the vote.
//!
//! Pods are replaced one at a time, members come and go one at a time, and each step waits until all
//! other members are ready. The `StatefulSet` controller alone does not: a rolling update looks only
//! at the pods that it has replaced already, and never at those it has still to replace.

use prism_api::labels;

use super::{Program, ProgramFacts, WorkloadFacts};

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

/// How far a change of the number of members has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// `spec.replicas` now.
    pub replicas: i32,
    /// Members that each member is told of. They learn of new ones before these start, and forget
    /// old ones after those have stopped.
    pub peers: i32,
    /// Members that what is agreed on was agreed on by: a loss of their quorum is judged by them until
    /// it is complete, not by those that are left half-way.
    pub voters: i32,
    /// Whether the wish would leave too few of the voters to agree on anything.
    pub is_refused: bool,
}

/// The next step towards `wanted` members. `may_lose_quorum`: somebody has agreed to that.
#[must_use]
pub fn membership(wanted: i32, facts: &ProgramFacts, may_lose_quorum: bool) -> Membership {
    let Some(live) = &facts.stateful_set else {
        // It is being made anew, with the members it had.
        let replicas = if facts.members.is_empty() { wanted } else { count(facts) };
        let peers = wanted.max(replicas);
        return Membership { replicas, peers, voters: peers, is_refused: false };
    };
    let known = note(live, labels::MEMBERS).and_then(|count| count.parse().ok()).unwrap_or(live.desired);
    let voters = known.max(live.desired);
    let is_loss = wanted < live.desired && wanted < quorum(voters);
    let is_refused = is_loss && !may_lose_quorum;
    let wanted = if is_refused { live.desired } else { wanted };
    let leaving = live.desired - 1;
    let is_settled = |without: Option<i32>| {
        live.is_observed
            && live.replicas == live.desired
            && count(facts) == live.desired
            && facts.members.iter().filter(|member| Some(member.ordinal) != without).all(|member| {
                member.is_ready && live.update_revision.as_deref() == Some(member.revision.as_str())
            })
    };
    let replicas = match wanted {
        wanted if wanted > live.desired && known >= wanted && is_settled(None) => live.desired + 1,
        wanted if wanted < live.desired && is_settled(Some(leaving)) => leaving,
        _ => live.desired,
    };
    let peers = if is_loss || wanted < replicas { known } else { wanted };
    Membership { replicas, peers, voters, is_refused }
}

/// The ordinal from which on pods may be replaced by such of the template with `hash`.
pub(super) fn partition(program: &Program, hash: &str, facts: &ProgramFacts) -> i32 {
    let Some(live) = &facts.stateful_set else { return program.replicas };
    let hold = live.desired.max(program.replicas);
    if note(live, labels::TEMPLATE_HASH) != Some(hash) {
        return hold;
    }
    // A set that is new has not told its revision yet.
    let Some(revision) = live.update_revision.as_deref() else { return hold };
    let is_old = |member: &&Member| revision != member.revision;
    let Some(next) = facts.members.iter().filter(is_old).map(|member| member.ordinal).max() else {
        return hold;
    };
    let serving = facts.members.iter().filter(|member| member.is_ready).count();
    let has_quorum = i32::try_from(serving).is_ok_and(|serving| serving >= quorum(live.desired));
    let others_serve = count(facts) == live.desired
        && facts.members.iter().all(|member| member.is_ready || member.ordinal == next);
    match (has_quorum, others_serve) {
        // Nothing to lose, and perhaps the new template is what brings the members back.
        (false, _) => 0,
        (true, true) => next,
        (true, false) => next + 1,
    }
}

fn count(facts: &ProgramFacts) -> i32 {
    i32::try_from(facts.members.len()).unwrap_or(i32::MAX)
}

fn note<'a>(live: &'a WorkloadFacts, key: &str) -> Option<&'a str> {
    live.notes.get(key).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const OLD: &str = "old";
    const NEW: &str = "new";

    /// Members `0..`, each `(is_ready, revision)`, of a set whose template is `NEW`.
    fn facts(members: &[(bool, &str)], peers: i32) -> ProgramFacts {
        let count = i32::try_from(members.len()).unwrap();
        let notes = [(labels::TEMPLATE_HASH, "h".to_owned()), (labels::MEMBERS, peers.to_string())];
        let member = |(ordinal, (is_ready, revision)): (i32, &(bool, &str))| Member {
            ordinal,
            is_ready: *is_ready,
            revision: (*revision).to_owned(),
        };
        ProgramFacts {
            stateful_set: Some(WorkloadFacts {
                is_observed: true,
                desired: count,
                replicas: count,
                update_revision: Some(NEW.to_owned()),
                notes: notes.map(|(key, value)| (key.to_owned(), value)).into(),
                ..WorkloadFacts::default()
            }),
            members: (0..).zip(members).map(member).collect(),
            ..ProgramFacts::default()
        }
    }

    #[rstest]
    #[case::the_last_pod_goes_first(&[(true, OLD), (true, OLD), (true, OLD)], 2)]
    #[case::the_next_waits_for_it(&[(true, OLD), (true, OLD), (false, NEW)], 2)]
    #[case::then_comes_the_next(&[(true, OLD), (true, OLD), (true, NEW)], 1)]
    #[case::a_member_that_is_down_holds_it(&[(false, OLD), (true, OLD), (true, OLD)], 3)]
    #[case::the_one_that_is_down_may_be_replaced(&[(true, OLD), (true, OLD), (false, OLD)], 2)]
    #[case::a_lost_quorum_has_nothing_to_lose(&[(false, OLD), (false, OLD), (true, OLD)], 0)]
    #[case::all_done(&[(true, NEW), (true, NEW), (true, NEW)], 3)]
    fn rolling(#[case] members: &[(bool, &str)], #[case] expected: i32) {
        assert_eq!(
            partition(&Program { replicas: 3, ..Program::default() }, "h", &facts(members, 3)),
            expected
        );
    }

    #[test]
    fn a_new_template_replaces_nothing_in_the_write_that_brings_it() {
        let facts = facts(&[(true, NEW), (true, NEW), (true, NEW)], 3);
        assert_eq!(partition(&Program { replicas: 3, ..Program::default() }, "another", &facts), 3);
    }

    #[test]
    fn a_set_that_has_not_told_its_revision_replaces_nothing() {
        let mut facts = facts(&[(false, NEW), (true, NEW), (true, NEW)], 3);
        facts.stateful_set.as_mut().unwrap().update_revision = None;
        assert_eq!(partition(&Program { replicas: 3, ..Program::default() }, "h", &facts), 3);
    }

    const ALL: [(bool, &str); 5] = [(true, NEW); 5];

    #[rstest]
    #[case::peers_are_told_first(&ALL[..3], 3, 5, (3, 5))]
    #[case::then_one_more(&ALL[..3], 5, 5, (4, 5))]
    #[case::a_member_that_starts_holds_the_next(&[(true, NEW), (true, NEW), (true, NEW), (false, NEW)], 5, 5, (4, 5))]
    #[case::one_fewer(&ALL, 5, 3, (4, 5))]
    #[case::the_last_one_fewer(&ALL[..4], 5, 3, (3, 3))]
    #[case::the_one_that_leaves_may_be_down(&[(true, NEW), (true, NEW), (true, NEW), (false, NEW)], 5, 3, (3, 3))]
    #[case::others_may_not(&[(false, NEW), (true, NEW), (true, NEW), (true, NEW)], 5, 3, (4, 5))]
    #[case::at_rest(&ALL[..3], 3, 3, (3, 3))]
    fn steps(
        #[case] members: &[(bool, &str)],
        #[case] peers: i32,
        #[case] wanted: i32,
        #[case] next: (i32, i32),
    ) {
        let membership = membership(wanted, &facts(members, peers), false);
        assert_eq!((membership.replicas, membership.peers), next);
        assert!(!membership.is_refused);
    }

    #[test]
    fn a_set_that_is_made_anew_has_the_members_it_had() {
        let facts = ProgramFacts { stateful_set: None, ..facts(&ALL[..3], 3) };
        assert_eq!(membership(1, &facts, false).replicas, 3);
    }

    #[rstest]
    #[case::three_to_one(3, 1)]
    #[case::five_to_two(5, 2)]
    fn a_wish_below_the_quorum_is_refused_until_somebody_agrees(#[case] running: usize, #[case] wanted: i32) {
        let facts = facts(&ALL[..running], 5);
        let refused = membership(wanted, &facts, false);
        assert!(refused.is_refused);
        assert_eq!(Ok(refused.replicas), i32::try_from(running));
        assert_eq!(Ok(membership(wanted, &facts, true).replicas), i32::try_from(running - 1));
    }

    #[test]
    fn a_loss_that_somebody_has_agreed_to_is_the_same_until_it_is_complete() {
        for (running, next) in [(3, 2), (2, 1)] {
            let facts = facts(&ALL[..running], 3);
            assert!(membership(1, &facts, false).is_refused);
            let membership = membership(1, &facts, true);
            assert_eq!((membership.replicas, membership.peers, membership.voters), (next, 3, 3));
        }
        let complete = membership(1, &facts(&ALL[..1], 3), false);
        assert_eq!((complete.replicas, complete.peers, complete.is_refused), (1, 1, false));
    }
}
