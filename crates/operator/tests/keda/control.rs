//! A person holds the replicas, and KEDA lets go.

use prism_api::{condition, labels};
use prism_testbed::brokers::Redis;
use serde_json::json;

use crate::story::{Story, settled};

/// KEDA's own word for it.
const PAUSED: &str = "ScaledObjectPaused";

#[tokio::test(flavor = "multi_thread")]
async fn paused_replicas_stay_and_pinned_ones_are_what_is_written() {
    let story = Story::begin("control").await;
    let redis = Redis::start(None).await.unwrap();
    let metadata = json!({"address": redis.address(), "listName": "jobs", "listLength": "5"});
    let spec = json!({
        "pattern": "consumer", "kind": "Deployment", "backend": "memstore",
        "autoscaling": {
            "scaler": "keda", "minReplicas": 1, "maxReplicas": 5, "pollingInterval": 1,
            "triggers": [{"type": "redis", "metadata": metadata}],
        },
    });
    story.apply("reader", spec).await;
    redis.push("jobs", 10).await.unwrap();
    story.runs("Deployment", "reader", 2).await;

    story.annotate("reader", labels::SCALING_PAUSED, Some("true")).await;
    story.condition("reader", condition::SCALING_ACTIVE, "False", PAUSED).await;
    story.autoscalers(0).await;
    redis.push("jobs", 30).await.unwrap();
    settled().await;
    story.runs("Deployment", "reader", 2).await;
    story.annotate("reader", labels::SCALING_PAUSED, None).await;
    story.runs("Deployment", "reader", 5).await;
    story.condition("reader", condition::SCALING_ACTIVE, "True", "ValidMetricFound").await;

    story.annotate("reader", labels::PINNED_REPLICAS, Some("3")).await;
    story.condition("reader", condition::SCALING_ACTIVE, "False", PAUSED).await;
    story.runs("Deployment", "reader", 3).await;
    redis.trim("jobs", 0).await.unwrap();
    settled().await;
    story.runs("Deployment", "reader", 3).await;
    story.annotate("reader", labels::PINNED_REPLICAS, None).await;
    story.runs("Deployment", "reader", 1).await;
}
