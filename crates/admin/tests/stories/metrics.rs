//! What runners report, and what is told of it.

use std::time::{Duration, SystemTime};

use prism_proto::prism::metrics::v1::{
    Aggregation, ListRequest, MetricQuery, PatternRef, QueryRequest, Unit,
};
use tonic::Code;

use crate::support::{LAG, World, error, lag, lag_of, measured, pattern, soon, value};

#[tokio::test]
async fn what_runners_report_is_what_is_told() {
    let mut world = World::new().await;
    let before = SystemTime::now();
    world.report(lag("orders", "orders-0", 40.0)).await;
    world.report(lag("orders", "orders-1", 2.0)).await;
    let answer = world.query(&[lag_of("orders")]).await.unwrap();
    let told = value(answer.results[0].clone());
    assert_eq!((told.value, told.unit(), told.stale), (42.0, Unit::Messages, false));
    let instances: Vec<_> = told.instances.iter().map(|one| (&*one.instance, one.value)).collect();
    assert_eq!(instances, [("orders-0", 40.0), ("orders-1", 2.0)]);
    let measured_at = SystemTime::try_from(told.measured_at.unwrap()).unwrap();
    let answered_at = SystemTime::try_from(answer.answered_at.unwrap()).unwrap();
    assert!(before <= measured_at && measured_at <= answered_at, "{told:?}");
    assert_eq!(told.stale_after, Some(Duration::from_mins(1).try_into().unwrap()));
}

#[tokio::test]
async fn a_batch_is_answered_query_by_query() {
    let mut world = World::new().await;
    world.report(lag("orders", "orders-0", 7.0)).await;
    let nameless = MetricQuery::new(PatternRef::new("", "orders"), LAG);
    let depth = MetricQuery::new(pattern("orders"), "mailbox.queue_depth");
    let elsewhere = MetricQuery { instances: vec!["orders-9".to_owned()], ..lag_of("orders") };
    let queries = [lag_of("payments"), lag_of("orders"), depth, nameless, elsewhere, lag_of("orders")];
    let results = world.query(&queries).await.unwrap().results;
    assert_eq!(results.iter().map(|result| result.query).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    for index in [1, 5] {
        assert_eq!(value(results[index].clone()).value, 7.0);
    }
    let expected = [
        (0, Code::NotFound, "pattern shop/payments"),
        (2, Code::NotFound, "no metric mailbox.queue_depth"),
        (3, Code::InvalidArgument, "no pattern by namespace and name"),
        (4, Code::NotFound, "none of these instances"),
    ];
    for (index, code, message) in expected {
        let status = tonic::Status::from(error(results[index].clone()));
        assert_eq!(status.code(), code, "query {index}: {status}");
        assert!(status.message().contains(message), "query {index}: {status}");
    }
}

#[tokio::test]
async fn only_the_instances_that_are_asked_for_count() {
    let mut world = World::new().await;
    for (instance, value) in [("orders-0", 1.0), ("orders-1", 2.0), ("orders-2", 4.0)] {
        world.report(lag("orders", instance, value)).await;
    }
    let instances = ["orders-0", "orders-2", "orders-9"].map(str::to_owned).to_vec();
    let told = world.value(MetricQuery { instances, ..lag_of("orders") }).await;
    assert_eq!(told.value, 5.0, "{told:?}");
    assert_eq!(told.instances.len(), 2, "{told:?}");
}

#[tokio::test]
async fn a_value_whose_promise_is_over_is_told_as_stale_with_its_time() {
    let mut world = World::new().await;
    let measured_at = SystemTime::now() - Duration::from_mins(2);
    let mut old = lag("orders", "orders-0", 7.0);
    old.measurements[0].measured_at = Some(measured_at.into());
    world.report(old).await;
    let told = world.value(lag_of("orders")).await;
    assert!(told.stale && told.instances[0].stale, "{told:?}");
    assert_eq!((told.value, told.measured_at), (7.0, Some(measured_at.into())));

    world.report(lag("orders", "orders-1", 1.0)).await;
    let told = world.value(lag_of("orders")).await;
    assert_eq!((told.value, told.stale), (1.0, false), "what is fresh counts alone: {told:?}");
    assert_eq!(told.instances.iter().map(|one| one.stale).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn an_instance_that_has_been_silent_for_long_is_forgotten() {
    let mut world = World::with(|builder| builder.retention(Duration::from_secs(30))).await;
    let mut old = lag("orders", "orders-0", 7.0);
    old.measurements[0].measured_at = Some((SystemTime::now() - Duration::from_secs(91)).into());
    world.report(old).await;
    let results = world.query(&[lag_of("orders")]).await.unwrap().results;
    assert_eq!(error(results[0].clone()).code, i32::from(Code::NotFound));
}

#[tokio::test]
async fn five_hundred_patterns_are_asked_in_one_call() {
    let mut world = World::new().await;
    for (number, value) in (0..500).map(|number| (number, f64::from(number))) {
        world.report(lag(&format!("p{number}"), "pod", value)).await;
    }
    let queries: Vec<_> = (0..500).map(|number| lag_of(&format!("p{number}"))).collect();
    let results = world.query(&queries).await.unwrap().results;
    assert_eq!(results.len(), 500);
    for (result, expected) in results.into_iter().zip((0..500).map(f64::from)) {
        assert_eq!(value(result).value, expected);
    }
}

#[tokio::test]
async fn the_metrics_of_a_pattern_are_listed() {
    let mut world = World::new().await;
    let mut report = lag("orders", "orders-0", 7.0);
    let p99 = "pattern.consumer.processing_time_p99";
    report.measurements.insert(0, measured(p99, Unit::Seconds, Aggregation::Max, 0.25));
    world.report(report.clone()).await;
    let request = |name| ListRequest { pattern: Some(pattern(name)) };
    let listed = soon("a list", world.metrics.list(request("orders"))).await.unwrap().into_inner().metrics;
    report.measurements.reverse();
    let reported: Vec<_> = report.measurements.into_iter().filter_map(|one| one.metric).collect();
    assert_eq!(listed, reported);
    let status = soon("a list", world.metrics.list(request("payments"))).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
}

#[tokio::test]
async fn reports_that_cannot_be_meant_are_refused() {
    let mut world = World::new().await;
    let status =
        soon("an answer", world.ingest.report(lag("orders", "orders-0", f64::NAN))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");

    world.report(lag("orders", "orders-0", 7.0)).await;
    let mut other = lag("orders", "orders-1", 7.0);
    other.measurements = vec![measured(LAG, Unit::Bytes, Aggregation::Sum, 7.0)];
    let status = soon("an answer", world.ingest.report(other)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
}

#[tokio::test]
async fn a_call_without_queries_or_with_too_many_is_refused() {
    let mut world = World::new().await;
    for count in [0, 1001] {
        let request = QueryRequest { queries: vec![lag_of("orders"); count] };
        let status = soon("an answer", world.metrics.query(request)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{count} queries: {status}");
    }
}
