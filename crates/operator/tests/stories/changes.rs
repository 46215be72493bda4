//! Edits at run time.

use futures::StreamExt;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Pod, Service, ServiceAccount},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use prism_api::{
    PrismBackend, PrismPattern,
    condition::{self, reason},
    labels,
};
use prism_testbed::eventually;
use serde_json::json;

use crate::support::{PATIENCE, Story, conditions};

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_changes_its_kind_and_serves_all_the_time() {
    let story = Story::begin("kind").await;
    let spec = |kind: &str| {
        json!({
            "pattern": "consumer", "kind": kind, "backend": "memstore",
            "autoscaling": {"minReplicas": 3, "maxReplicas": 9},
        })
    };
    story.apply("web", spec("Deployment")).await;
    story.ready("web").await;

    let pods = story.api::<Pod>();
    let watch = tokio::spawn(async move {
        let mut ready = std::collections::HashMap::new();
        let mut fewest = usize::MAX;
        let mut events = std::pin::pin!(watcher(pods, watcher::Config::default()).default_backoff());
        while let Some(Ok(event)) = events.next().await {
            match event {
                watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => {
                    let conditions =
                        pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
                    let is_ready = pod.metadata.deletion_timestamp.is_none()
                        && conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
                    ready.insert(pod.name_any(), is_ready);
                }
                watcher::Event::Delete(pod) => drop(ready.remove(&pod.name_any())),
                watcher::Event::Init => continue,
                watcher::Event::InitDone => {}
            }
            let now = ready.values().filter(|is_ready| **is_ready).count();
            // Before the end of the first list the count is not complete.
            if now >= 3 || fewest != usize::MAX {
                fewest = fewest.min(now);
            }
            if ready.contains_key("done") {
                break;
            }
        }
        fewest
    });
    story.apply("web", spec("StatefulSet")).await;
    story.gone::<Deployment>("web").await;
    let pattern = story.ready("web").await;
    assert_eq!(pattern.status.unwrap().kind, Some(prism_api::workload::WorkloadKind::StatefulSet));
    let scaler = story.api::<HorizontalPodAutoscaler>().get("web").await.unwrap();
    assert_eq!(scaler.spec.unwrap().scale_target_ref.kind, "StatefulSet");
    assert_eq!(
        story.api::<Service>().get("web-headless").await.unwrap().spec.unwrap().cluster_ip.as_deref(),
        Some("None")
    );

    // A last event ends the count.
    let done: Pod = serde_json::from_value(json!({
        "metadata": {"name": "done"}, "spec": {"containers": [{"name": "c", "image": "pause"}]},
    }))
    .unwrap();
    story.create(&done).await;
    assert!(watch.await.unwrap() >= 3, "there were always three pods ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_image_and_a_new_configuration_roll_out() {
    let story = Story::begin("rollout").await;
    let spec = |image: &str, batch: i32| {
        json!({
            "pattern": "producer", "backend": "memstore", "image": image, "config": {"batch": batch},
        })
    };
    let template = async |what: &str, image: &str| {
        let wanted = image.to_owned();
        let web: Deployment = story
            .object("web", what, move |web: &Deployment| {
                let image = web
                    .spec
                    .as_ref()
                    .and_then(|spec| spec.template.spec.as_ref())
                    .map(|pod| pod.containers[0].image.clone());
                if image == Some(Some(wanted.clone())) { Ok(()) } else { Err(format!("it has {image:?}")) }
            })
            .await;
        web.spec.unwrap().template
    };
    story.apply("web", spec("example.com/one:1", 1)).await;
    story.ready("web").await;
    let one = template("the first image", "example.com/one:1").await;
    story.apply("web", spec("example.com/two:2", 1)).await;
    let two = template("the second image", "example.com/two:2").await;
    assert_eq!(one.metadata, two.metadata, "the configuration did not change");
    story.apply("web", spec("example.com/two:2", 2)).await;
    story
        .object("web-config", "the file has changed", |config: &ConfigMap| {
            let file =
                config.data.as_ref().and_then(|files| files.get("config.yaml")).cloned().unwrap_or_default();
            if file.contains("batch: 2") { Ok(()) } else { Err(file) }
        })
        .await;
    story.ready("web").await;
    let three = template("the same image", "example.com/two:2").await;
    assert_ne!(two.metadata, three.metadata, "the hash of the configuration rolls the pods");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_wanted_goes() {
    let story = Story::begin("prune").await;
    let full = json!({
        "pattern": "producer", "backend": "memstore", "config": {"batch": 1},
        "autoscaling": {"minReplicas": 1, "maxReplicas": 3},
    });
    story.apply("web", full.clone()).await;
    story.ready("web").await;
    story
        .apply("web", json!({"pattern": "producer", "backend": "memstore", "serviceAccountName": "default"}))
        .await;
    story.gone::<ConfigMap>("web-config").await;
    story.gone::<HorizontalPodAutoscaler>("web").await;
    story.gone::<PodDisruptionBudget>("web").await;
    story.gone::<ServiceAccount>("web").await;
    let pattern = story.ready("web").await;
    let left: Vec<_> = pattern.status.unwrap().inventory.into_iter().map(|entry| entry.kind).collect();
    assert_eq!(left, ["Deployment", "Service"]);

    story.apply("web", full).await;
    assert_eq!(story.ready("web").await.status.unwrap().inventory.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_lost_its_label_is_pruned_by_the_inventory() {
    let mut story = Story::begin("hidden").await;
    story.apply("web", json!({"pattern": "producer", "backend": "memstore", "config": {"batch": 1}})).await;
    story.ready("web").await;
    story.stop_operator().await;
    let hide = Patch::Merge(json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}));
    story.api::<ConfigMap>().patch("web-config", &PatchParams::default(), &hide).await.unwrap();
    story.apply("web", json!({"pattern": "producer", "backend": "memstore"})).await;
    story.start_operator().await;
    story.gone::<ConfigMap>("web-config").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_pattern_is_left_alone_and_still_reported() {
    let story = Story::begin("pause").await;
    story.apply("web", json!({"pattern": "producer", "backend": "memstore", "replicas": 2})).await;
    story.ready("web").await;
    story.annotate("web", labels::PAUSED, Some("true")).await;
    story.condition("web", condition::RECONCILING, "False", reason::PAUSED).await;
    let mark = story.mark();
    story.apply("web", json!({"pattern": "producer", "backend": "memstore", "replicas": 5})).await;
    story.api::<Service>().delete("web", &DeleteParams::default()).await.unwrap();
    story.condition("web", condition::RECONCILING, "False", reason::PAUSED).await;
    let to_children = story.writes_to_children_since(mark);
    assert!(to_children.is_empty(), "{to_children:?}");

    story.annotate("web", labels::PAUSED, None).await;
    story.object("web", "the Service is back", |_: &Service| Ok(())).await;
    let pattern = story.ready("web").await;
    assert_eq!(pattern.status.unwrap().desired_replicas, Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requested_reconciliation_applies_everything_and_is_acknowledged() {
    let story = Story::begin("request").await;
    story.apply("web", json!({"pattern": "producer", "backend": "memstore"})).await;
    story.ready("web").await;
    let mark = story.mark();
    story.annotate("web", labels::RECONCILE_REQUESTED_AT, Some("2026-11-21T10:00:00Z")).await;
    story
        .pattern("web", "acknowledges the request", |pattern| {
            let handled =
                pattern.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
            handled == Some("2026-11-21T10:00:00Z")
        })
        .await;
    assert_eq!(
        story.writes_to_children_since(mark).len(),
        3,
        "account, workload and Service are applied again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_comes_later_reaches_the_pods() {
    let story = Story::begin("backend").await;
    story.apply("web", json!({"pattern": "keyvalue", "backend": "sessions"})).await;
    story.condition("web", condition::BACKEND_RESOLVED, "False", reason::BACKEND_NOT_FOUND).await;
    story.object("web", "the runner is deployed with what is known", |_: &Deployment| Ok(())).await;

    let backend: PrismBackend = serde_json::from_value(json!({
        "apiVersion": "prism.io/v1alpha1", "kind": "PrismBackend", "metadata": {"name": "sessions"},
        "spec": {"connection": {
            "url": "redis://sessions.caches.svc:6379",
            "secretRef": {"name": "sessions", "keys": {"password": "redis-password"}},
        }},
    }))
    .unwrap();
    story.create(&backend).await;
    story.condition("web", condition::BACKEND_RESOLVED, "True", reason::BACKEND_FOUND).await;
    let web: Deployment = story.api().get("web").await.unwrap();
    let env = web.spec.unwrap().template.spec.unwrap().containers.remove(0).env.unwrap();
    let value = |name: &str| {
        env.iter().find(|variable| variable.name == name).and_then(|variable| variable.value.clone())
    };
    assert_eq!(value("REDIS_URL").as_deref(), Some("redis://sessions.caches.svc:6379"));
    assert_eq!(value("BACKEND_TYPE").as_deref(), Some("redis"));
    let password = env.iter().find(|variable| variable.name == "REDIS_PASSWORD").unwrap();
    let selector = password.value_from.clone().unwrap().secret_key_ref.unwrap();
    assert_eq!((selector.name.as_str(), selector.key.as_str()), ("sessions", "redis-password"));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_pattern_leaves_nothing() {
    let story = Story::begin("delete").await;
    story
        .apply(
            "web",
            json!({"pattern": "consumer", "backend": "memstore", "autoscaling": {"maxReplicas": 3}}),
        )
        .await;
    story.ready("web").await;
    story.api::<PrismPattern>().delete("web", &DeleteParams::default()).await.unwrap();
    eventually("everything with the pattern's label is gone", PATIENCE, async || {
        let params = ListParams::default().labels("prism.io/pattern-instance=web");
        let names = |metadata: Vec<ObjectMeta>| {
            metadata.into_iter().filter_map(|metadata| metadata.name).collect::<Vec<_>>()
        };
        let mut left = Vec::new();
        macro_rules! list {
            ($($kind:ty),*) => {$(
                let found = story.api::<$kind>().list(&params).await.map_err(|error| error.to_string())?;
                left.extend(names(found.into_iter().map(|object| object.metadata).collect()));
            )*};
        }
        list!(StatefulSet, Service, ServiceAccount, PodDisruptionBudget, HorizontalPodAutoscaler, Pod);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} are left")) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_made_again_at_once_takes_over_from_its_deletion() {
    let story = Story::begin("again").await;
    let spec = json!({"pattern": "producer", "backend": "memstore"});
    let first = story.apply("web", spec.clone()).await;
    story.ready("web").await;
    story.api::<PrismPattern>().delete("web", &DeleteParams::default()).await.unwrap();
    let second = story.apply("web", spec).await;
    assert_ne!(first.uid(), second.uid());
    story.ready("web").await;
    let web: Deployment = story.api().get("web").await.unwrap();
    assert_eq!(web.owner_references()[0].uid, second.uid().unwrap());
    assert!(conditions(&story.ready("web").await).iter().all(|c| c.type_ != condition::STALLED));
}

#[tokio::test(flavor = "multi_thread")]
async fn children_that_were_orphaned_on_purpose_are_taken_back() {
    let story = Story::begin("orphans").await;
    let spec = json!({"pattern": "producer", "backend": "memstore"});
    story.apply("web", spec.clone()).await;
    story.ready("web").await;
    let before: Deployment = story.api().get("web").await.unwrap();
    story.api::<PrismPattern>().delete("web", &DeleteParams::orphan()).await.unwrap();
    story.gone::<PrismPattern>("web").await;
    story.apply("web", spec).await;
    story.ready("web").await;
    let after: Deployment = story.api().get("web").await.unwrap();
    assert_eq!(before.uid(), after.uid(), "the Deployment is the same one");
    assert_eq!(after.owner_references().len(), 1);
}
