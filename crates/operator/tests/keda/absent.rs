//! KEDA comes late, dies and comes back: in a cluster of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt;
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use prism_api::condition::{self, reason};
use prism_testbed::{Keda, brokers::Redis, keda::install_definitions};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    story::Story,
    world::{World, programs},
};

/// What users take for at once, on a machine that is busy.
const SECONDS: Duration = Duration::from_secs(10);

fn scaled_by(autoscaling: &Value) -> Value {
    json!({"pattern": "consumer", "kind": "Deployment", "backend": "memstore", "autoscaling": autoscaling})
}

/// The lowest number of replicas that a watch sees from now on.
fn lowest(story: &Story<'_>) -> (Arc<AtomicI32>, JoinHandle<()>) {
    let lowest = Arc::new(AtomicI32::new(i32::MAX));
    let (api, seen): (Api<Deployment>, _) = (story.api(), lowest.clone());
    let task = tokio::spawn(async move {
        let changes = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
        let mut changes = std::pin::pin!(changes);
        while let Some(change) = changes.next().await {
            let replicas = change.unwrap().spec.and_then(|spec| spec.replicas).unwrap_or(1);
            seen.fetch_min(replicas, Ordering::Relaxed);
        }
    });
    (lowest, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keda_that_comes_late_is_used_within_seconds_and_one_that_dies_costs_no_replica() {
    let world = World::begin().await;
    let story = Story::within(&world, "late").await;
    let redis = Redis::start(None).await.unwrap();
    let metadata = json!({"address": redis.address(), "listName": "jobs", "listLength": "5"});
    let keda = json!({
        "scaler": "keda", "minReplicas": 1, "maxReplicas": 5, "pollingInterval": 1,
        "triggers": [{"type": "redis", "metadata": metadata}],
    });
    story.apply("reader", scaled_by(&keda)).await;
    story.condition("reader", condition::SCALING_ACTIVE, "False", reason::KEDA_NOT_INSTALLED).await;
    story.ready("reader").await;
    story.runs("Deployment", "reader", 1).await;

    install_definitions(&story.namespace.client()).await.unwrap();
    let installed = Instant::now();
    story.scaled_object("reader", "exists", |_| true).await;
    let taken = installed.elapsed();
    println!("The ScaledObject was there {:.1} s after KEDA's definitions.", taken.as_secs_f64());
    assert!(taken < SECONDS, "{taken:?}");
    story.condition("reader", condition::SCALING_ACTIVE, "Unknown", reason::PROGRESSING).await;

    let mut running = Box::pin(Keda::start(&world.cluster, &programs().await)).await.unwrap();
    redis.push("jobs", 15).await.unwrap();
    story.runs("Deployment", "reader", 3).await;
    let (lowest, watch) = lowest(&story);

    // KEDA has to let go of its ScaledObject, and is not there to do so.
    running.operator.stop().unwrap();
    story.apply("reader", scaled_by(&json!({"scaler": "hpa", "minReplicas": 1, "maxReplicas": 5}))).await;
    let waits = story.condition("reader", condition::SCALING_ACTIVE, "Unknown", reason::HANDING_OVER).await;
    assert!(waits.message.contains("reader has to go first"), "{}", waits.message);
    story.ready("reader").await;
    story
        .scaled_object("reader", "is being deleted", |object| object.metadata.deletion_timestamp.is_some())
        .await;
    running.operator.restart().await.unwrap();
    story
        .pattern("reader", "is handed over", |pattern| {
            let inventory = pattern.status.iter().flat_map(|status| &status.inventory);
            let kinds: Vec<_> = inventory.map(|entry| entry.kind.as_str()).collect();
            kinds.contains(&"HorizontalPodAutoscaler") && !kinds.contains(&"ScaledObject")
        })
        .await;
    let autoscalers = story.autoscalers(1).await;
    assert_eq!(autoscalers[0].name_any(), "reader");
    let _: HorizontalPodAutoscaler = story.api().get("reader").await.unwrap();
    assert!(story.of_keda("ScaledObject").get_opt("reader").await.unwrap().is_none());
    story.runs("Deployment", "reader", 3).await;
    assert!(!watch.is_finished(), "the watch saw all of it");
    watch.abort();
    assert_eq!(lowest.load(Ordering::Relaxed), 3, "the number never moved");
    drop(story);
    world.operator.stop().await;
    drop(running);
    world.cluster.stop();
}
