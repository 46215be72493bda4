//! What a status says of the scaling that KEDA does.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use prism_api::{condition, pattern::ActiveScaler, scaling::HeldBy};
use prism_plan::conditions::find;
use prism_testbed::{brokers::Redis, eventually};
use serde_json::json;

use crate::{
    story::Story,
    support::{PATIENCE, conditions},
};

/// Waits until the pattern says of both conditions what the autoscaler that KEDA made says.
async fn mirrored(story: &Story<'_>) {
    eventually("the conditions are those of the autoscaler", PATIENCE, async || {
        let pattern: prism_api::PrismPattern =
            Box::pin(story.api().get("reader")).await.map_err(|error| error.to_string())?;
        let autoscaler: HorizontalPodAutoscaler =
            Box::pin(story.api().get("keda-hpa-reader")).await.map_err(|error| error.to_string())?;
        let theirs = autoscaler.status.unwrap_or_default().conditions.unwrap_or_default();
        for type_ in [condition::SCALING_ACTIVE, condition::SCALING_LIMITED] {
            let theirs = theirs.iter().find(|theirs| theirs.type_ == type_);
            let theirs = theirs.map(|theirs| (theirs.status.clone(), theirs.reason.clone()));
            let ours = find(conditions(&pattern), type_);
            let ours = ours.map(|ours| (ours.status.clone(), Some(ours.reason.clone())));
            if ours.is_none() || ours != theirs {
                return Err(format!("{type_} is {ours:?}, the autoscaler says {theirs:?}"));
            }
        }
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_names_the_trigger_that_decides_and_what_the_autoscaler_says() {
    let story = Story::begin("status").await;
    let redis = Redis::start(None).await.unwrap();
    let list = |name: &str, length: &str| json!({"type": "redis", "metadata": {"address": redis.address(), "listName": name, "listLength": length}});
    let spec = json!({
        "pattern": "consumer", "kind": "Deployment", "backend": "memstore",
        "autoscaling": {
            "scaler": "keda", "minReplicas": 1, "maxReplicas": 5, "pollingInterval": 1,
            "triggers": [list("jobs", "5"), list("urgent", "2")],
        },
    });
    story.apply("reader", spec).await;
    story.accepted("reader").await;
    mirrored(&story).await;

    redis.push("jobs", 5).await.unwrap();
    redis.push("urgent", 7).await.unwrap();
    story.runs("Deployment", "reader", 4).await;
    let pattern = story
        .pattern("reader", "says why it runs 4", |pattern| {
            let scaling = pattern.status.as_ref().and_then(|status| status.scaling.as_ref());
            scaling.is_some_and(|scaling| scaling.desired_replicas == 4)
        })
        .await;
    let decision = pattern.status.and_then(|status| status.scaling).unwrap();
    assert_eq!(decision.scaler, Some(ActiveScaler::Keda));
    assert_eq!(decision.decided_by.as_deref(), Some("s1-redis-urgent"), "{decision:?}");
    assert_eq!((decision.min_replicas, decision.max_replicas), (Some(1), Some(5)));
    let decider = decision.metrics.iter().find(|metric| metric.name == "s1-redis-urgent").unwrap();
    assert_eq!((decider.target.as_deref(), decider.desired_replicas), (Some("2"), Some(4)));
    let current = decider.current.as_deref().unwrap();
    let because = format!("4 replicas: s1-redis-urgent is at {current}, to be kept at 2");
    assert!(decision.message.starts_with(&because), "{}", decision.message);
    mirrored(&story).await;

    redis.push("urgent", 50).await.unwrap();
    story.runs("Deployment", "reader", 5).await;
    story.condition("reader", condition::SCALING_LIMITED, "True", "TooManyReplicas").await;
    story
        .pattern("reader", "says that it may run no more", |pattern| {
            let scaling = pattern.status.as_ref().and_then(|status| status.scaling.as_ref());
            scaling.is_some_and(|scaling| scaling.held_by == Some(HeldBy::MaxReplicas))
        })
        .await;
    mirrored(&story).await;
}
