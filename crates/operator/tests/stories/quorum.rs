//! The admin never loses its quorum to the operator.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI32, Ordering},
    },
};

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::ListParams,
    runtime::{
        WatchStreamExt,
        watcher::{Config, Event, watcher},
    },
};
use prism_api::{PrismStack, condition, condition::reason};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::support::Story;

const ADMINS: &str = "prism.io/component=admin";

/// Watches the members all the time.
struct Sampler {
    worst: Arc<Mutex<Vec<String>>>,
    samples: Arc<AtomicI32>,
    tasks: Vec<JoinHandle<()>>,
}

impl Sampler {
    /// Complains of each moment at which fewer members are ready than a quorum of `spec.replicas`.
    fn start(story: &Story) -> Self {
        let (worst, samples) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicI32::new(0)));
        let members = Arc::new(AtomicI32::new(0));
        let sets: Api<StatefulSet> = story.api();
        let of_set = members.clone();
        let set = tokio::spawn(async move {
            let events =
                watcher(sets, Config::default().fields("metadata.name=shop-admin")).default_backoff();
            pin_mut!(events);
            while let Some(event) = events.next().await {
                if let Ok(Event::InitApply(set) | Event::Apply(set)) = event {
                    of_set.store(set.spec.and_then(|spec| spec.replicas).unwrap_or(1), Ordering::Relaxed);
                }
            }
        });
        let pods: Api<Pod> = story.api();
        let (told, counted) = (worst.clone(), samples.clone());
        let pods = tokio::spawn(async move {
            let mut ready: BTreeMap<String, bool> = BTreeMap::new();
            let events = watcher(pods, Config::default().labels(ADMINS)).default_backoff();
            pin_mut!(events);
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::InitApply(pod)) => {
                        ready.insert(pod.name_any(), is_ready(&pod));
                        continue;
                    }
                    Ok(Event::Apply(pod)) => {
                        ready.insert(pod.name_any(), is_ready(&pod));
                    }
                    Ok(Event::Delete(pod)) => {
                        ready.remove(&pod.name_any());
                    }
                    Ok(Event::Init) => {
                        ready.clear();
                        continue;
                    }
                    Ok(Event::InitDone) | Err(_) => continue,
                }
                let (serving, wanted) =
                    (ready.values().filter(|is_ready| **is_ready).count(), members.load(Ordering::Relaxed));
                counted.fetch_add(1, Ordering::Relaxed);
                if wanted > 0 && i32::try_from(serving).unwrap() < wanted / 2 + 1 {
                    told.lock().unwrap().push(format!("{serving} of {wanted}: {ready:?}"));
                }
            }
        });
        Self { worst, samples, tasks: vec![set, pods] }
    }

    fn finish(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        assert!(self.samples.load(Ordering::Relaxed) > 5, "the watch saw what happened");
        let worst = self.worst.lock().unwrap();
        assert!(worst.is_empty(), "there were fewer ready members than a quorum: {worst:?}");
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref());
    let is_true = conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    is_true && pod.metadata.deletion_timestamp.is_none()
}

async fn pods(story: &Story) -> BTreeSet<String> {
    let pods: Api<Pod> = story.api();
    let pods = pods.list(&ListParams::default().labels(ADMINS)).await.unwrap();
    pods.into_iter().filter_map(|pod| pod.metadata.uid).collect()
}

async fn args(story: &Story) -> Vec<String> {
    let set: StatefulSet = story.api().get("shop-admin").await.unwrap();
    set.spec.unwrap().template.spec.unwrap().containers.remove(0).args.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_and_are_replaced_one_at_a_time() {
    let story = Story::begin("quorum").await;
    let admin = |patch| json!({"spec": {"admin": patch}});
    story.put::<PrismStack>("shop", json!({"admin": {"replicas": 3}})).await;
    story.stack_ready("shop").await;
    let sampler = Sampler::start(&story);

    story.merge::<PrismStack>("shop", admin(json!({"replicas": 5}))).await;
    let stack = story.stack_ready("shop").await;
    assert_eq!(stack.status.unwrap().components[0].available_replicas, Some(5));
    assert_eq!(args(&story).await[1].split(',').count(), 5, "every member knows all others");

    let before = pods(&story).await;
    story.merge::<PrismStack>("shop", admin(json!({"image": "registry.example.com/admin:2"}))).await;
    story.stack_ready("shop").await;
    assert!(before.is_disjoint(&pods(&story).await), "every member runs the new image");

    story.merge::<PrismStack>("shop", admin(json!({"replicas": 3}))).await;
    let stack = story.stack_ready("shop").await;
    assert_eq!(stack.status.unwrap().components[0].available_replicas, Some(3));
    assert_eq!(args(&story).await[1].split(',').count(), 3, "the members that are left forget the others");
    sampler.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_grows_and_no_member_restarts() {
    let story = Story::begin("grow-log").await;
    let spec =
        |size: &str| json!({"admin": {"replicas": 3, "storage": {"size": size, "storageClass": "standard"}}});
    story.put::<PrismStack>("shop", spec("1Gi")).await;
    story.stack_ready("shop").await;
    let before = pods(&story).await;
    story.put::<PrismStack>("shop", spec("2Gi")).await;
    story.stack_ready("shop").await;
    story
        .object("shop-admin", "asks for the new size", |set: &StatefulSet| {
            let claims = set.spec.as_ref().and_then(|spec| spec.volume_claim_templates.as_ref());
            let size = claims.and_then(|claims| {
                claims[0].spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage").cloned()
            });
            if size.as_ref().is_some_and(|size| size.0 == "2Gi") { Ok(()) } else { Err(format!("{size:?}")) }
        })
        .await;
    story.stack_ready("shop").await;
    assert_eq!(before, pods(&story).await, "no pod restarts");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_restarts_the_admin_is_announced_and_waits_where_somebody_wants_to_agree() {
    let story = Story::begin("approval").await;
    let spec = |image: &str| json!({"approval": "Manual", "admin": {"replicas": 3, "image": image}});
    story.put::<PrismStack>("shop", spec("registry.example.com/admin:1")).await;
    story.stack_ready("shop").await;
    let before = pods(&story).await;

    story.put::<PrismStack>("shop", spec("registry.example.com/admin:2")).await;
    let stack =
        story.stack_condition("shop", condition::RECONCILING, "True", reason::APPROVAL_REQUIRED).await;
    let status = stack.status.unwrap();
    assert_eq!(status.plan[0].object, "StatefulSet shop-admin");
    assert!(status.plan[0].needs_approval);
    assert_eq!(before, pods(&story).await, "nothing restarts before somebody agrees");

    let approval = json!({"metadata": {"annotations": {"prism.io/approved-plan": status.plan_hash}}});
    story.merge::<PrismStack>("shop", approval).await;
    let stack = story.stack_ready("shop").await;
    assert!(stack.status.unwrap().plan.is_empty());
    assert!(before.is_disjoint(&pods(&story).await), "every member runs the new image");
}
