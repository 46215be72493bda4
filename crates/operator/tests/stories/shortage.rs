//! What keeps pods, volumes and settings from being what they should be is told, or mended.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, PersistentVolumeClaim, ResourceQuota},
};
use kube::api::DeleteParams;
use prism_api::{PrismBackend, PrismPattern, condition};
use prism_plan::conditions::find;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Story, conditions};

/// Waits until the condition Ready says `words`.
async fn says(story: &Story, name: &str, words: &str) {
    let what = format!("says {words}");
    story
        .pattern(name, &what, |pattern| {
            find(conditions(pattern), condition::READY).is_some_and(|ready| ready.message.contains(words))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_no_pod_is_made_is_told_whichever_kind_the_workload_has() {
    let story = Story::begin("no-pods").await;
    let quota: ResourceQuota = serde_json::from_value(json!({
        "metadata": {"name": "team"}, "spec": {"hard": {"limits.cpu": "2", "limits.memory": "4Gi"}},
    }))
    .unwrap();
    story.create(&quota).await;
    story.apply("set", json!({"pattern": "consumer", "backend": "memstore"})).await;
    story
        .apply("deployment", json!({"pattern": "keyvalue", "kind": "Deployment", "backend": "memstore"}))
        .await;
    story.put::<PrismBackend>("cache", json!({"type": "redis", "provision": {}})).await;
    says(&story, "set", "limits.cpu").await;
    says(&story, "deployment", "limits.cpu").await;
    story
        .object("cache", "the backend says why", |backend: &PrismBackend| {
            let all = backend.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
            let ready = find(&all, condition::READY).map(|ready| ready.message.clone()).unwrap_or_default();
            if ready.contains("limits.cpu") { Ok(()) } else { Err(ready) }
        })
        .await;
    // An account that does not exist, without the quota.
    story.api::<ResourceQuota>().delete("team", &DeleteParams::default()).await.unwrap();
    story
        .apply(
            "account",
            json!({"pattern": "consumer", "backend": "memstore", "serviceAccountName": "nobody"}),
        )
        .await;
    says(&story, "account", "nobody").await;
}

/// Size that the claim asks for.
fn size(claim: &PersistentVolumeClaim) -> Option<String> {
    Some(claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")?.0.clone())
}

async fn grows(story: &Story, claim: &str, wanted: &str) {
    story
        .object(claim, &format!("the claim has {wanted}"), |claim: &PersistentVolumeClaim| {
            match size(claim) {
                Some(size) if size == wanted => Ok(()),
                size => Err(format!("it has {size:?}")),
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_were_there_before_grow_to_what_is_asked_for() {
    let story = Story::begin("before").await;
    let server = |size: &str| json!({"type": "postgres", "provision": {"storage": size}});
    story.put::<PrismBackend>("orders", server("1Gi")).await;
    let mail = |more: Value| {
        let mut spec = json!({"pattern": "mailbox", "backend": "sqlite", "replicas": 2});
        if !more.is_null() {
            spec["storage"] = more;
        }
        spec
    };
    story.apply("mail", mail(json!({"size": "1Gi"}))).await;
    grows(&story, "data-orders-0", "1Gi").await;
    story.ready("mail").await;

    // Storage removed, and put back larger.
    story.apply("mail", mail(Value::Null)).await;
    story
        .object("mail", "the StatefulSet has no volumes any more", |set: &StatefulSet| {
            match set.spec.as_ref().and_then(|spec| spec.volume_claim_templates.as_ref()) {
                None => Ok(()),
                Some(_) => Err("it has".to_owned()),
            }
        })
        .await;
    story.apply("mail", mail(json!({"size": "3Gi"}))).await;
    grows(&story, "data-mail-0", "3Gi").await;
    grows(&story, "data-mail-1", "3Gi").await;

    // A backend made anew over what the one before has left.
    story.api::<PrismBackend>().delete("orders", &DeleteParams::default()).await.unwrap();
    story.gone::<StatefulSet>("orders").await;
    story.put::<PrismBackend>("orders", server("3Gi")).await;
    grows(&story, "data-orders-0", "3Gi").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hand_has_frozen_is_named_or_made_anew() {
    let story = Story::begin("frozen").await;
    let spec = |image: &str, batch: i32| json!({"pattern": "keyvalue", "kind": "Deployment", "backend": "memstore", "image": image, "config": {"batch": batch}});
    story.apply("web", spec("registry.example.com/kv:1", 1)).await;
    story.ready("web").await;
    // An immutable ConfigMap holds up nothing of the same edit.
    story.merge::<ConfigMap>("web-config", json!({"immutable": true})).await;
    story.apply("web", spec("registry.example.com/kv:2", 2)).await;
    story.ready("web").await;
    let config: ConfigMap = story.api().get("web-config").await.unwrap();
    assert!(config.data.unwrap()["config.yaml"].contains('2'));
    let deployment: Deployment = story.api().get("web").await.unwrap();
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.containers[0].image.as_deref(), Some("registry.example.com/kv:2"));
    // A Deployment that somebody has paused rolls nothing out, and is named as that.
    story.merge::<Deployment>("web", json!({"spec": {"paused": true}})).await;
    story.apply("web", spec("registry.example.com/kv:3", 2)).await;
    says(&story, "web", "paused the Deployment").await;
}

#[rstest]
#[case::made_so(false)]
#[case::edited_so(true)]
#[tokio::test(flavor = "multi_thread")]
async fn the_fewest_replicas_hold_although_nobody_can_scale(#[case] is_edited: bool) {
    let story = Story::begin(if is_edited { "edited-so" } else { "made-so" }).await;
    let plain = json!({"pattern": "keyvalue", "kind": "Deployment", "backend": "memstore"});
    if is_edited {
        story.apply("web", plain.clone()).await;
        story.ready("web").await;
    }
    let mut scaled = plain;
    scaled["autoscaling"] = json!({"scaler": "keda", "minReplicas": 2, "maxReplicas": 5, "triggers": [
        {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "80"}}]});
    story.put::<PrismPattern>("web", scaled).await;
    story
        .object("web", "two replicas are wanted", |deployment: &Deployment| {
            match deployment.spec.as_ref().and_then(|spec| spec.replicas) {
                Some(2) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_that_could_never_start_the_first_replica_is_refused_at_the_door() {
    let story = Story::begin("zero").await;
    let block = json!({"minReplicas": 0, "maxReplicas": 3});
    let spec = json!({"pattern": "keyvalue", "backend": "memstore", "autoscaling": block});
    let refused = story.try_apply("web", spec).await.unwrap_err().to_string();
    assert!(refused.contains("autoscaling.minReplicas") && refused.contains("keda"), "{refused}");
    let behavior = json!({"minReplicas": 1, "maxReplicas": 3, "behavior": {"scaleUp": {"policies": []}}});
    let spec = json!({"pattern": "keyvalue", "backend": "memstore", "autoscaling": behavior});
    let refused = story.try_apply("web", spec).await.unwrap_err().to_string();
    assert!(refused.contains("policies"), "{refused}");
}
