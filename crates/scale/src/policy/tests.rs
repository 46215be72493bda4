use super::*;
use jiff::Timestamp;
use prism_api::scaling::ScalingWindow;
use rstest::rstest;

fn block(yaml: &str) -> Autoscaling {
    serde_saphyr::from_str(yaml).unwrap()
}

fn policy(yaml: &str) -> Policy {
    Policy::of(&block(yaml), "spec.autoscaling").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_block_that_says_little_has_the_defaults_of_the_api() {
    let policy = policy("maxReplicas: 10");
    assert_eq!(policy.limits, Limits { min: 1, max: 10 });
    assert_eq!(
        policy.metrics,
        [PolicyMetric { name: "cpu".into(), target: Target::Utilization(75.0), rate: None }]
    );
    assert_eq!((policy.up, policy.down), (Rules::up(), Rules::down()));
    assert_eq!(policy.polling_interval, SignedDuration::from_secs(10));
    assert_eq!(policy.cooldown, SignedDuration::from_secs(300));
    assert_eq!(policy.max_age, SignedDuration::from_secs(60));
    assert_eq!(policy.mode, ScalingMode::Active);
}

#[test]
fn behavior_is_filled_in_direction_by_direction() {
    let policy = policy(
        "maxReplicas: 10
behavior:
  scaleUp: {stabilizationWindowSeconds: 30, tolerance: 50m}
  scaleDown:
    selectPolicy: Max
    policies: [{type: Pods, value: 2, periodSeconds: 60}]",
    );
    assert_eq!(policy.up.stabilization, SignedDuration::from_secs(30));
    assert!((policy.up.tolerance - 0.05).abs() < 1e-12);
    assert_eq!((policy.up.select, policy.up.policies), (Select::Max, Rules::up().policies));
    assert_eq!(policy.down.stabilization, SignedDuration::from_secs(300));
    assert_eq!(policy.down.select, Select::Max);
    assert_eq!(
        policy.down.policies,
        [Pace { change: Change::Pods(2), period: SignedDuration::from_secs(60) }]
    );
}

#[rstest]
#[case::full(
    "{type: AdminMetric, adminMetric: {metricName: pattern.lag, target: {value: 5}}}",
    "pattern.lag",
    Target::Value(5.0)
)]
#[case::query(
    "{type: AdminMetric, adminMetric: {query: {pattern: orders, metric: queue_depth}, target: {averageValue: 1k}}}",
    "orders/queue_depth",
    Target::AverageValue(1000.0)
)]
#[case::last_part(
    "{type: AdminMetric, adminMetric: {query: {metric: queue_depth}, target: {averageValue: 1k}}}",
    "queue_depth",
    Target::AverageValue(1000.0)
)]
#[case::short("{type: AdminMetric, name: lag, target: 100}", "lag", Target::AverageValue(100.0))]
#[case::duration(
    "{type: AdminMetric, adminMetric: {metricName: latency, target: {value: 250ms}}}",
    "latency",
    Target::Value(0.25)
)]
#[case::type_decides(
    "{type: AdminMetric, adminMetric: {metricName: lag, target: {type: AverageValue, value: 1000}}}",
    "lag",
    Target::AverageValue(1000.0)
)]
#[case::utilization(
    "{type: AdminMetric, adminMetric: {metricName: busy, target: {averageUtilization: 80}}}",
    "busy",
    Target::Utilization(80.0)
)]
#[case::drain("{type: AdminMetric, adminMetric: {metricName: lag, target: {drainWithin: 1m30s}}}", "lag", Target::DrainWithin { seconds: 90.0 })]
#[case::prometheus(
    "{type: Prometheus, prometheus: {serverAddress: 'http://p', query: up, target: {value: 5}}}",
    "up",
    Target::Value(5.0)
)]
#[case::external(
    "{type: External, external: {metric: {name: sqs}, target: {type: AverageValue, averageValue: 30}}}",
    "sqs",
    Target::AverageValue(30.0)
)]
#[case::container(
    "{type: ContainerResource, containerResource: {name: cpu, container: app, target: {type: Utilization, averageUtilization: 60}}}",
    "app/cpu",
    Target::Utilization(60.0)
)]
fn a_metric_has_one_name_and_one_target(#[case] metric: &str, #[case] name: &str, #[case] target: Target) {
    let policy = policy(&format!("maxReplicas: 10\nmetrics: [{metric}]"));
    assert_eq!((policy.metrics[0].name.as_str(), policy.metrics[0].target), (name, target));
}

#[rstest]
#[case("pattern.consumer.lag", "", "pattern.consumer.throughput")]
#[case("lag", "", "throughput")]
#[case("lag", ", rate: done", "done")]
fn a_time_target_knows_where_its_throughput_is(
    #[case] name: &str,
    #[case] rate: &str,
    #[case] expected: &str,
) {
    let metric = format!(
        "{{type: AdminMetric, adminMetric: {{metricName: {name}, target: {{drainWithin: 20s{rate}}}}}}}"
    );
    let policy = policy(&format!("maxReplicas: 10\nmetrics: [{metric}]"));
    assert_eq!(policy.metrics[0].rate.as_deref(), Some(expected));
}

#[test]
fn metrics_of_the_same_name_are_told_apart() {
    let policy = policy(
        "maxReplicas: 10
targetCPU: 60
metrics:
- {type: AdminMetric, name: lag, target: 1}
- {type: AdminMetric, name: lag, target: 2}",
    );
    let names: Vec<_> = policy.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names, ["cpu", "lag", "lag (2)"]);
}

#[rstest]
#[case("minReplicas: 1", "spec.autoscaling.maxReplicas")]
#[case("{minReplicas: 5, maxReplicas: 3}", "spec.autoscaling.minReplicas")]
#[case("{maxReplicas: 3, triggers: [{type: kafka}]}", "spec.autoscaling.triggers")]
#[case(
    "{maxReplicas: 3, metrics: [{type: AdminMetric, name: lag, target: 0}]}",
    "spec.autoscaling.metrics[0].target"
)]
#[case(
    "{maxReplicas: 3, metrics: [{type: Prometheus, prometheus: {serverAddress: 'http://p', query: up, target: {drainWithin: 5s}}}]}",
    "spec.autoscaling.metrics[0].prometheus.target.rate"
)]
#[case("{maxReplicas: 3, targetCPU: 0}", "spec.autoscaling.targetCPUUtilizationPercentage")]
#[case(
    "{maxReplicas: 3, metrics: [{type: AdminMetric, adminMetric: {metricName: a, target: {value: 1, drainWithin: 5s}}}]}",
    "spec.autoscaling.metrics[0].adminMetric.target"
)]
#[case(
    "{maxReplicas: 3, metrics: [{type: AdminMetric, adminMetric: {metricName: a, target: {drainWithin: soon}}}]}",
    "spec.autoscaling.metrics[0].adminMetric.target.drainWithin"
)]
#[case(
    "{maxReplicas: 3, behavior: {scaleUp: {selectPolicy: Most}}}",
    "spec.autoscaling.behavior.scaleUp.selectPolicy"
)]
#[case(
    "{maxReplicas: 3, behavior: {scaleDown: {policies: [{type: Pods, value: 1, periodSeconds: 0}]}}}",
    "spec.autoscaling.behavior.scaleDown.policies[0].periodSeconds"
)]
#[case(
    "{maxReplicas: 3, windows: [{name: a, start: 0 8 * * *, end: every day, minReplicas: 1}]}",
    "spec.autoscaling.windows[0].end"
)]
#[case(
    "{maxReplicas: 3, windows: [{name: a, start: 0 8 * * *, end: 0 0 30 2 *, minReplicas: 1}]}",
    "spec.autoscaling.windows[0].end"
)]
#[case(
    "{maxReplicas: 3, windows: [{name: a, start: 0 0 8 * * *, end: 0 9 * * *, minReplicas: 1}]}",
    "spec.autoscaling.windows[0].start"
)]
#[case(
    "{maxReplicas: 3, windows: [{name: a, start: 0 8 * * *, end: 0 9 * * *, minReplicas: 1, timeZone: Mars/Olympus}]}",
    "spec.autoscaling.windows[0].timeZone"
)]
#[case(
    "{maxReplicas: 3, windows: [{name: a, start: 0 8 * * *, end: 0 9 * * *, minReplicas: 5}]}",
    "spec.autoscaling.windows[0].minReplicas"
)]
fn what_cannot_be_followed_is_named(#[case] yaml: &str, #[case] field: &str) {
    let invalid = Policy::of(&block(yaml), "spec.autoscaling").unwrap_err();
    assert_eq!(invalid.field, field, "{invalid}");
}

#[test]
fn a_prism_autoscaler_is_the_same_block_with_limits_of_its_own() {
    let spec = serde_saphyr::from_str(
        "{targetRef: {kind: Deployment, name: a}, metrics: [{type: AdminMetric, name: lag, target: 1k}], pollingInterval: 30}",
    );
    let policy = Policy::of_autoscaler(&spec.unwrap()).unwrap();
    assert_eq!(policy.limits, Limits { min: 1, max: 10 });
    assert_eq!(policy.max_age, SignedDuration::from_secs(90));
    let spec =
        serde_saphyr::from_str("{targetRef: {kind: Deployment, name: a}, minReplicas: 20, metrics: []}");
    assert_eq!(Policy::of_autoscaler(&spec.unwrap()).unwrap_err().field, "minReplicas");
}

fn window(name: &str, start: &str, end: &str, zone: &str, min: i32) -> Window {
    let spec = ScalingWindow {
        name: name.into(),
        start: start.into(),
        end: end.into(),
        time_zone: Some(zone.into()),
        min_replicas: Some(min),
        max_replicas: None,
    };
    Window::of(&spec, Limits { min: 1, max: 10 }, "windows[0]").unwrap()
}

#[rstest]
#[case::before("2026-07-01T05:59:59Z", None, Some("2026-07-01T06:00:00Z"))]
#[case::opens("2026-07-01T06:00:00Z", Some("day"), Some("2026-07-01T09:00:00Z"))]
#[case::stays("2026-07-03T10:00:00Z", Some("day"), Some("2026-07-03T16:00:00Z"))]
#[case::first_of_two("2026-07-01T09:30:00Z", Some("rush"), Some("2026-07-01T10:00:00Z"))]
#[case::an_earlier_one_will_open("2026-07-01T08:30:00Z", Some("day"), Some("2026-07-01T09:00:00Z"))]
#[case::closes("2026-07-01T16:00:00Z", None, Some("2026-07-02T06:00:00Z"))]
#[case::weekend("2026-07-04T12:00:00Z", None, Some("2026-07-06T06:00:00Z"))]
fn the_first_open_window_counts(#[case] time: &str, #[case] open: Option<&str>, #[case] next: Option<&str>) {
    let windows = [
        window("rush", "0 11 * * 1-5", "0 12 * * 1-5", "Europe/Berlin", 5),
        window("day", "0 8 * * 1-5", "0 18 * * 1-5", "Europe/Berlin", 3),
    ];
    let in_force = limits_at(&windows, Limits { min: 1, max: 10 }, at(time));
    assert_eq!(in_force.window.as_deref(), open);
    assert_eq!(in_force.next_change, next.map(at));
    let min = match open {
        Some("rush") => 5,
        Some(_) => 3,
        None => 1,
    };
    assert_eq!(in_force.limits, Limits { min, max: 10 });
}

/// In Berlin, the clock goes from 2:00 to 3:00 on 29 March 2026, at 1:00 UTC.
#[rstest]
#[case::winter("2026-03-28T01:29:00Z", false)]
#[case::in_winter_half_past_two_is_half_past_one_utc("2026-03-28T01:30:00Z", true)]
#[case::skipped_half_past_two_is_three("2026-03-29T00:59:59Z", false)]
#[case::right_after_the_gap("2026-03-29T01:00:00Z", true)]
#[case::summer("2026-03-30T00:30:00Z", true)]
fn a_window_opens_although_the_clock_skips_its_start(#[case] time: &str, #[case] open: bool) {
    let windows = [window("night", "30 2 * * *", "0 5 * * *", "Europe/Berlin", 3)];
    let in_force = limits_at(&windows, Limits { min: 1, max: 10 }, at(time));
    assert_eq!(in_force.window.is_some(), open, "{in_force:?}");
}

/// In Berlin, the clock goes from 3:00 to 2:00 on 25 October 2026, at 1:00 UTC.
#[rstest]
#[case::before("2026-10-25T00:29:59Z", false)]
#[case::the_first_half_past_two("2026-10-25T00:30:00Z", true)]
#[case::the_first_quarter_to_three("2026-10-25T00:45:00Z", false)]
#[case::the_second_half_past_two("2026-10-25T01:30:00Z", false)]
fn a_window_opens_once_when_the_clock_repeats_its_start(#[case] time: &str, #[case] open: bool) {
    let windows = [window("night", "30 2 * * *", "45 2 * * *", "Europe/Berlin", 3)];
    let in_force = limits_at(&windows, Limits { min: 1, max: 10 }, at(time));
    assert_eq!(in_force.window.is_some(), open, "{in_force:?}");
}

#[test]
fn a_window_that_closes_as_it_opens_is_never_open() {
    let windows = [window("none", "0 8 * * *", "0 8 * * *", "UTC", 3)];
    let in_force = limits_at(&windows, Limits { min: 1, max: 10 }, at("2026-07-01T08:00:00Z"));
    assert_eq!(in_force.window, None);
}
