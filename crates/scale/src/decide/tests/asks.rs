//! What metrics ask for.

use super::*;

#[rstest]
#[case::average_rounds_up(Target::AverageValue(1000.0), 3, 3, 3301.0, 4)]
#[case::average_within_ten_percent_stays(Target::AverageValue(1000.0), 3, 3, 3300.0, 3)]
#[case::average_low(Target::AverageValue(1000.0), 3, 3, 2699.0, 3)]
#[case::average_lower(Target::AverageValue(1000.0), 3, 3, 2000.0, 2)]
#[case::average_from_zero(Target::AverageValue(1000.0), 0, 0, 1.0, 1)]
#[case::value_by_ratio(Target::Value(20.0), 4, 4, 30.0, 6)]
#[case::value_of_ready_pods(Target::Value(20.0), 8, 6, 30.0, 9)]
#[case::value_down(Target::Value(20.0), 4, 4, 10.0, 2)]
#[case::value_too_high_takes_none_away(Target::Value(20.0), 10, 5, 24.0, 10)]
#[case::value_without_a_ready_pod_says_nothing(Target::Value(20.0), 10, 0, 5.0, 10)]
#[case::value_from_zero(Target::Value(20.0), 0, 0, 50.0, 3)]
#[case::utilization_is_a_ratio(Target::Utilization(75.0), 4, 4, 0.9, 5)]
#[case::utilization_within_tolerance(Target::Utilization(75.0), 4, 4, 0.8, 4)]
#[case::nothing_to_do(Target::AverageValue(1000.0), 3, 3, 0.0, 0)]
#[case::binary_noise_costs_no_replica(Target::AverageValue(0.1), 1, 1, 1.1, 11)]
fn a_whole_metric_asks_for(
    #[case] target: Target,
    #[case] current: i32,
    #[case] ready: i32,
    #[case] value: f64,
    #[case] expected: i32,
) {
    let seen = Observation { ready, ..look(0, current, value) };
    let (decision, _) = decide(&unhindered(target), &State::default(), &seen);
    assert_eq!(decision.desired, expected, "{}", decision.sentence());
}

/// The cases of the documentation: missing pods are on target on the way down and idle on the way up, pods
/// that are not ready are idle on the way up, and nothing changes if that turns the direction round.
#[rstest]
#[case::all_measured(4, 4, &[30.0, 30.0, 30.0, 30.0], 6)]
#[case::down(4, 4, &[5.0, 5.0, 5.0, 5.0], 1)]
#[case::missing_on_the_way_up(4, 4, &[60.0, 60.0], 6)]
#[case::missing_turns_up_into_down(4, 4, &[30.0, 30.0], 4)]
#[case::missing_on_the_way_down(4, 4, &[5.0, 5.0], 3)]
#[case::missing_leaves_the_ratio_within_tolerance(4, 4, &[19.0, 19.0, 10.0], 4)]
#[case::unready_on_the_way_up(6, 4, &[60.0, 60.0, 60.0, 60.0], 12)]
#[case::unready_turns_up_into_down(8, 4, &[30.0, 30.0, 30.0, 30.0], 8)]
#[case::unready_on_the_way_down_are_left_out(6, 4, &[10.0, 10.0, 10.0, 10.0], 2)]
fn a_metric_of_each_replica_asks_for(
    #[case] current: i32,
    #[case] ready: i32,
    #[case] values: &[f64],
    #[case] expected: i32,
) {
    let reading = Reading { instances: Some(values.to_vec()), ..Reading::new(0.0, time(0)) };
    let seen = Observation { ready, metrics: vec![Ok(reading)], ..look(0, current, 0.0) };
    let (decision, _) = decide(&unhindered(Target::AverageValue(20.0)), &State::default(), &seen);
    assert_eq!(decision.desired, expected, "{}", decision.sentence());
}

#[test]
fn each_direction_has_a_tolerance_of_its_own() {
    let mut policy = unhindered(Target::AverageValue(100.0));
    policy.up.tolerance = 0.0;
    policy.down.tolerance = 0.5;
    let desired = |value| decide(&policy, &State::default(), &look(0, 4, value)).0.desired;
    assert_eq!((desired(401.0), desired(200.0), desired(199.0)), (5, 4, 2));
}

#[rstest]
#[case::nan(f64::NAN)]
#[case::infinite(f64::INFINITY)]
#[case::negative(-1.0)]
fn a_value_that_is_no_amount_counts_as_unreadable(#[case] value: f64) {
    let (decision, _) = decide(&policy(), &State::default(), &look(0, 5, value));
    assert_eq!((decision.desired, held(&decision)), (5, Some(HeldBy::MissingMetrics)));
}

#[rstest]
#[case::fresh(60, None, 1)]
#[case::too_old_for_the_policy(61, None, 5)]
#[case::too_old_for_its_source(31, Some(30), 5)]
#[case::ahead_of_this_clock(-61, None, 5)]
fn a_reading_counts_for_a_time(#[case] age: i64, #[case] promise: Option<i64>, #[case] expected: i32) {
    let mut policy = policy();
    policy.down.stabilization = SignedDuration::ZERO;
    let valid_for = promise.map(SignedDuration::from_secs);
    let reading = Reading { valid_for, ..Reading::new(0.0, time(-age)) };
    let seen = Observation { metrics: vec![Ok(reading)], ..look(0, 5, 0.0) };
    assert_eq!(decide(&policy, &State::default(), &seen).0.desired, expected);
}

#[rstest]
#[case::up_goes(8000.0, 8, None)]
#[case::down_waits(1000.0, 5, Some(HeldBy::MissingMetrics))]
fn with_one_metric_unreadable_nothing_goes_down(
    #[case] value: f64,
    #[case] expected: i32,
    #[case] by: Option<HeldBy>,
) {
    let mut policy = policy();
    policy.down.stabilization = SignedDuration::ZERO;
    policy.metrics.push(PolicyMetric { name: "cpu".into(), target: Target::Utilization(75.0), rate: None });
    let mut seen = look(0, 5, value);
    seen.metrics.push(Err(Problem::new(ProblemKind::Late, "timeout")));
    let (decision, _) = decide(&policy, &State::default(), &seen);
    assert_eq!((decision.desired, held(&decision)), (expected, by));
    assert!(decision.sentence().ends_with("cpu cannot be read: timeout"), "{}", decision.sentence());
    seen.metrics.pop();
    assert_eq!(decide(&policy, &State::default(), &seen).0.desired, expected, "not looked at is unreadable");
}

#[test]
fn of_several_metrics_the_one_that_asks_for_most_decides() {
    let mut policy = policy();
    policy.metrics.push(PolicyMetric { name: "errors".into(), target: Target::Value(10.0), rate: None });
    let mut seen = look(0, 4, 5000.0);
    seen.metrics.push(Ok(Reading::new(18.0, time(0))));
    let (decision, _) = decide(&policy, &State::default(), &seen);
    assert_eq!((decision.desired, decision.decided_by), (8, Some(1)));
    assert_eq!(decision.record().decided_by.as_deref(), Some("errors"));
}

#[test]
fn a_time_target_learns_and_then_drains_in_time() {
    let mut policy = with_target(Target::DrainWithin { seconds: 20.0 });
    policy.limits = Limits { min: 0, max: 100 };
    let mut run = Run::new(policy, 0);
    let see = |run: &mut Run, second, waiting: f64, throughput| {
        let reading = Reading { throughput, ..Reading::new(waiting, time(second)) };
        let seen = Observation { metrics: vec![Ok(reading)], ..look(second, run.replicas, 0.0) };
        run.see(&seen)
    };
    assert_eq!(see(&mut run, 0, 0.0, None).desired, 0);
    assert_eq!(
        see(&mut run, 10, 5000.0, None).desired,
        1,
        "something waits, and nobody knows how much that is"
    );
    let decision = see(&mut run, 20, 5000.0, Some(100.0));
    assert_eq!(decision.desired, 1);
    assert!(decision.sentence().contains("not known yet"), "{}", decision.sentence());
    let decision = see(&mut run, 30, 5000.0, Some(100.0));
    assert_eq!(decision.wanted, Some(4), "5000 / 20 s + 100 at 100 a second is 3.5");
    assert_eq!(decision.desired, 4);
    let decision = see(&mut run, 40, 0.0, None);
    assert_eq!(held(&decision), Some(HeldBy::MissingMetrics), "no throughput, no judgement");
}

#[test]
fn a_rate_outlives_a_restart() {
    let policy = unhindered(Target::DrainWithin { seconds: 20.0 });
    let reading = Reading { throughput: Some(100.0), ..Reading::new(0.0, time(0)) };
    let seen = Observation { metrics: vec![Ok(reading)], ..look(0, 5, 0.0) };
    let (decision, state) = decide(&policy, &State::default(), &seen);
    assert_eq!((decision.desired, state.rates().is_empty()), (5, true), "{}", decision.sentence());
    let (decision, state) = decide(&policy, &State::knowing([("lag".into(), 50.0)].into()), &seen);
    assert_eq!((decision.desired, state.rates()["lag"]), (2, 50.0), "{}", decision.sentence());
    let (decision, _) = decide(&policy, &State::knowing([("lag".into(), f64::NAN)].into()), &seen);
    assert_eq!(decision.desired, 5, "{}", decision.sentence());
}
