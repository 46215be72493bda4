//! What tests do with real brokers.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod support;

use std::path::Path;
use std::process::Command;

use prism_testbed::brokers::{Kafka, Nats, Postgres, Redis};
use support::{command_line, processes_of, testbed};

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_list_grows_shrinks_and_is_behind_a_password() {
    testbed().await;
    let open = Redis::start(None).await.unwrap();
    let password = "it's \"not\" \\ easy";
    let closed = Redis::start(Some(password)).await.unwrap();
    assert_ne!(open.address(), closed.address());
    for redis in [&open, &closed] {
        assert_eq!(redis.length("work").await.unwrap(), 0);
        assert_eq!(redis.push("work", 40).await.unwrap(), 40);
        redis.trim("work", 15).await.unwrap();
        assert_eq!(redis.length("work").await.unwrap(), 15);
        redis.trim("work", 0).await.unwrap();
        assert_eq!(redis.length("work").await.unwrap(), 0);
    }
    let nobody = Command::new("redis-cli")
        .args(["-e", "-u", &format!("redis://{}", closed.address()), "PING"])
        .output()
        .unwrap();
    assert!(!nobody.status.success(), "without the password, nobody is let in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_consumer_has_pending_messages_until_it_takes_them() {
    testbed().await;
    let nats = Nats::start().await.unwrap();
    nats.create_stream("ORDERS", "orders.*").await.unwrap();
    nats.create_consumer("ORDERS", "billing").await.unwrap();
    nats.publish("orders.new", 12).await.unwrap();
    assert_eq!(nats.pending("ORDERS", "billing").await.unwrap(), 12);
    nats.consume("ORDERS", "billing", 5).await.unwrap();
    assert_eq!(nats.pending("ORDERS", "billing").await.unwrap(), 7);
    let refusal = nats.consume("ORDERS", "billing", 8).await.unwrap_err();
    assert!(refusal.to_string().contains("7 of 8 were there"), "{refusal}");
    let refusal = nats.pending("ORDERS", "nobody").await.unwrap_err();
    assert!(refusal.to_string().starts_with("nats-server cannot find a consumer"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_group_reads_on_where_it_has_committed() {
    testbed().await;
    let kafka = Kafka::start().await.unwrap();
    kafka.create_topic("orders", 3).await.unwrap();
    kafka.produce("orders", 10).await.unwrap();
    kafka.consume("billing", "orders", 4).await.unwrap();
    kafka.consume("billing", "orders", 6).await.unwrap();
    kafka.consume("audit", "orders", 10).await.unwrap();
    let refusal = kafka.create_topic("orders", 3).await.unwrap_err();
    assert!(refusal.to_string().contains("already exists"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_database_keeps_what_it_is_told_until_it_goes() {
    testbed().await;
    let postgres = Postgres::start().await.unwrap();
    let rows = postgres
        .run("CREATE TABLE jobs (id int); INSERT INTO jobs SELECT generate_series(1, 3); SELECT id, -id FROM jobs;")
        .await
        .unwrap();
    assert_eq!(rows, "1|-1\n2|-2\n3|-3");
    assert_eq!(postgres.run("SELECT count(*) FROM jobs").await.unwrap(), "3");
    let refusal = postgres.run("SELECT * FROM nothing").await.unwrap_err();
    assert!(refusal.to_string().contains("relation \"nothing\" does not exist"), "{refusal}");
    assert!(postgres.url().contains(&postgres.address()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_refuses_and_leaves_nothing_behind() {
    testbed().await;
    let mut redis = Redis::start(None).await.unwrap();
    redis.stop().unwrap();
    let refusal = redis.push("work", 1).await.unwrap_err();
    assert!(refusal.to_string().starts_with("redis-cli cannot append to a list"), "{refusal}");

    let nats = Nats::start().await.unwrap();
    let endpoint = nats.monitoring_address();
    let port = endpoint.rsplit_once(':').unwrap().1;
    let flag = format!("--http_port={port}");
    let processes = processes_of(Path::new(&flag));
    assert_eq!(processes.len(), 1, "NATS is one process");
    let command_line = command_line(processes[0]).unwrap();
    let store = command_line.split_once("--store_dir=").unwrap().1.trim_end();
    let folder = Path::new(store).parent().unwrap();
    assert!(folder.exists());
    drop(nats);
    assert!(!folder.exists(), "its folder goes with it");
    assert_eq!(processes_of(folder), [0; 0], "its process and its guard go with it");
}
