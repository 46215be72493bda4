//! Streams of answers.

use std::time::{Duration, Instant};

use prism_proto::prism::metrics::v1::WatchRequest;
use tonic::Code;

use crate::support::{World, error, lag, lag_of, next, soon, value};

/// Longer than any story: what comes is no heartbeat.
const NEVER: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_change_is_told_at_once_and_alone() {
    let mut world = World::new().await;
    world.report(lag("orders", "orders-0", 1.0)).await;
    world.report(lag("payments", "payments-0", 2.0)).await;
    let mut stream = world.watch(&[lag_of("orders"), lag_of("payments")], NEVER).await;
    let first = next(&mut stream).await.unwrap().results;
    assert_eq!(first.into_iter().map(|result| value(result).value).collect::<Vec<_>>(), [1.0, 2.0]);

    world.report(lag("payments", "payments-0", 3.0)).await;
    let change = next(&mut stream).await.unwrap().results;
    assert_eq!(change.len(), 1, "what has not changed is told: {change:?}");
    assert_eq!((change[0].query, value(change[0].clone()).value), (1, 3.0));
}

#[tokio::test]
async fn a_pattern_that_comes_is_told() {
    let mut world = World::new().await;
    let mut stream = world.watch(&[lag_of("orders")], NEVER).await;
    let first = next(&mut stream).await.unwrap().results.remove(0);
    assert_eq!(error(first).code, i32::from(Code::NotFound));
    world.report(lag("elsewhere", "elsewhere-0", 9.0)).await;
    world.report(lag("orders", "orders-0", 1.0)).await;
    let change = next(&mut stream).await.unwrap().results.remove(0);
    assert_eq!(value(change).value, 1.0);
}

#[tokio::test]
async fn a_value_that_becomes_stale_and_is_forgotten_is_told_without_a_report() {
    let moment = Duration::from_secs(1);
    let mut world = World::with(|builder| builder.retention(moment)).await;
    let mut stream = world.watch(&[lag_of("orders")], NEVER).await;
    next(&mut stream).await.unwrap();
    let mut report = lag("orders", "orders-0", 1.0);
    report.stale_after = Some(moment.try_into().unwrap());
    world.report(report).await;
    let told = value(next(&mut stream).await.unwrap().results.remove(0));
    assert!(!told.stale, "{told:?}");
    let told = value(next(&mut stream).await.unwrap().results.remove(0));
    assert!(told.stale, "{told:?}");
    let gone = error(next(&mut stream).await.unwrap().results.remove(0));
    assert_eq!(gone.code, i32::from(Code::NotFound));
}

#[tokio::test]
async fn a_heartbeat_tells_everything() {
    let mut world = World::new().await;
    world.report(lag("orders", "orders-0", 1.0)).await;
    let heartbeat = Duration::from_millis(200);
    let started = Instant::now();
    let mut stream = world.watch(&[lag_of("orders"), lag_of("payments")], heartbeat).await;
    let first = next(&mut stream).await.unwrap();
    for beat in 1..=3 {
        let message = next(&mut stream).await.unwrap();
        assert_eq!(message.results, first.results, "heartbeat {beat} is not the whole");
        assert!(message.answered_at != first.answered_at, "heartbeat {beat} has an old time");
    }
    assert!(started.elapsed() >= heartbeat * 3, "three heartbeats came in {:?}", started.elapsed());
}

#[tokio::test]
async fn heartbeats_that_help_nobody_are_refused() {
    let mut world = World::new().await;
    for heartbeat in [Duration::ZERO, Duration::from_millis(99), Duration::from_secs(3601)] {
        let heartbeat = Some(heartbeat.try_into().unwrap());
        let request = WatchRequest { queries: vec![lag_of("orders")], heartbeat };
        let status = soon("an answer", world.metrics.watch(request)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{heartbeat:?}: {status}");
    }
}
