//! What is done of what is asked for.

use super::*;

#[rstest]
#[case::static_number(None, 3, 3)]
#[case::current(Some(FallbackBehavior::CurrentReplicas), 3, 5)]
#[case::higher(Some(FallbackBehavior::CurrentReplicasIfHigher), 3, 5)]
#[case::higher_than_current(Some(FallbackBehavior::CurrentReplicasIfHigher), 7, 7)]
#[case::lower(Some(FallbackBehavior::CurrentReplicasIfLower), 3, 3)]
#[case::lower_than_current(Some(FallbackBehavior::CurrentReplicasIfLower), 7, 5)]
#[case::within_limits(None, 30, 10)]
fn after_enough_failed_looks_the_fallback_applies(
    #[case] behavior: Option<FallbackBehavior>,
    #[case] replicas: i32,
    #[case] expected: i32,
) {
    let mut policy = unhindered(Target::AverageValue(1000.0));
    policy.limits.max = 10;
    policy.fallback = Some(Fallback { failure_threshold: 3, replicas, behavior });
    let mut run = Run::new(policy, 5);
    assert_eq!(run.blind(0).desired, 5);
    run.look(10, 5000.0);
    assert_eq!(run.blind(20).desired, 5);
    assert_eq!(run.blind(30).desired, 5, "a look that succeeded starts the count again");
    assert_eq!(run.blind(40).desired, expected);
}

#[test]
fn what_was_wanted_within_five_minutes_is_kept() {
    let mut run = Run::new(policy(), 1);
    run.look(0, 5000.0);
    assert_eq!(run.look(20, 7000.0).desired, 7);
    let decision = run.look(30, 2000.0);
    assert_eq!((decision.desired, held(&decision)), (7, Some(HeldBy::StabilizationWindow)));
    assert_eq!(decision.held.unwrap().until, Some(time(320)));
    assert_eq!(run.look(319, 2000.0).desired, 7);
    assert_eq!(run.look(320, 2000.0).desired, 2);
}

#[test]
fn scaling_up_waits_for_its_window_too() {
    let mut policy = policy();
    policy.up.stabilization = SignedDuration::from_secs(60);
    let mut run = Run::new(policy, 2);
    let decision = run.look(0, 5000.0);
    assert_eq!((decision.desired, held(&decision)), (2, Some(HeldBy::StabilizationWindow)));
    assert_eq!(run.look(30, 4000.0).desired, 2);
    assert_eq!(run.look(60, 6000.0).desired, 4, "the fewest that were wanted for a minute");
}

#[test]
fn after_a_restart_nothing_goes_down_too_early() {
    let mut run = Run::new(policy(), 7);
    for second in (0..300).step_by(10) {
        assert_eq!(run.look(second, 1000.0).desired, 7, "after {second} seconds");
    }
    assert_eq!(run.look(300, 1000.0).desired, 1);
}

#[test]
fn after_a_long_blindness_nothing_goes_down_too_early() {
    let mut run = Run::new(policy(), 7);
    for second in (0..600).step_by(10) {
        run.blind(second);
    }
    assert_eq!(run.look(600, 1000.0).desired, 7);
    assert_eq!(run.look(899, 1000.0).desired, 7);
    assert_eq!(run.look(900, 1000.0).desired, 1);
}

#[test]
fn after_any_blindness_nothing_goes_down_at_once() {
    for blindness in (10..900).step_by(10) {
        let mut run = Run::new(policy(), 10);
        assert_eq!(run.look(0, 0.0).desired, 10);
        for second in (10..=blindness).step_by(10) {
            run.blind(second);
        }
        assert_eq!(run.look(blindness + 10, 1000.0).desired, 10, "blind for {blindness} s");
    }
}

#[test]
fn a_look_that_fails_now_and_then_does_not_start_the_window_anew() {
    let mut run = Run::new(policy(), 7);
    for second in (0..300).step_by(10) {
        if second % 50 == 0 {
            run.blind(second)
        } else {
            run.look(second, 1000.0)
        };
    }
    assert_eq!(run.look(310, 1000.0).desired, 1);
}

#[test]
fn looks_further_apart_than_the_window_scale_down_nevertheless() {
    let mut run = Run::new(policy(), 7);
    assert_eq!(run.look(0, 1000.0).desired, 7);
    assert_eq!(run.look(600, 1000.0).desired, 1);
}

#[rstest]
#[case::larger(Select::Max, 8)]
#[case::smaller(Select::Min, 6)]
#[case::disabled(Select::Disabled, 4)]
fn one_policy_is_selected(#[case] select: Select, #[case] expected: i32) {
    let mut policy = policy();
    policy.up.select = select;
    policy.up.policies[1].change = Change::Pods(2);
    let (decision, _) = decide(&policy, &State::default(), &look(0, 4, 10_000.0));
    assert_eq!((decision.desired, held(&decision)), (expected, Some(HeldBy::ScaleUpPolicy)));
}

#[rstest]
#[case::larger(Select::Max, 5)]
#[case::smaller(Select::Min, 8)]
#[case::disabled(Select::Disabled, 10)]
fn one_policy_is_selected_on_the_way_down(#[case] select: Select, #[case] expected: i32) {
    let mut policy = policy();
    policy.down = Rules {
        stabilization: SignedDuration::ZERO,
        select,
        policies: vec![
            Pace { change: Change::Percent(50), period: SignedDuration::from_secs(60) },
            Pace { change: Change::Pods(2), period: SignedDuration::from_secs(60) },
        ],
        ..policy.down
    };
    let (decision, _) = decide(&policy, &State::default(), &look(0, 10, 0.0));
    assert_eq!((decision.desired, held(&decision)), (expected, Some(HeldBy::ScaleDownPolicy)));
}

#[test]
fn a_period_counts_what_others_changed_too() {
    let mut policy = policy();
    policy.up.policies = vec![Pace { change: Change::Pods(3), period: SignedDuration::from_secs(60) }];
    let mut run = Run::new(policy, 2);
    run.look(0, 2000.0);
    let decision = run.see(&look(10, 4, 10_000.0));
    assert_eq!(decision.desired, 5, "two of three came by hand: {}", decision.sentence());
    assert_eq!(decision.held.unwrap().until, Some(time(70)));
}

#[test]
fn a_change_that_was_not_carried_out_uses_up_no_period() {
    let mut policy = policy();
    policy.up.policies = vec![Pace { change: Change::Pods(3), period: SignedDuration::from_secs(60) }];
    let mut run = Run::new(policy, 2);
    assert_eq!(run.look(0, 10_000.0).desired, 5);
    assert_eq!(run.see(&look(10, 2, 10_000.0)).desired, 5);
}

#[test]
fn a_shadow_judges_the_replicas_that_really_run() {
    let mut policy = policy();
    policy.mode = ScalingMode::Shadow;
    policy.up.policies = vec![Pace { change: Change::Pods(3), period: SignedDuration::from_secs(60) }];
    let mut run = Run::new(policy, 2);
    for second in [0, 10, 20] {
        assert_eq!(run.see(&look(second, 2, 10_000.0)).desired, 5, "what it did not do uses up no period");
    }
    assert_eq!(run.see(&look(30, 6, 10_000.0)).desired, 6, "what another scaler did does");
}

#[test]
fn the_last_replica_stays_for_the_cooldown_and_the_first_comes_at_once() {
    let mut policy = unhindered(Target::AverageValue(1000.0));
    policy.cooldown = SignedDuration::from_secs(120);
    policy.up.stabilization = SignedDuration::from_secs(600);
    policy.up.policies = vec![Pace { change: Change::Percent(100), period: SignedDuration::from_secs(60) }];
    let mut run = Run::new(policy, 3);
    run.look(0, 3000.0);
    let decision = run.look(10, 0.0);
    assert_eq!((decision.desired, held(&decision)), (1, Some(HeldBy::CooldownPeriod)));
    assert_eq!(decision.held.unwrap().until, Some(time(120)));
    assert_eq!(run.look(119, 0.0).desired, 1);
    assert_eq!(run.look(120, 0.0).desired, 0);
    assert_eq!(run.look(180, 5000.0).desired, 1, "double of nothing is one");
}

#[rstest]
#[case::too_few(1, 0.0, 2, Some(HeldBy::MinReplicas))]
#[case::too_many(20, 20_000.0, 10, Some(HeldBy::MaxReplicas))]
#[case::set_to_zero_by_hand(0, 0.0, 2, Some(HeldBy::MinReplicas))]
fn replicas_outside_of_the_limits_come_back(
    #[case] current: i32,
    #[case] value: f64,
    #[case] expected: i32,
    #[case] by: Option<HeldBy>,
) {
    let mut policy = policy();
    policy.limits.min = 2;
    policy.down.stabilization = SignedDuration::ZERO;
    let (decision, _) = decide(&policy, &State::default(), &look(0, current, value));
    assert_eq!((decision.desired, held(&decision)), (expected, by));
    assert_eq!(decide(&policy, &State::default(), &blind(0, current)).0.desired, expected);
}

#[rstest]
#[case::paused(Hold::Paused, 7, HeldBy::Paused)]
#[case::pinned_above_the_limit(Hold::Pinned(12), 12, HeldBy::Pinned)]
#[case::pinned_to_zero(Hold::Pinned(0), 0, HeldBy::Pinned)]
#[case::pinned_to_nonsense(Hold::Pinned(-5), 0, HeldBy::Pinned)]
#[case::pinned_to_too_many(Hold::Pinned(i32::MAX), 100_000, HeldBy::Pinned)]
fn a_hand_has_the_last_word(#[case] hold: Hold, #[case] expected: i32, #[case] by: HeldBy) {
    let policy = Policy { hold: Some(hold), ..policy() };
    let (decision, _) = decide(&policy, &State::default(), &look(0, 7, 20_000.0));
    assert_eq!((decision.desired, held(&decision)), (expected, Some(by)));
}

/// Worked out by hand, on the default behavior with 1000 for each of 1 to 20 replicas, a look every 15 s.
#[test]
fn a_morning_goes_as_worked_out_on_paper() {
    let mut policy = policy();
    policy.limits.max = 20;
    policy.down.policies = vec![Pace { change: Change::Pods(2), period: SignedDuration::from_secs(60) }];
    let mut run = Run::new(policy, 1);
    let path = [
        // One replica can become five: four more, as twice as many is less.
        (0, 16_000.0, 5),
        // Five can become ten: twice as many.
        (15, 16_000.0, 10),
        // Twenty would be allowed, sixteen are wanted.
        (30, 16_000.0, 16),
        // 15 000 is within ten percent of 16 x 1000.
        (45, 15_000.0, 16),
        // 4 are wanted, but 16 were at second 45, where the tolerance kept them: until 345.
        (60, 4000.0, 16),
        (330, 4000.0, 16),
        // Two in a minute.
        (345, 4000.0, 14),
        (360, 4000.0, 14),
        (405, 4000.0, 12),
        // Up again, at once: 13 200 is beyond the tolerance at 12 by nothing, 13 300 by a little.
        (420, 13_200.0, 12),
        (435, 13_300.0, 14),
    ];
    for (second, value, expected) in path {
        let decision = run.look(second, value);
        assert_eq!(decision.desired, expected, "at second {second}: {}", decision.sentence());
    }
}

#[test]
fn a_window_moves_the_limits_and_is_named() {
    let spec = ScalingWindow {
        name: "opening".into(),
        start: "0 10 * * *".into(),
        end: "0 11 * * *".into(),
        min_replicas: Some(4),
        ..ScalingWindow::default()
    };
    let mut policy = policy();
    policy.down.stabilization = SignedDuration::ZERO;
    policy.windows = vec![Window::of(&spec, policy.limits, "windows[0]").unwrap()];
    let mut run = Run::new(policy, 1);
    assert_eq!(run.look(-10, 1000.0).in_force.next_change, Some(time(0)));
    let decision = run.look(0, 1000.0);
    assert_eq!(
        decision.sentence(),
        "4 replicas: lag is 1000, at 1000 for each replica that takes 1; 4 is the fewest allowed in the window opening"
    );
    assert_eq!(run.look(3599, 1000.0).desired, 4);
    assert_eq!(run.look(3600, 1000.0).desired, 1);
}
