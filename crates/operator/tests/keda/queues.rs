//! Replicas follow what waits in a queue. The trigger is the operator's: specs name their backend.

use prism_api::{
    PrismBackend,
    condition::{self, reason},
};
use prism_testbed::brokers::{Kafka, Nats, Postgres, Redis};
use serde_json::{Value, json};

use crate::story::Story;

/// A consumer of the backend `work` that KEDA scales at once.
fn consumer(kind: &str, settings: &Value, limits: [i32; 2], triggers: Value) -> Value {
    let mut autoscaling = json!({
        "scaler": "keda", "minReplicas": limits[0], "maxReplicas": limits[1], "pollingInterval": 1,
        "cooldownPeriod": 1,
    });
    if !triggers.is_null() {
        autoscaling["triggers"] = triggers;
    }
    json!({
        "pattern": "consumer", "kind": kind, "backend": "work", "backendConfig": settings,
        "autoscaling": autoscaling,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_list_behind_a_password_scales_from_zero_to_the_most_and_back() {
    let story = Story::begin("redis").await;
    let redis = Redis::start(Some("open sesame")).await.unwrap();
    story.secret("work-login", [("password", "open sesame")]).await;
    let connection =
        json!({"url": format!("redis://{}", redis.address()), "secretRef": {"name": "work-login"}});
    story.put::<PrismBackend>("work", json!({"type": "redis", "connection": connection})).await;
    let settings = json!({"redis": {"list": "jobs"}});
    story.apply("reader", consumer("Deployment", &settings, [0, 5], Value::Null)).await;
    let scaled = story.accepted("reader").await;
    assert_eq!(scaled.data["spec"]["triggers"][0]["type"], "redis");
    story.condition("reader", condition::SCALING_ACTIVE, "True", reason::SCALED_TO_ZERO).await;

    redis.push("jobs", 35).await.unwrap();
    story.runs("Deployment", "reader", 4).await;
    redis.push("jobs", 165).await.unwrap();
    story.runs("Deployment", "reader", 5).await;
    story.condition("reader", condition::SCALING_LIMITED, "True", "TooManyReplicas").await;
    redis.trim("jobs", 0).await.unwrap();
    story.runs("Deployment", "reader", 0).await;
    story.condition("reader", condition::SCALING_ACTIVE, "True", reason::SCALED_TO_ZERO).await;
    story.condition("reader", condition::READY, "True", reason::SCALED_TO_ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_nats_consumer_has_pending_scales_a_stateful_set() {
    let story = Story::begin("nats").await;
    let nats = Nats::start().await.unwrap();
    nats.create_stream("ORDERS", "orders").await.unwrap();
    nats.create_consumer("ORDERS", "billing").await.unwrap();
    let address = format!("nats://{}", nats.address());
    story.put::<PrismBackend>("work", json!({"type": "nats", "connection": {"url": address}})).await;
    let settings = json!({"nats": {
        "monitoringEndpoint": nats.monitoring_address(), "stream": "ORDERS", "durable": "billing",
    }});
    // What the trigger leaves out comes from the backend.
    let triggers = json!([{"type": "nats-jetstream", "metadata": {"lagThreshold": "5"}}]);
    story.apply("reader", consumer("StatefulSet", &settings, [1, 6], triggers)).await;
    let scaled = story.accepted("reader").await;
    assert_eq!(scaled.data["spec"]["scaleTargetRef"]["kind"], "StatefulSet");
    let metadata = &scaled.data["spec"]["triggers"][0]["metadata"];
    assert_eq!((&metadata["account"], &metadata["consumer"]), (&json!("$G"), &json!("billing")));

    nats.publish("orders", 17).await.unwrap();
    story.runs("StatefulSet", "reader", 4).await;
    nats.consume("ORDERS", "billing", 17).await.unwrap();
    story.runs("StatefulSet", "reader", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_of_a_kafka_group_scales_to_its_partitions_and_no_further() {
    let story = Story::begin("kafka").await;
    let kafka = Kafka::start().await.unwrap();
    kafka.create_topic("orders", 3).await.unwrap();
    story.put::<PrismBackend>("work", json!({"type": "kafka", "connection": {"url": kafka.address()}})).await;
    let settings = |partitions: &Value| {
        json!({"kafka": {
            "topics": ["orders"], "consumerGroup": "billing", "autoOffsetReset": "earliest", "partitions": partitions,
        }})
    };
    let triggers = json!([{"type": "kafka", "metadata": {"lagThreshold": "5"}}]);
    let spec = |partitions: Value| consumer("Deployment", &settings(&partitions), [0, 9], triggers.clone());
    story.apply("reader", spec(Value::Null)).await;
    story.accepted("reader").await;

    kafka.produce("orders", 40).await.unwrap();
    story.runs("Deployment", "reader", 3).await;
    story.no_condition("reader", condition::SPEC_WARNING).await;
    story.apply("reader", spec(json!(2))).await;
    story.condition("reader", condition::SPEC_WARNING, "True", reason::REPLICAS_CAPPED).await;
    story.runs("Deployment", "reader", 2).await;
    kafka.consume("billing", "orders", 40).await.unwrap();
    story.runs("Deployment", "reader", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_that_a_postgres_query_counts_scale_from_zero_and_back() {
    let story = Story::begin("postgres").await;
    let postgres = Postgres::start().await.unwrap();
    postgres.run("CREATE TABLE jobs (id int)").await.unwrap();
    story.secret("work-login", [("address", &postgres.url())]).await;
    let connection = json!({"secretRef": {"name": "work-login", "keys": {"url": "address"}}});
    story.put::<PrismBackend>("work", json!({"type": "postgres", "connection": connection})).await;
    let settings = json!({"postgres": {"query": "SELECT count(*) FROM jobs"}});
    story.apply("reader", consumer("Deployment", &settings, [0, 5], Value::Null)).await;
    story.accepted("reader").await;

    postgres.run("INSERT INTO jobs SELECT generate_series(1, 25)").await.unwrap();
    story.runs("Deployment", "reader", 3).await;
    postgres.run("DELETE FROM jobs").await.unwrap();
    story.runs("Deployment", "reader", 0).await;
}
