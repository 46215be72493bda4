//! Single steps, one by one. The whole way, in every order of events: `tests/membership.rs`.

use prism_api::labels;
use rstest::rstest;

use super::*;
use crate::program::WorkloadFacts;

const OLD: &str = "old";
const NEW: &str = "new";

/// Members `0..`, each `(is_ready, revision)`, of a set whose template is `NEW`.
fn facts(members: &[(bool, &str)], peers: i32) -> ProgramFacts {
    let count = i32::try_from(members.len()).unwrap();
    let notes = [
        (labels::TEMPLATE_HASH, "h".to_owned()),
        (labels::MEMBERS, peers.to_string()),
        (labels::REPLICAS, count.to_string()),
    ];
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

fn step(wanted: i32, facts: &ProgramFacts, may_lose_quorum: bool) -> Membership {
    membership(&Wish { members: wanted, may_lose_quorum, recorded: None }, facts)
}

#[rstest]
#[case::the_last_pod_goes_first(&[(true, OLD), (true, OLD), (true, OLD)], 2)]
#[case::the_next_waits_for_it(&[(true, OLD), (true, OLD), (false, NEW)], 2)]
#[case::then_comes_the_next(&[(true, OLD), (true, OLD), (true, NEW)], 1)]
#[case::a_member_that_is_down_holds_it(&[(false, OLD), (true, OLD), (true, OLD)], 3)]
#[case::the_one_that_is_down_may_be_replaced(&[(true, OLD), (true, OLD), (false, OLD)], 2)]
#[case::so_may_one_of_two_that_are_down(&[(true, OLD), (true, OLD), (true, OLD), (false, OLD), (false, OLD)], 4)]
#[case::a_lost_quorum_has_nothing_to_lose(&[(false, OLD), (false, OLD), (true, OLD)], 0)]
#[case::all_done(&[(true, NEW), (true, NEW), (true, NEW)], 3)]
fn rolling(#[case] members: &[(bool, &str)], #[case] expected: i32) {
    assert_eq!(partition(3, "h", &facts(members, 3)), expected);
}

#[test]
fn a_new_template_replaces_nothing_in_the_write_that_brings_it() {
    let facts = facts(&[(true, NEW), (true, NEW), (true, NEW)], 3);
    assert_eq!(partition(3, "another", &facts), 3);
}

#[test]
fn a_member_that_is_still_to_start_begins_with_the_newest_template() {
    let facts = facts(&ALL[..3], 4);
    assert_eq!(partition(4, "h", &facts), 3);
}

#[test]
fn a_set_that_has_not_told_its_revision_replaces_nothing() {
    let mut facts = facts(&[(false, NEW), (true, NEW), (true, NEW)], 3);
    facts.stateful_set.as_mut().unwrap().update_revision = None;
    assert_eq!(partition(3, "h", &facts), 3);
}

const ALL: [(bool, &str); 7] = [(true, NEW); 7];
const UP: (bool, &str) = (true, NEW);
const DOWN: (bool, &str) = (false, NEW);

#[rstest]
#[case::all_learn_of_one_more_first(&ALL[..3], 3, 5, (3, 4))]
#[case::then_it_starts(&ALL[..3], 4, 5, (4, 4))]
#[case::a_member_that_starts_holds_the_next(&[UP, UP, UP, DOWN], 5, 5, (4, 5))]
#[case::one_that_has_not_learnt_of_it_holds_it(&[(true, OLD), UP, UP], 4, 5, (3, 4))]
#[case::one_alone_that_waits_for_a_second_is_given_it(&[DOWN], 2, 2, (2, 2))]
#[case::those_that_were_told_of_many_forget_them(&[DOWN, DOWN, DOWN], 7, 5, (3, 3))]
#[case::one_fewer(&ALL[..5], 5, 3, (4, 5))]
#[case::those_that_stay_forget_it_before_the_next(&ALL[..4], 5, 3, (4, 4))]
#[case::the_last_one_fewer(&ALL[..4], 4, 3, (3, 4))]
#[case::the_one_that_leaves_may_be_down(&[UP, UP, UP, DOWN], 5, 3, (3, 5))]
#[case::those_that_leave_later_may_be_down(&[UP, UP, UP, DOWN, UP], 5, 3, (4, 5))]
#[case::those_that_stay_may_not(&[DOWN, UP, UP, UP], 4, 3, (4, 4))]
#[case::nor_may_too_many(&[UP, UP, UP, UP, DOWN, DOWN, UP], 7, 4, (6, 7))]
#[case::of_two_that_go_the_one_below_waits_for_a_quorum(&[UP, UP, DOWN, UP], 4, 3, (4, 4))]
#[case::at_rest(&ALL[..3], 3, 3, (3, 3))]
#[case::told_of_too_many_and_alone(&[DOWN], 3, 1, (1, 1))]
fn steps(
    #[case] members: &[(bool, &str)],
    #[case] peers: i32,
    #[case] wanted: i32,
    #[case] next: (i32, i32),
) {
    let membership = step(wanted, &facts(members, peers), false);
    assert_eq!((membership.replicas, membership.peers), next);
    assert!(!membership.is_refused);
}

#[rstest]
#[case::a_member_that_is_down(&[UP, DOWN, UP], 4, 4, "waits until admin-1 is ready")]
#[case::two_that_cannot_agree(&[DOWN, DOWN], 3, 3, "waits until admin-0, admin-1 are ready")]
#[case::one_that_has_not_been_replaced(&[(true, OLD), UP, UP], 4, 4, "waits until admin-0 is replaced")]
#[case::or_what_holds_that_up(&[(true, OLD), DOWN, UP], 4, 4, "waits until admin-1 is ready")]
fn what_a_step_waits_for_is_named(
    #[case] members: &[(bool, &str)],
    #[case] peers: i32,
    #[case] wanted: i32,
    #[case] words: &str,
) {
    let waits_for = step(wanted, &facts(members, peers), false).waits_for.unwrap();
    assert_eq!(waits_for.text("admin"), words);
}

#[test]
fn a_set_that_is_made_anew_begins_with_every_member_that_runs_and_with_those_that_were_recorded() {
    let mut facts = ProgramFacts { stateful_set: None, ..facts(&ALL[..3], 3) };
    facts.members.remove(0);
    let anew = |recorded| {
        let membership = membership(&Wish { members: 1, recorded, may_lose_quorum: false }, &facts);
        (membership.replicas, membership.peers)
    };
    assert_eq!(anew(None), (3, 3), "the first was evicted at that moment");
    assert_eq!(anew(Some(5)), (5, 5), "and so were the last two");
}

#[test]
fn what_somebody_else_wrote_into_the_replicas_is_set_back_at_once() {
    for written in [1, 9] {
        let mut facts = facts(&ALL[..5], 5);
        facts.stateful_set.as_mut().unwrap().desired = written;
        facts.members.truncate(2);
        let membership = step(5, &facts, false);
        assert_eq!((membership.replicas, membership.peers), (5, 5));
    }
}

#[rstest]
#[case::three_to_one(3, 1)]
#[case::five_to_two(5, 2)]
fn a_wish_below_the_quorum_is_refused_until_somebody_agrees(#[case] running: usize, #[case] wanted: i32) {
    let facts = facts(&ALL[..running], 5);
    let refused = step(wanted, &facts, false);
    assert!(refused.is_refused);
    assert_eq!(Ok(refused.replicas), i32::try_from(running));
    assert_eq!(Ok(step(wanted, &facts, true).replicas), i32::try_from(running - 1));
}

#[test]
fn a_loss_that_somebody_has_agreed_to_is_the_same_until_it_is_complete() {
    for (running, next) in [(3, 2), (2, 1)] {
        // Two that were told of three serve; one does not, and nobody waits for it.
        let facts = facts(&[(running == 3, NEW); 3][..running], 3);
        assert!(step(1, &facts, false).is_refused);
        let membership = step(1, &facts, true);
        assert_eq!((membership.replicas, membership.peers, membership.voters), (next, 3, 3));
    }
    let complete = step(1, &facts(&ALL[..1], 3), false);
    assert_eq!((complete.replicas, complete.peers, complete.is_refused), (1, 1, false));
}
