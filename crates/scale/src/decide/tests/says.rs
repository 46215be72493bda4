//! What is said about a decision, and when it is said again.

use super::*;

#[test]
fn what_is_said_is_what_an_engineer_would_say() {
    let mut said = Vec::new();
    let mut run = Run::new(policy(), 1);
    for (second, value) in
        [(0, 6912.0), (10, 6912.0), (20, 7050.0), (30, 4912.0), (40, 12_000.0), (60, 12_000.0)]
    {
        said.push(run.look(second, value).sentence());
    }
    said.push(run.blind(70).sentence());
    run.policy.fallback = Some(Fallback { failure_threshold: 2, replicas: 12, behavior: None });
    said.push(run.blind(80).sentence());
    run.policy.hold = Some(Hold::Paused);
    said.push(run.look(90, 500.0).sentence());
    run.policy.hold = Some(Hold::Pinned(3));
    said.push(run.look(100, 500.0).sentence());
    run.policy = with_target(Target::Utilization(75.0));
    said.push(run.look(110, 0.93).sentence());
    run.policy = with_target(Target::Value(20.0));
    said.push(run.look(120, 2.5).sentence());
    insta::assert_snapshot!(said.join("\n"));
}

fn record(seen: &Observation, policy: &Policy) -> ScalingDecision {
    decide(policy, &State::default(), seen).0.record()
}

#[test]
fn a_value_that_moves_a_little_is_not_another_decision() {
    let policy = policy();
    let mut run = Run::new(policy, 7);
    let first = run.look(0, 6912.0).record();
    let values = [6950.0, 7300.0, 6100.0, 6800.0, 6200.0, 7650.0, 6000.0];
    for (second, value) in (10..).step_by(10).zip(values) {
        let next = run.look(second, value).record();
        assert!(is_same_decision(&first, &next), "{}\n{}", first.message, next.message);
    }
}

#[rstest]
#[case::desired(look(0, 7, 9000.0))]
#[case::proposal(look(0, 7, 4000.0))]
#[case::unreadable(blind(0, 7))]
fn what_a_user_should_know_is_another_decision(#[case] seen: Observation) {
    let before = record(&look(0, 7, 7000.0), &policy());
    let after = record(&seen, &policy());
    assert!(!is_same_decision(&before, &after), "{}\n{}", before.message, after.message);
}

#[test]
fn a_hand_a_limit_and_a_mode_are_another_decision() {
    let before = record(&look(0, 7, 7000.0), &policy());
    let paused = Policy { hold: Some(Hold::Paused), ..policy() };
    let shadow = Policy { mode: ScalingMode::Shadow, ..policy() };
    let limited = Policy { limits: Limits { min: 1, max: 7 }, ..policy() };
    for policy in [paused, shadow, limited] {
        assert!(!is_same_decision(&before, &record(&look(0, 7, 7000.0), &policy)));
    }
    let decider = ScalingDecision { decided_by: Some("cpu".into()), ..before.clone() };
    let holder = ScalingDecision { held_by: Some(HeldBy::MaxReplicas), ..before.clone() };
    assert!(!is_same_decision(&before, &decider) && !is_same_decision(&before, &holder));
}

#[test]
fn a_hold_that_is_over_or_moved_far_is_another_decision() {
    let mut run = Run::new(policy(), 7);
    let first = run.look(0, 3000.0).record();
    assert_eq!(first.held_by, Some(HeldBy::StabilizationWindow));
    let mut later = first.clone();
    for (seconds, expected) in [(360, true), (361, false)] {
        later.held_until = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time(seconds)));
        assert_eq!(is_same_decision(&first, &later), expected, "{seconds}");
    }
}
