//! Faults that are set while the admin runs.

use std::time::{Duration, Instant, SystemTime};

use prism_admin::{
    Fault,
    faults::{Absence, Nonsense},
};
use prism_proto::prism::metrics::v1::{ListRequest, QueryRequest, Unit};
use rstest::rstest;
use tonic::Code;

use crate::support::{World, error, lag, lag_of, next, pattern, soon, value};

/// Longer than any story: what comes is no heartbeat.
const NEVER: Duration = Duration::from_hours(1);

async fn world() -> World {
    let mut world = World::new().await;
    world.report(lag("orders", "orders-0", 7.0)).await;
    world
}

#[tokio::test]
async fn a_slow_admin_answers_late() {
    let mut world = world().await;
    let delay = Duration::from_millis(300);
    world.admin.faults().set(Fault::Slow(delay));
    let asked = Instant::now();
    assert_eq!(world.value(lag_of("orders")).await.value, 7.0);
    assert!(asked.elapsed() >= delay, "it answered after {:?}", asked.elapsed());
}

#[tokio::test]
async fn a_hung_admin_answers_nobody_until_it_is_cured() {
    let mut world = world().await;
    let mut stream = world.watch(&[lag_of("orders")], NEVER).await;
    next(&mut stream).await.unwrap();
    world.admin.faults().set(Fault::Hung);
    let mut metrics = world.metrics.clone();
    let call =
        tokio::spawn(async move { metrics.query(QueryRequest { queries: vec![lag_of("orders")] }).await });
    world.report(lag("orders", "orders-0", 8.0)).await;
    // Nothing happens: there is no condition to wait for.
    let silence = tokio::time::timeout(Duration::from_millis(300), stream.message()).await;
    assert!(silence.is_err(), "the stream goes on: {silence:?}");
    assert!(!call.is_finished(), "the call was answered");

    world.admin.faults().clear();
    let answer = soon("the answer", call).await.unwrap().unwrap().into_inner();
    assert_eq!(value(answer.results[0].clone()).value, 8.0);
    assert_eq!(value(next(&mut stream).await.unwrap().results.remove(0)).value, 8.0);
}

#[rstest]
#[case(Nonsense::NotANumber, |value: f64| value.is_nan())]
#[case(Nonsense::Infinite, |value: f64| value == f64::INFINITY)]
#[case(Nonsense::Negative, |value: f64| value < 0.0)]
#[tokio::test]
async fn an_admin_that_is_wrong_tells_nonsense(
    #[case] nonsense: Nonsense,
    #[case] is_nonsense: fn(f64) -> bool,
) {
    let mut world = world().await;
    world.admin.faults().set(Fault::Wrong(nonsense));
    let told = world.value(lag_of("orders")).await;
    assert!(is_nonsense(told.value) && is_nonsense(told.instances[0].value), "{told:?}");
    world.admin.faults().clear();
    assert_eq!(world.value(lag_of("orders")).await.value, 7.0, "the truth is back");
}

#[tokio::test]
async fn an_admin_that_is_wrong_mixes_up_units() {
    let mut world = world().await;
    world.admin.faults().set(Fault::Wrong(Nonsense::Unit));
    let told = world.value(lag_of("orders")).await;
    assert_eq!((told.value, told.unit()), (7.0, Unit::Bytes));
}

#[tokio::test]
async fn a_stale_admin_tells_old_times() {
    let mut world = world().await;
    let mut stream = world.watch(&[lag_of("orders")], NEVER).await;
    next(&mut stream).await.unwrap();
    world.admin.faults().set(Fault::Stale(Duration::from_mins(5)));
    let latest = SystemTime::now() - Duration::from_secs(290);
    world.report(lag("orders", "orders-0", 8.0)).await;
    let streamed = value(next(&mut stream).await.unwrap().results.remove(0));
    for told in [world.value(lag_of("orders")).await, streamed] {
        assert_eq!((told.value, told.stale, told.instances[0].stale), (8.0, true, true));
        for time in [told.measured_at, told.instances[0].measured_at] {
            let time = SystemTime::try_from(time.unwrap()).unwrap();
            assert!(time < latest, "{told:?}");
        }
    }
    world.admin.faults().set(Fault::Stale(Duration::from_secs(20)));
    assert!(!world.value(lag_of("orders")).await.stale, "20 seconds are within the promise of a minute");
}

#[tokio::test]
async fn an_admin_that_is_unavailable_refuses_calls_and_ends_streams() {
    let mut world = world().await;
    let mut stream = world.watch(&[lag_of("orders")], NEVER).await;
    next(&mut stream).await.unwrap();
    world.admin.faults().set(Fault::Absent(Absence::Unavailable));
    assert_eq!(next(&mut stream).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(world.query(&[lag_of("orders")]).await.unwrap_err().code(), Code::Unavailable);
    let request = ListRequest { pattern: Some(pattern("orders")) };
    assert_eq!(soon("a list", world.metrics.list(request)).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn an_admin_that_knows_nothing_says_not_found() {
    let mut world = world().await;
    world.admin.faults().set(Fault::Absent(Absence::NotFound));
    let result = world.query(&[lag_of("orders")]).await.unwrap().results.remove(0);
    assert_eq!(error(result).code, i32::from(Code::NotFound));
    let request = ListRequest { pattern: Some(pattern("orders")) };
    assert_eq!(soon("a list", world.metrics.list(request)).await.unwrap_err().code(), Code::NotFound);
}
