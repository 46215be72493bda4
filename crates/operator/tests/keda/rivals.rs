//! One scaler for a workload: where somebody else scales, the operator lets go.

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::{v1::Scale, v2::HorizontalPodAutoscaler},
};
use kube::{
    ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use prism_api::{
    PrismPattern,
    condition::{self, reason},
};
use prism_testbed::brokers::Redis;
use serde_json::{Value, json};

use crate::story::Story;

fn trigger(redis: &Redis) -> Value {
    let metadata = json!({"address": redis.address(), "listName": "jobs", "listLength": "5"});
    json!([{"type": "redis", "metadata": metadata}])
}

fn spec(redis: &Redis, label: &str) -> Value {
    json!({
        "pattern": "consumer", "kind": "Deployment", "backend": "memstore", "replicas": 2,
        "podLabels": {"revision": label},
        "autoscaling": {
            "scaler": "keda", "minReplicas": 1, "maxReplicas": 5, "pollingInterval": 1, "triggers": trigger(redis),
        },
    })
}

/// An autoscaler of somebody else on the reader. It knows no metric, and minds its limits alone.
async fn by_hand(story: &Story<'_>) {
    let autoscaler: HorizontalPodAutoscaler = serde_json::from_value(json!({
        "metadata": {"name": "by-hand"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "reader"},
            "minReplicas": 1, "maxReplicas": 4,
        },
    }))
    .unwrap();
    story.create(&autoscaler).await;
}

async fn conflict(story: &Story<'_>, rival: &str) {
    let conflict =
        story.condition("reader", condition::SCALER_CONFLICT, "True", reason::FOREIGN_SCALER).await;
    assert!(conflict.message.starts_with(rival), "{}", conflict.message);
    story.condition("reader", condition::SCALING_ACTIVE, "False", reason::SCALER_CONFLICT).await;
}

async fn scaled_objects(story: &Story<'_>) -> Vec<String> {
    let found = story.of_keda("ScaledObject").list(&ListParams::default()).await.unwrap();
    found.iter().map(ResourceExt::name_any).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_of_somebody_else_keeps_the_replicas_until_it_goes() {
    let story = Story::begin("rival-hpa").await;
    let redis = Redis::start(None).await.unwrap();
    by_hand(&story).await;
    story.apply("reader", spec(&redis, "one")).await;
    conflict(&story, "HorizontalPodAutoscaler by-hand").await;
    assert_eq!(scaled_objects(&story).await, [""; 0]);

    let patch = Patch::Merge(json!({"spec": {"replicas": 4}}));
    let _: Scale =
        story.api::<Deployment>().patch_scale("reader", &PatchParams::default(), &patch).await.unwrap();
    story.apply("reader", spec(&redis, "two")).await;
    story.ready("reader").await;
    story.runs("Deployment", "reader", 4).await;

    story.delete::<HorizontalPodAutoscaler>("by-hand").await;
    story.accepted("reader").await;
    story.no_condition("reader", condition::SCALER_CONFLICT).await;
    redis.push("jobs", 15).await.unwrap();
    story.runs("Deployment", "reader", 3).await;

    // One that comes later is not fought either: ours goes, and the replicas stay where they are.
    by_hand(&story).await;
    conflict(&story, "HorizontalPodAutoscaler by-hand").await;
    let left = story.autoscalers(1).await;
    assert_eq!(left[0].name_any(), "by-hand");
    assert_eq!(scaled_objects(&story).await, [""; 0]);
    story.runs("Deployment", "reader", 3).await;
    story.delete::<HorizontalPodAutoscaler>("by-hand").await;
    story.accepted("reader").await;
    redis.trim("jobs", 0).await.unwrap();
    story.runs("Deployment", "reader", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scaled_object_of_somebody_else_scales_until_it_goes() {
    let story = Story::begin("rival-keda").await;
    let redis = Redis::start(None).await.unwrap();
    let theirs = json!({
        "scaleTargetRef": {"name": "reader"}, "minReplicaCount": 1, "maxReplicaCount": 3, "pollingInterval": 1,
        "triggers": trigger(&redis),
    });
    let api = story.of_keda("ScaledObject");
    let theirs = DynamicObject {
        types: Some(kube::core::TypeMeta {
            api_version: "keda.sh/v1alpha1".to_owned(),
            kind: "ScaledObject".to_owned(),
        }),
        metadata: kube::core::ObjectMeta { name: Some("theirs".to_owned()), ..Default::default() },
        data: json!({"spec": theirs}),
    };
    api.create(&PostParams::default(), &theirs).await.unwrap();
    story.apply("reader", spec(&redis, "one")).await;
    conflict(&story, "ScaledObject theirs").await;
    redis.push("jobs", 100).await.unwrap();
    story.runs("Deployment", "reader", 3).await;
    assert_eq!(scaled_objects(&story).await, ["theirs"]);

    api.delete("theirs", &DeleteParams::default()).await.unwrap();
    story.accepted("reader").await;
    story.no_condition("reader", condition::SCALER_CONFLICT).await;
    story.runs("Deployment", "reader", 5).await;

    // The pattern goes, and all of ours with it.
    story.delete::<PrismPattern>("reader").await;
    story.released_by_keda("reader").await;
}
