//! An admin stops, is killed, and comes back.

use std::time::{Duration, Instant};

use prism_admin::{Admin, Fault};
use prism_proto::prism::metrics::v1::{QueryRequest, metrics_client::MetricsClient};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{World, endpoint, error, lag, lag_of, next, soon, value};

/// Longer than any story: what comes is no heartbeat.
const NEVER: Duration = Duration::from_hours(1);

#[tokio::test]
async fn an_admin_that_stops_says_so_to_those_who_listen() {
    let mut world = World::new().await;
    let mut health = HealthClient::new(world.channel.clone());
    let service = "prism.metrics.v1.Metrics".to_owned();
    let watched = soon("a stream", health.watch(HealthCheckRequest { service })).await.unwrap();
    let mut watched = watched.into_inner();
    let status = soon("the health", watched.message()).await.unwrap().unwrap();
    assert_eq!(status.status(), ServingStatus::Serving);
    let mut stream = world.watch(&[lag_of("orders")], NEVER).await;
    next(&mut stream).await.unwrap();

    let address = world.admin.address();
    let begun = Instant::now();
    soon("the end", world.admin.stop()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "streams were broken off after the time of grace");
    assert_eq!(next(&mut stream).await.unwrap_err().code(), Code::Unavailable);
    let status = soon("the health", watched.message()).await.unwrap().unwrap();
    assert_eq!(status.status(), ServingStatus::NotServing);
    assert!(TcpStream::connect(address).await.is_err(), "the port is still open");
}

#[tokio::test]
async fn a_call_that_hangs_does_not_hold_up_the_end() {
    let mut world = World::new().await;
    world.admin.faults().set(Fault::Hung);
    let mut metrics = world.metrics.clone();
    let call =
        tokio::spawn(async move { metrics.query(QueryRequest { queries: vec![lag_of("orders")] }).await });
    // A report goes through the same connection after the call.
    world.report(lag("orders", "orders-0", 1.0)).await;
    soon("the end", world.admin.stop()).await.unwrap();
    let status = soon("the answer", call).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_broken_off_after_the_time_of_grace() {
    let mut world = World::with(|builder| builder.grace(Duration::from_millis(300))).await;
    // The answer is longer than what the client takes in before it reads: it cannot be sent to its end.
    let small = endpoint(world.admin.address()).initial_stream_window_size(1024);
    world.metrics = MetricsClient::new(small.tls_config(world.authority.trust()).unwrap().connect_lazy());
    let mut stream = world.watch(&vec![lag_of("orders"); 1000], NEVER).await;
    soon("the end", world.admin.stop()).await.unwrap();
    let end = soon("the break", stream.message()).await;
    assert!(end.is_err(), "the whole answer arrived: the stop did not have to break anything");
}

#[tokio::test]
async fn an_admin_that_is_killed_breaks_connections_and_comes_back_on_its_port() {
    let mut world = World::new().await;
    world.report(lag("orders", "orders-0", 1.0)).await;
    let mut stream = world.watch(&[lag_of("orders")], NEVER).await;
    next(&mut stream).await.unwrap();
    let address = world.admin.address();
    let store = world.admin.store().clone();
    soon("the end", world.admin.kill()).await.unwrap();
    let status = next(&mut stream).await.unwrap_err();
    assert!(!status.message().contains("stopping"), "it had the time to say goodbye: {status}");

    let tls = || world.authority.server();
    world.admin = Admin::builder().listen(address).tls(tls()).start().await.unwrap();
    let result = world.query(&[lag_of("orders")]).await.unwrap().results.remove(0);
    assert_eq!(error(result).code, i32::from(Code::NotFound), "it remembers what it has to forget");

    world.admin.stop().await.unwrap();
    let tls = world.authority.server();
    world.admin = Admin::builder().listen(address).tls(tls).store(store).start().await.unwrap();
    let result = world.query(&[lag_of("orders")]).await.unwrap().results.remove(0);
    assert_eq!(value(result).value, 1.0, "it was given its store back");
}
