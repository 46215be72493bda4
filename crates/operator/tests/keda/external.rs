//! KEDA asks the operator for what an admin tells, over gRPC and TLS.

use prism_api::condition;
use prism_plan::conditions::find;
use serde_json::json;

use crate::story::Story;

#[tokio::test(flavor = "multi_thread")]
async fn keda_scales_to_zero_and_back_by_what_the_operator_answers() {
    let story = Story::begin("external").await;
    story.lag("orders", 350.0);
    let block = story.by_lag(0, 9, "100", &json!({"via": "keda", "cooldownPeriod": 1}));
    let spec =
        json!({"pattern": "consumer", "kind": "StatefulSet", "backend": "memstore", "autoscaling": block});
    story.apply("orders", spec).await;
    story.accepted("orders").await;
    story.runs("StatefulSet", "orders", 4).await;
    let pattern = story
        .pattern("orders", "says why 4", |pattern| {
            let scaling = pattern.status.as_ref().and_then(|status| status.scaling.as_ref());
            scaling.is_some_and(|scaling| scaling.desired_replicas == 4)
        })
        .await;
    let conditions = pattern.status.unwrap().conditions;
    assert_eq!(find(&conditions, condition::SCALING_ACTIVE).unwrap().reason, "ValidMetricFound");

    story.lag("orders", 0.0);
    story.runs("StatefulSet", "orders", 0).await;
    story.lag("orders", 150.0);
    story.runs("StatefulSet", "orders", 2).await;

    // What is not known any more is no zero: a pattern of which nobody has reported says so to KEDA.
    let block = story.by_lag(1, 9, "100", &json!({"via": "keda"}));
    let spec = json!({"pattern": "consumer", "kind": "Deployment", "backend": "memstore", "replicas": 3, "autoscaling": block});
    story.apply("silent", spec).await;
    story
        .pattern("silent", "says that the metric is not there", |pattern| {
            let conditions = pattern.status.as_ref().map(|status| status.conditions.as_slice());
            find(conditions.unwrap_or_default(), condition::SCALING_ACTIVE)
                .is_some_and(|c| c.status == "False")
        })
        .await;
    story.runs("Deployment", "silent", 3).await;
}
