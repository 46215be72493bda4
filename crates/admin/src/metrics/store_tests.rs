// Small whole numbers are added without a rest.
#![allow(clippy::float_cmp)]

use prism_proto::prism::metrics::v1::{Aggregation as Wire, Measurement, MetricDescriptor, Unit};
use proptest::prelude::*;
use rstest::rstest;

use super::*;

const METRIC: &str = "pattern.consumer.lag";
const RETENTION: Duration = Duration::from_mins(10);
const PROMISE: Duration = Duration::from_secs(30);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn after(seconds: u64) -> SystemTime {
    start() + Duration::from_secs(seconds)
}

fn query() -> MetricQuery {
    MetricQuery::new(PatternRef::new("shop", "orders"), METRIC)
}

/// A report of [`METRIC`] with a promise of 30 seconds.
fn lag(instance: &str, value: f64) -> ReportRequest {
    report(instance, value, Unit::Messages, Wire::Sum)
}

fn report(instance: &str, value: f64, unit: Unit, aggregation: Wire) -> ReportRequest {
    let metric = MetricDescriptor {
        name: METRIC.to_owned(),
        unit: unit.into(),
        aggregation: aggregation.into(),
        help: "Messages that wait".to_owned(),
    };
    ReportRequest {
        pattern: Some(PatternRef::new("shop", "orders")),
        instance: instance.to_owned(),
        stale_after: Some(PROMISE.try_into().unwrap()),
        measurements: vec![Measurement { metric: Some(metric), value, measured_at: None }],
    }
}

#[rstest]
#[case::a_lag_that_is_shared_is_added(Wire::Sum, 7.0)]
#[case::the_worst_latency_counts(Wire::Max, 5.0)]
fn instances_make_one_value(#[case] aggregation: Wire, #[case] expected: f64) {
    let store = Store::new(RETENTION);
    store.report(report("orders-0", 5.0, Unit::Messages, aggregation), start()).unwrap();
    store.report(report("orders-1", 2.0, Unit::Messages, aggregation), after(3)).unwrap();
    let reading = store.read(&query(), after(4)).unwrap();
    assert_eq!(reading.whole.value, expected, "{reading:?}");
    assert_eq!(reading.whole.measured_at, start(), "the time is that of the value that becomes stale first");
    assert_eq!(reading.changes_at, Some(start() + PROMISE));
}

#[test]
fn an_instance_that_stops_reporting_is_told_as_stale_and_then_forgotten() {
    let store = Store::new(RETENTION);
    store.report(lag("orders-0", 5.0), start()).unwrap();
    store.report(lag("orders-1", 2.0), after(29)).unwrap();

    let reading = store.read(&query(), after(30)).unwrap();
    let known = reading.instances.iter().map(|one| (&*one.instance, one.sample.measured_at, one.is_stale));
    assert_eq!(known.collect::<Vec<_>>(), [("orders-0", start(), true), ("orders-1", after(29), false)]);
    assert_eq!(reading.whole.value, 2.0, "a stale value counts: {reading:?}");
    assert!(!reading.is_stale);

    let reading = store.read(&query(), after(60)).unwrap();
    assert!(reading.is_stale, "nothing is fresh: {reading:?}");
    assert_eq!(reading.whole.value, 7.0, "the last that is known of all: {reading:?}");

    let reading = store.read(&query(), after(630)).unwrap();
    assert_eq!(reading.instances.len(), 1, "orders-0 is forgotten: {reading:?}");
    assert_eq!(store.read(&query(), after(659)), Err(Missing::Pattern("shop/orders".to_owned())));
    store.sweep(after(659));
    assert!(store.patterns.read().unwrap().is_empty(), "what is forgotten still takes room");
}

#[test]
fn a_measurement_that_was_overtaken_is_ignored() {
    let store = Store::new(RETENTION);
    store.report(lag("orders-0", 5.0), after(10)).unwrap();
    let mut late = lag("orders-0", 9.0);
    late.measurements[0].measured_at = Some(start().into());
    store.report(late, after(11)).unwrap();
    let reading = store.read(&query(), after(11)).unwrap();
    assert_eq!(reading.whole.value, 5.0, "{reading:?}");
}

#[test]
fn a_clock_that_is_ahead_keeps_no_value_fresh() {
    let store = Store::new(RETENTION);
    let mut early = lag("orders-0", 5.0);
    early.measurements[0].measured_at = Some(after(3600).into());
    store.report(early, start()).unwrap();
    assert!(store.read(&query(), after(30)).unwrap().is_stale);
}

#[test]
fn a_report_is_taken_whole_or_not_at_all() {
    let store = Store::new(RETENTION);
    let mut request = lag("orders-0", 5.0);
    let mut other = request.measurements[0].clone();
    other.metric.as_mut().unwrap().name = "pattern.consumer.throughput".to_owned();
    other.value = f64::NAN;
    request.measurements.push(other);
    store.report(request, start()).unwrap_err();
    assert_eq!(store.list(&PatternRef::new("shop", "orders"), start()).ok(), None);
}

#[test]
fn an_instance_that_still_reports_has_the_last_word_on_what_its_numbers_mean() {
    let store = Store::new(RETENTION);
    let in_bytes = || report("orders-1", 1.0, Unit::Bytes, Wire::Sum);
    store.report(lag("orders-0", 5.0), start()).unwrap();
    let conflict = Err(Refused::Conflict { metric: METRIC.to_owned() });
    assert_eq!(store.report(in_bytes(), after(29)), conflict);
    store.report(in_bytes(), after(30)).unwrap();
    let reading = store.read(&query(), after(30)).unwrap();
    assert_eq!(reading.unit, Unit::Bytes);
    assert_eq!(reading.instances.len(), 1, "messages and bytes stand side by side: {reading:?}");
    store.report(report("orders-1", 1.0, Unit::Seconds, Wire::Max), after(31)).unwrap();
}

#[rstest]
#[case::no_pattern(|r: &mut ReportRequest| r.pattern = None, "pattern.namespace must have 1 to 253 bytes")]
#[case::no_instance(|r: &mut ReportRequest| r.instance.clear(), "instance must have 1 to 253 bytes")]
#[case::long_instance(|r: &mut ReportRequest| r.instance = "x".repeat(254), "instance must have 1 to 253 bytes")]
#[case::no_promise(|r: &mut ReportRequest| r.stale_after = None, "stale_after must be")]
#[case::a_promise_of_years(
    |r: &mut ReportRequest| r.stale_after.as_mut().unwrap().seconds = 1 << 40, "stale_after must be")]
#[case::nothing(|r: &mut ReportRequest| r.measurements.clear(), "1 to 256 measurements, not 0")]
#[case::twice(|r: &mut ReportRequest| r.measurements.push(r.measurements[0].clone()), "is reported twice")]
#[case::no_metric(|r: &mut ReportRequest| r.measurements[0].metric = None, "metric.name must have")]
#[case::no_unit(
    |r: &mut ReportRequest| r.measurements[0].metric.as_mut().unwrap().unit = 0, "needs a unit")]
#[case::a_unit_to_come(
    |r: &mut ReportRequest| r.measurements[0].metric.as_mut().unwrap().unit = 99, "needs a unit")]
#[case::no_aggregation(
    |r: &mut ReportRequest| r.measurements[0].metric.as_mut().unwrap().aggregation = 0, "needs a unit")]
#[case::long_help(
    |r: &mut ReportRequest| r.measurements[0].metric.as_mut().unwrap().help = "x".repeat(1025), "the help of")]
#[case::not_a_number(|r: &mut ReportRequest| r.measurements[0].value = f64::NAN, "and it is NaN")]
#[case::infinite(|r: &mut ReportRequest| r.measurements[0].value = f64::INFINITY, "and it is inf")]
#[case::negative(|r: &mut ReportRequest| r.measurements[0].value = -1.0, "and it is -1")]
fn a_report_that_breaks_the_contract_is_refused_with_its_fault(
    #[case] breaks: fn(&mut ReportRequest),
    #[case] expected: &str,
) {
    let mut request = lag("orders-0", 5.0);
    breaks(&mut request);
    let refused = Store::new(RETENTION).report(request, start()).unwrap_err().to_string();
    assert!(refused.contains(expected), "{refused}");
}

prop_compose! {
    /// Reports of a few instances within two minutes, values up to the largest there is.
    fn reports()(reports in prop::collection::vec((0_u8..4, 0.0..=f64::MAX, 0_u64..120, 1_u64..60), 1..12))
        -> Vec<(ReportRequest, SystemTime)>
    {
        let mut reports: Vec<_> = reports.into_iter().map(|(instance, value, at, promise)| {
            let mut request = lag(&format!("orders-{instance}"), value);
            request.stale_after = Some(Duration::from_secs(promise).try_into().unwrap());
            (request, after(at))
        }).collect();
        reports.sort_by_key(|(_, at)| *at);
        reports
    }
}

proptest! {
    #[test]
    fn the_whole_is_made_of_what_is_fresh(reports in reports(), pause in 0_u64..200) {
        let store = Store::new(RETENTION);
        let now = reports.last().unwrap().1 + Duration::from_secs(pause);
        for (request, at) in reports {
            store.report(request, at).unwrap();
        }
        let reading = store.read(&query(), now).unwrap();
        let counting: Vec<_> =
            reading.instances.iter().filter(|one| one.is_stale == reading.is_stale).collect();
        let most = counting.iter().map(|one| one.sample.value).fold(0.0, f64::max);
        prop_assert!(reading.whole.value.is_finite() && reading.whole.value >= most);
        prop_assert!(counting.iter().any(|one| one.sample.measured_at == reading.whole.measured_at));
        prop_assert_eq!(reading.is_stale, reading.instances.iter().all(|one| one.is_stale));
    }

    #[test]
    fn a_reading_stays_the_same_until_it_says(reports in reports()) {
        let store = Store::new(RETENTION);
        let mut now = reports.last().unwrap().1;
        for (request, at) in reports {
            store.report(request, at).unwrap();
        }
        let mut reading = Ok(store.read(&query(), now).unwrap());
        // Each instance becomes stale once, and is forgotten once; then nothing is left.
        for _ in 0..8 {
            let Some(changes_at) = reading.as_ref().ok().and_then(|reading| reading.changes_at) else { break };
            prop_assert!(changes_at > now);
            now = changes_at;
            prop_assert_eq!(&store.read(&query(), now - Duration::from_nanos(1)), &reading);
            let next = store.read(&query(), now);
            prop_assert_ne!(&next, &reading);
            store.sweep(now);
            prop_assert_eq!(&store.read(&query(), now), &next, "sweeping takes away what is told");
            reading = next;
        }
        prop_assert!(reading.is_err(), "something is never forgotten: {:?}", reading);
    }
}
