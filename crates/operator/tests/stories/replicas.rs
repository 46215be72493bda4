//! One owner of the replicas at any time.

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::{v1::Scale, v2::HorizontalPodAutoscaler},
};
use kube::{
    Api,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use prism_api::PrismPattern;
use prism_testbed::eventually;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{PATIENCE, Story};

fn fixed(replicas: i32) -> Value {
    json!({"pattern": "producer", "backend": "memstore", "replicas": replicas})
}

fn scaled(min: i32, max: i32, label: &str) -> Value {
    json!({
        "pattern": "producer", "backend": "memstore", "replicas": 3, "podLabels": {"revision": label},
        "autoscaling": {"minReplicas": min, "maxReplicas": max},
    })
}

async fn scale(story: &Story, replicas: i32) {
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let _: Scale =
        story.api::<Deployment>().patch_scale("web", &PatchParams::default(), &patch).await.unwrap();
}

async fn runs(story: &Story, replicas: i32, label: Option<&str>) -> Deployment {
    story
        .object(
            "web",
            &format!("the Deployment runs {replicas} of revision {label:?}"),
            |web: &Deployment| {
                let spec = web.spec.as_ref().unwrap();
                let labels = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
                let revision = labels.and_then(|labels| labels.get("revision")).map(String::as_str);
                if spec.replicas == Some(replicas) && (label.is_none() || revision == label) {
                    Ok(())
                } else {
                    Err(format!("it has {:?} of revision {revision:?}", spec.replicas))
                }
            },
        )
        .await
}

/// Writes of the operator to Deployments that say how many replicas to run.
fn writes_with_replicas(story: &Story) -> usize {
    let writes = story.writes();
    let deployments = writes.iter().filter(|write| write.resource == "deployments");
    deployments
        .filter(|write| write.request_object.as_ref().is_some_and(|body| !body["spec"]["replicas"].is_null()))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn under_an_autoscaler_no_write_but_the_first_says_how_many() {
    let story = Story::begin("one-owner").await;
    story.apply("web", scaled(1, 9, "one")).await;
    runs(&story, 3, Some("one")).await;
    story.ready("web").await;
    assert_eq!(writes_with_replicas(&story), 1, "the first write seeds the number");

    // An edit before the autoscaler has ever written, and one after somebody scaled.
    story.apply("web", scaled(1, 9, "two")).await;
    runs(&story, 3, Some("two")).await;
    scale(&story, 7).await;
    story.apply("web", scaled(1, 9, "three")).await;
    runs(&story, 7, Some("three")).await;
    story.ready("web").await;
    assert_eq!(writes_with_replicas(&story), 1, "no later write does");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seed_is_within_the_limits() {
    let story = Story::begin("seed").await;
    story.apply("web", scaled(5, 9, "one")).await;
    runs(&story, 5, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_made_anew_starts_where_the_autoscaler_had_left_it() {
    let story = Story::begin("anew").await;
    story.apply("web", scaled(1, 9, "one")).await;
    story.ready("web").await;
    scale(&story, 6).await;
    story
        .pattern("web", "has 6 replicas in its status", |pattern| {
            pattern.status.as_ref().and_then(|status| status.desired_replicas) == Some(6)
        })
        .await;
    story.api::<Deployment>().delete("web", &kube::api::DeleteParams::background()).await.unwrap();
    runs(&story, 6, None).await;
}

/// The lowest `spec.replicas` that a watch ever saw.
fn lowest(story: &Story) -> (Arc<Mutex<i32>>, JoinHandle<()>) {
    let lowest = Arc::new(Mutex::new(i32::MAX));
    let (api, seen): (Api<Deployment>, _) = (story.api(), lowest.clone());
    let task = tokio::spawn(async move {
        let mut objects =
            std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff().applied_objects());
        while let Some(object) = objects.next().await {
            // After an error the watch goes on where it was: nothing is missed.
            let Ok(object) = object else { continue };
            let replicas = object.spec.and_then(|spec| spec.replicas).unwrap_or(1);
            let mut lowest = seen.lock().unwrap();
            *lowest = replicas.min(*lowest);
        }
    });
    (lowest, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_takes_over_and_leaves_again_without_a_dip() {
    let story = Story::begin("takeover").await;
    story.apply("web", fixed(4)).await;
    story.ready("web").await;
    let (lowest, watch) = lowest(&story);
    for round in 0..5 {
        story.apply("web", scaled(2, 9, &round.to_string())).await;
        story.object("web", "the autoscaler exists", |_: &HorizontalPodAutoscaler| Ok(())).await;
        runs(&story, 4, Some(&round.to_string())).await;
        story.apply("web", fixed(4)).await;
        story.gone::<HorizontalPodAutoscaler>("web").await;
        runs(&story, 4, None).await;
    }
    story.ready("web").await;
    assert!(!watch.is_finished(), "somebody has looked all the time");
    watch.abort();
    assert_eq!(*lowest.lock().unwrap(), 4, "the number never moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_autoscaler_the_spec_decides() {
    let story = Story::begin("fixed").await;
    story.apply("web", fixed(2)).await;
    story.ready("web").await;
    scale(&story, 8).await;
    runs(&story, 2, None).await;

    let patch = Patch::Merge(json!({"spec": {"replicas": 3}}));
    let _: Scale =
        story.api::<PrismPattern>().patch_scale("web", &PatchParams::default(), &patch).await.unwrap();
    runs(&story, 3, None).await;
    story.ready("web").await;
    eventually("the scale of the pattern follows", PATIENCE, async || {
        let scale: Scale =
            story.api::<PrismPattern>().get_scale("web").await.map_err(|error| error.to_string())?;
        let status = scale.status.unwrap_or_default();
        if status.replicas == 3 && status.selector.as_deref() == Some("prism.io/pattern-instance=web") {
            Ok(())
        } else {
            Err(format!("it says {status:?}"))
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_autoscaler_takes_every_kind_of_metric_and_behavior() {
    let story = Story::begin("metrics-kinds").await;
    let average = json!({"type": "AverageValue", "averageValue": "100"});
    let queue = json!({"apiVersion": "v1", "kind": "Service", "name": "queue"});
    let policies = json!([{"type": "Percent", "value": 50, "periodSeconds": 60}, {"type": "Pods", "value": 2, "periodSeconds": 60}]);
    let spec = json!({"pattern": "mailbox", "backend": "memstore", "autoscaling": {
        "scaler": "hpa", "minReplicas": 1, "maxReplicas": 9,
        "targetCPUUtilizationPercentage": 70, "targetMemoryUtilizationPercentage": 80,
        "metrics": [
            {"type": "Pods", "pods": {"metric": {"name": "requests"}, "target": average}},
            {"type": "Object", "object": {"describedObject": queue, "metric": {"name": "depth"}, "target": {"type": "Value", "value": "1k"}}},
            {"type": "External", "external": {"metric": {"name": "lag", "selector": {"matchLabels": {"topic": "a"}}}, "target": average}},
            {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "mailbox-runner", "target": {"type": "Utilization", "averageUtilization": 60}}},
        ],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300, "policies": policies}},
    }});
    story.apply("web", spec).await;
    story.ready("web").await;
    let scaler: HorizontalPodAutoscaler = story.api().get("web").await.unwrap();
    let spec = scaler.spec.unwrap();
    assert_eq!(spec.scale_target_ref.kind, "StatefulSet");
    let kinds: Vec<_> = spec.metrics.unwrap().into_iter().map(|metric| metric.type_).collect();
    assert_eq!(kinds, ["Resource", "Resource", "Pods", "Object", "External", "ContainerResource"]);
    let down = spec.behavior.unwrap().scale_down.unwrap();
    assert_eq!(
        (down.select_policy.as_deref(), down.policies.map(|policies| policies.len())),
        (Some("Min"), Some(2))
    );
}
