use super::*;
use crate::policy::Policy;
use jiff::SignedDuration;
use rstest::rstest;
use std::{collections::BTreeMap, fmt::Write};

const LAG: &str = "maxReplicas: 20\nmetrics: [{type: AdminMetric, name: lag, target: 1000}]";
const DRAIN: &str = "maxReplicas: 20
metrics: [{type: AdminMetric, adminMetric: {metricName: lag, target: {drainWithin: 20s}}}]";

fn policy(yaml: &str) -> Policy {
    read_policy(yaml).unwrap()
}

/// One column, a value every ten seconds.
fn series(name: &str, values: impl IntoIterator<Item = f64>) -> Series {
    let mut text = format!("time,{name}\n");
    for (look, value) in values.into_iter().enumerate() {
        writeln!(text, "{},{value}", 1_767_261_600 + look * 10).unwrap();
    }
    Series::from_csv(&text).unwrap()
}

fn setup() -> Setup {
    Setup { replicas: None, start_up: SignedDuration::from_secs(30), queue: None, columns: BTreeMap::new() }
}

fn queued(rate: f64) -> Setup {
    Setup { queue: Some(Queue { arrivals: "arrivals".into(), rate }), ..setup() }
}

/// Ten quiet minutes, ten busy ones and twenty quiet ones.
fn day(quiet: f64, busy: f64) -> impl Iterator<Item = f64> {
    (0..240).map(move |look| if (60..120).contains(&look) { busy } else { quiet })
}

#[rstest]
#[case::replayed(LAG, setup(), "lag", 6500.0, 7)]
#[case::queued(DRAIN, queued(100.0), "arrivals", 950.0, 10)]
fn a_constant_load_ends_in_a_constant_number(
    #[case] yaml: &str,
    #[case] setup: Setup,
    #[case] name: &str,
    #[case] value: f64,
    #[case] expected: i32,
) {
    let outcome = simulate(&policy(yaml), &series(name, (0..720).map(|_| value)), &setup).unwrap();
    let last = &outcome.points[360..];
    let replicas = last[0].replicas;
    assert!(last.iter().all(|point| point.replicas == replicas), "{:?}", outcome.decisions);
    assert!((expected..=expected + 1).contains(&replicas), "{replicas}: {:?}", outcome.decisions.last());
}

#[test]
fn figures_are_those_of_the_replay() {
    let outcome = simulate(&policy(LAG), &series("lag", day(1000.0, 4000.0)), &setup()).unwrap();
    // From 1 to 4 at once; ready after 30 seconds, so three looks are over the target. Down five minutes
    // after the last busy one.
    assert_eq!(outcome.over_target, SignedDuration::from_secs(30));
    assert_eq!((outcome.changes(), outcome.range()), (2, (1, 4)));
    let high = outcome.points.iter().filter(|point| point.replicas == 4).count();
    assert_eq!(high, 60 + 29, "ten minutes, and five less one look");
    let expected = (240.0 + 3.0 * 89.0) * 10.0 / 3600.0;
    assert!((outcome.replica_hours() - expected).abs() < 1e-9, "{}", outcome.replica_hours());
}

#[test]
fn the_queue_reacts_to_the_replicas() {
    let arrivals = series("arrivals", day(50.0, 950.0));
    let outcome = simulate(&policy(DRAIN), &arrivals, &queued(100.0)).unwrap();
    let most = outcome.points.iter().filter_map(|point| point.value).fold(0.0, f64::max);
    assert!(most > 1000.0, "nobody was there when the load came: {most}");
    let drained = outcome.points[90..120].iter().all(|point| point.value.is_some_and(|value| value < 1.0));
    assert!(drained, "after five busy minutes nothing waits: {:?}", &outcome.points[60..120]);
    assert_eq!(outcome.points[239].replicas, 1, "{:?}", outcome.decisions.last());
}

#[test]
fn a_gap_in_the_recording_is_a_metric_that_cannot_be_read() {
    let text = "time,lag\n0,5000\n10,5000\n20,5000\n30,5000\n330,5000\n340,\n350,5000\n";
    let outcome = simulate(&policy(LAG), &Series::from_csv(text).unwrap(), &setup()).unwrap();
    // A value holds for twice the usual ten seconds: looks from 60 to 320, and the one at 340.
    assert_eq!(outcome.blind_looks, 28);
    assert_eq!(outcome.points.iter().filter(|point| point.value.is_none()).count(), 28);
}

#[test]
fn while_no_arrivals_are_recorded_as_many_come_as_before() {
    let whole = series("arrivals", (0..240).map(|_| 950.0));
    let mut gap = whole.clone();
    gap.samples[100..130].iter_mut().for_each(|sample| sample.values[0] = None);
    let replay = |series| simulate(&policy(DRAIN), series, &queued(100.0)).unwrap();
    assert_eq!(replay(&gap), replay(&whole));
}

#[test]
fn a_metric_without_a_column_is_named() {
    let series = Series::from_csv("time,a,b\n0,1,1\n10,1,1\n").unwrap();
    let error = simulate(&policy(LAG), &series, &setup()).unwrap_err();
    assert_eq!(error.to_string(), "the series has no column lag: it has a, b");
    let columns = BTreeMap::from([("lag".to_owned(), "b".to_owned())]);
    assert!(simulate(&policy(LAG), &series, &Setup { columns, ..setup() }).is_ok());
}

#[test]
fn the_same_replay_has_the_same_outcome() {
    let arrivals = series("arrivals", day(50.0, 950.0));
    let replay = || simulate(&policy(DRAIN), &arrivals, &queued(100.0)).unwrap();
    assert_eq!(replay(), replay());
}

#[test]
fn two_policies_stand_side_by_side() {
    let arrivals = series("arrivals", day(50.0, 950.0));
    let lag = simulate(&policy(LAG), &arrivals, &queued(100.0)).unwrap();
    let drain = simulate(&policy(DRAIN), &arrivals, &queued(100.0)).unwrap();
    let outcomes = [("lag <1000>", &lag), ("drain in 20 s", &drain)];
    insta::assert_snapshot!("table", table(&outcomes));
    insta::assert_snapshot!("chart", chart(&outcomes, "lag"));
    let replayed = simulate(&policy(LAG), &series("lag", day(1000.0, 4000.0)), &setup()).unwrap();
    insta::assert_snapshot!("table_of_a_replay", table(&[("lag", &replayed)]));
}
