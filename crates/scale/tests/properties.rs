//! What holds for every policy, every history and every load.

use jiff::{SignedDuration, Timestamp};
use prism_api::{autoscaling::ScalingMode, scaling::HeldBy};
use prism_scale::{
    Hold, Limits, Observation, Policy, Problem, ProblemKind, Reading, State, Target, decide,
    policy::{Change, Pace, PolicyMetric, Rules, Select},
};
use proptest::prelude::*;

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn policy(target: Target) -> Policy {
    Policy {
        mode: ScalingMode::Active,
        limits: Limits { min: 0, max: 1000 },
        windows: Vec::new(),
        metrics: vec![PolicyMetric { name: "lag".into(), target, rate: None }],
        up: Rules::up(),
        down: Rules::down(),
        fallback: None,
        polling_interval: seconds(10),
        cooldown: seconds(300),
        max_age: seconds(60),
        hold: None,
    }
}

fn look(at: Timestamp, current: i32, value: f64) -> Observation {
    let reading = Reading { throughput: Some(value / 10.0), ..Reading::new(value, at) };
    Observation { at, current, ready: current, metrics: vec![Ok(reading)] }
}

fn targets() -> impl Strategy<Value = Target> {
    let aim = 0.1..1000.0;
    prop_oneof![
        aim.clone().prop_map(Target::Value),
        aim.clone().prop_map(Target::AverageValue),
        aim.clone().prop_map(Target::Utilization),
        aim.prop_map(|seconds| Target::DrainWithin { seconds }),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    let change = prop_oneof![(1..20).prop_map(Change::Pods), (1..200).prop_map(Change::Percent)];
    let pace = (change, 1..120i64).prop_map(|(change, period)| Pace { change, period: seconds(period) });
    let select = prop_oneof![Just(Select::Max), Just(Select::Min), Just(Select::Disabled)];
    (0..200i64, 0.0..0.5, select, proptest::collection::vec(pace, 1..4)).prop_map(
        |(stabilization, tolerance, select, policies)| Rules {
            stabilization: seconds(stabilization),
            tolerance,
            select,
            policies,
        },
    )
}

/// Loads, and the seconds that go by before each.
fn histories() -> impl Strategy<Value = Vec<(i64, f64)>> {
    proptest::collection::vec((1..60i64, 0.0..20_000.0), 1..60)
}

/// Each look of a history, carried out: the time, the replicas before it, and what was decided.
fn run(policy: &Policy, start: i32, history: &[(i64, f64)]) -> Vec<(Timestamp, i32, prism_scale::Decision)> {
    let (mut state, mut replicas, mut at) = (State::default(), start, Timestamp::UNIX_EPOCH);
    let looks = history.iter().map(|(step, value)| {
        at += seconds(*step);
        let (decision, next) = decide(policy, &state, &look(at, replicas, *value));
        let before = replicas;
        state = next;
        replicas = decision.desired;
        (at, before, decision)
    });
    looks.collect()
}

proptest! {
    #[test]
    fn every_input_has_an_answer_and_always_the_same(
        target in prop_oneof![
            any::<f64>().prop_map(Target::Value),
            any::<f64>().prop_map(Target::AverageValue),
            any::<f64>().prop_map(Target::Utilization),
            any::<f64>().prop_map(|seconds| Target::DrainWithin { seconds }),
        ],
        limits in any::<(i32, i32)>(),
        tolerances in any::<(f64, f64)>(),
        change in prop_oneof![any::<i32>().prop_map(Change::Pods), any::<i32>().prop_map(Change::Percent)],
        hold in prop_oneof![Just(None), Just(Some(Hold::Paused)), any::<i32>().prop_map(|n| Some(Hold::Pinned(n)))],
        period in any::<i64>(),
        looks in proptest::collection::vec(
            (
                -377_705_023_201i64..253_402_207_200,
                any::<i32>(),
                any::<i32>(),
                any::<f64>(),
                proptest::option::of(any::<f64>()),
                proptest::option::of(proptest::collection::vec(any::<f64>(), 0..5)),
            ),
            1..8,
        ),
    ) {
        let mut policy = policy(target);
        policy.limits = Limits { min: limits.0, max: limits.1 };
        policy.up.tolerance = tolerances.0;
        policy.down.tolerance = tolerances.1;
        policy.up.policies = vec![Pace { change, period: seconds(period) }];
        policy.down = Rules { stabilization: seconds(period), ..policy.up.clone() };
        policy.cooldown = seconds(period);
        policy.hold = hold;
        let mut state = State::default();
        for (second, current, ready, value, throughput, instances) in looks {
            let at = Timestamp::from_second(second).unwrap();
            let reading = Reading { throughput, instances, ..Reading::new(value, at) };
            let seen = Observation { at, current, ready, metrics: vec![Ok(reading)] };
            let (decision, next) = decide(&policy, &state, &seen);
            let again = decide(&policy, &state, &seen);
            prop_assert!(decision.desired >= 0);
            prop_assert!(!decision.record().message.is_empty());
            prop_assert_eq!(decision.record(), again.0.record());
            prop_assert_eq!(&next, &again.1);
            state = next;
        }
    }

    #[test]
    fn the_result_is_within_the_limits(
        target in targets(),
        (min, max) in (0..50i32).prop_flat_map(|min| (Just(min), min.max(1)..100)),
        up in rules(),
        down in rules(),
        start in 0..120i32,
        history in histories(),
    ) {
        let policy = Policy { limits: Limits { min, max }, up, down, ..policy(target) };
        for (_, _, decision) in run(&policy, start, &history) {
            prop_assert!((min..=max).contains(&decision.desired), "{}", decision.sentence());
        }
    }

    #[test]
    fn nothing_goes_down_while_a_metric_is_unreadable_or_stale(
        target in targets(),
        down in rules(),
        start in 0..100i32,
        history in histories(),
        value in 0.0..20_000.0,
        is_stale in any::<bool>(),
    ) {
        let mut policy = Policy { down, ..policy(target) };
        policy.metrics.push(PolicyMetric { name: "other".into(), target: Target::Value(1.0), rate: None });
        let (mut state, mut replicas, mut at) = (State::default(), start, Timestamp::UNIX_EPOCH);
        for (step, other) in history {
            at += seconds(step);
            let mut seen = look(at, replicas, value);
            let old = at - policy.max_age - seconds(1);
            let problem = || Err(Problem::new(ProblemKind::Late, "timeout"));
            seen.metrics.push(if is_stale { Ok(Reading::new(other, old)) } else { problem() });
            let (decision, next) = decide(&policy, &state, &seen);
            prop_assert!(decision.desired >= replicas, "{}", decision.sentence());
            state = next;
            replicas = decision.desired;
        }
    }

    #[test]
    fn a_larger_value_never_asks_for_less(
        target in targets(),
        current in 0..100i32,
        ready in 0..100i32,
        values in (0.0..20_000.0f64, 0.0..20_000.0f64),
        instances in proptest::option::of(proptest::collection::vec(0.0..100.0f64, 1..10)),
        scale in 1.0..5.0f64,
    ) {
        let ask = |value: f64, scale: f64| {
            let instances = instances.clone().map(|values| values.iter().map(|one: &f64| one * scale).collect());
            let mut seen = Observation { ready, ..look(Timestamp::UNIX_EPOCH, current, value) };
            let reading = Reading { instances, throughput: Some(1.0), ..Reading::new(value, seen.at) };
            seen.metrics = vec![Ok(reading)];
            decide(&policy(target), &State::default(), &seen).0
        };
        let (less, more) = (values.0.min(values.1), values.0.max(values.1));
        let (less, more) = (ask(less, 1.0), ask(more, scale));
        prop_assert!(less.wanted <= more.wanted, "{}\n{}", less.sentence(), more.sentence());
        prop_assert!(less.desired <= more.desired, "{}\n{}", less.sentence(), more.sentence());
    }

    #[test]
    fn inside_the_tolerance_nothing_changes(
        current in 1..1000i32,
        aim in 0.1..1000.0,
        off in -0.0999..0.0999,
    ) {
        let value = aim * f64::from(current) * (1.0 + off);
        let policy = policy(Target::AverageValue(aim));
        let (decision, _) = decide(&policy, &State::default(), &look(Timestamp::UNIX_EPOCH, current, value));
        prop_assert_eq!(decision.desired, current, "{}", decision.sentence());
    }

    #[test]
    fn a_window_keeps_what_was_wanted_in_it(
        down in 0..300i64,
        up in 0..300i64,
        start in 1..50i32,
        history in histories(),
    ) {
        let mut policy = policy(Target::AverageValue(500.0));
        policy.limits = Limits { min: 1, max: 1000 };
        policy.down.stabilization = seconds(down);
        policy.up.stabilization = seconds(up);
        let mut wishes: Vec<(Timestamp, i32)> = Vec::new();
        for (at, before, decision) in run(&policy, start, &history) {
            let wanted = decision.wanted.unwrap();
            if wishes.is_empty() {
                wishes.push((at, before));
            }
            wishes.push((at, wanted));
            let within = |span| wishes.iter().filter(move |(wish, _)| at.duration_since(*wish) < seconds(span));
            let most = within(down).map(|(_, wish)| *wish).max().unwrap_or(wanted);
            let fewest = within(up).map(|(_, wish)| *wish).min().unwrap_or(wanted);
            if decision.desired < before {
                prop_assert!(decision.desired >= most, "{most} wanted: {}", decision.sentence());
            }
            if decision.desired > before {
                prop_assert!(decision.desired <= fewest.max(1), "{fewest} enough: {}", decision.sentence());
            }
        }
    }

    #[test]
    fn policies_are_never_exceeded_in_any_period(
        up in (1..20i32, 1..120i64),
        down in (1..20i32, 1..120i64),
        start in 1..100i32,
        history in histories(),
    ) {
        let mut policy = policy(Target::AverageValue(100.0));
        policy.limits = Limits { min: 1, max: 1000 };
        policy.up.policies = vec![Pace { change: Change::Pods(up.0), period: seconds(up.1) }];
        policy.down.policies = vec![Pace { change: Change::Pods(down.0), period: seconds(down.1) }];
        policy.down.stabilization = SignedDuration::ZERO;
        let looks = run(&policy, start, &history);
        for (last, (end, before, decision)) in looks.iter().enumerate() {
            // What a period begins with: the replicas before the first look in it.
            let begin = |period| {
                let mut looks = looks[..=last].iter();
                looks.find(|(at, _, _)| end.duration_since(*at) < seconds(period)).map_or(*before, |look| look.1)
            };
            let (more, fewer) = (decision.desired - begin(up.1), begin(down.1) - decision.desired);
            prop_assert!(decision.desired <= *before || more <= up.0, "{more}: {}", decision.sentence());
            prop_assert!(decision.desired >= *before || fewer <= down.0, "{fewer}: {}", decision.sentence());
        }
    }

    #[test]
    fn percentages_are_never_exceeded_in_any_period(
        percent in 1..200i32,
        period in 1..120i64,
        start in 1..100i32,
        history in histories(),
    ) {
        let mut policy = policy(Target::AverageValue(100.0));
        policy.limits = Limits { min: 1, max: 1000 };
        policy.up.policies = vec![Pace { change: Change::Percent(percent), period: seconds(period) }];
        policy.down.select = Select::Disabled;
        let looks = run(&policy, start, &history);
        for (last, (end, _, decision)) in looks.iter().enumerate() {
            for (begin, before, _) in &looks[..=last] {
                let most = (f64::from(*before) * (1.0 + f64::from(percent) / 100.0) - 1e-6).ceil();
                let is_over = end.duration_since(*begin) >= seconds(period);
                prop_assert!(is_over || f64::from(decision.desired) <= most, "{}", decision.sentence());
            }
        }
    }

    #[test]
    fn paused_stays_and_pinned_holds(
        target in targets(),
        start in 0..100i32,
        pin in 0..500i32,
        history in histories(),
    ) {
        let paused = Policy { hold: Some(Hold::Paused), ..policy(target) };
        for (_, _, decision) in run(&paused, start, &history) {
            prop_assert_eq!((decision.desired, decision.held.unwrap().by), (start, HeldBy::Paused));
        }
        let limits = Limits { min: 3, max: 5 };
        let pinned = Policy { hold: Some(Hold::Pinned(pin)), limits, ..policy(target) };
        for (_, _, decision) in run(&pinned, start, &history) {
            prop_assert_eq!((decision.desired, decision.held.unwrap().by), (pin, HeldBy::Pinned));
        }
    }
}

#[test]
fn ten_thousand_decisions_take_no_time_to_speak_of() {
    let policy = policy(Target::AverageValue(500.0));
    let history: Vec<_> =
        (0..10_000).map(|look| (10, 2000.0 * (1.0 + (f64::from(look) / 60.0).sin()))).collect();
    let begin = std::time::Instant::now();
    let looks = run(&policy, 1, &history);
    let taken = begin.elapsed();
    assert_eq!(looks.len(), 10_000);
    // Without optimisation, on a machine that has other things to do: a thousand times what it should take.
    assert!(taken.as_secs() < 5, "{taken:?}");
}
