//! Every sample is accepted, becomes Ready, and stays as it is.

use std::{
    fmt::Debug,
    path::{Path, PathBuf},
    time::Duration,
};

use kube::{Api, ResourceExt, api::ListParams, core::NamespaceResourceScope};
use prism_api::{PrismBackend, PrismCluster, PrismPattern, PrismStack, condition, condition::Condition};
use prism_plan::conditions::find;
use prism_testbed::{
    eventually,
    nodes::{self, FakeNode},
};
use serde::de::DeserializeOwned;

use crate::{support::repository, world::World};

const NAMESPACES: [&str; 4] = ["default", "prism", "prism-prod", "prism-system"];
/// Pods of one sample that ask for a node each.
const LARGEST_SPREAD: usize = 9;

/// The project's own samples, and those of the folder that the project was founded on, where there
/// is one.
fn files() -> Vec<PathBuf> {
    let folders = [repository().join("config/samples"), repository().join("../shared/seed-samples")];
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    files
}

/// Nodes with the labels and taints that the samples ask for.
fn nodes() -> Vec<FakeNode> {
    let zones = ["zone-a", "zone-b", "zone-c"];
    let some = |name: &str, count: usize, labels: &[(&str, &str)]| {
        let node = |n: usize| {
            let node = FakeNode::new(format!("{name}-{n}"), zones[n % zones.len()]);
            labels.iter().fold(node, |node, (key, value)| node.label(*key, *value))
        };
        (0..count).map(node).collect::<Vec<_>>()
    };
    let dedicated = [("node-type", "prism-proxy"), ("instance-type", "c5.4xlarge")];
    let in_one_zone =
        [("role", "prism-proxy"), ("tier", "data-plane"), ("topology.kubernetes.io/zone", "us-east-1a")];
    [
        some("data", LARGEST_SPREAD, &[("workload", "data-intensive")]),
        some("control", LARGEST_SPREAD, &[("role", "prism-control-plane"), ("tier", "management")]),
        some("proxy", LARGEST_SPREAD, &in_one_zone),
        some("memory", 2, &[("memory-optimized", "true")]),
        some("cpu", 2, &[("cpu-optimized", "true")]),
        taint(some("dedicated", 2, &dedicated), "dedicated", "prism-proxy"),
        taint(some("spot", 2, &[("node-lifecycle", "spot")]), "node-lifecycle", "spot"),
    ]
    .concat()
}

fn taint(nodes: Vec<FakeNode>, key: &str, value: &str) -> Vec<FakeNode> {
    nodes.into_iter().map(|node| node.taint(key, value, "NoSchedule")).collect()
}

/// What all kinds that become Ready have.
trait Reported: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope> {
    /// Whether it may be anything but Ready: a backend of which a stack knows no more than an address.
    const IS_ITS_OWN_AFFAIR: bool;
    fn report(&self) -> Option<(Option<i64>, &[Condition])>;
}

macro_rules! reported {
    ($($kind:ty: $is_its_own_affair:literal),*) => {$(
        impl Reported for $kind {
            const IS_ITS_OWN_AFFAIR: bool = $is_its_own_affair;
            fn report(&self) -> Option<(Option<i64>, &[Condition])> {
                self.status.as_ref().map(|status| (status.observed_generation, status.conditions.as_slice()))
            }
        }
    )*};
}

reported!(PrismBackend: true, PrismCluster: false, PrismPattern: false, PrismStack: false);

/// Those that are not Ready and at rest, with what they say; and how many are.
async fn waiting<K>(world: &World) -> (Vec<String>, usize)
where
    K: Reported + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::all(world.client.clone());
    let mut ready = 0;
    let mut waiting = Vec::new();
    for object in Box::pin(api.list(&ListParams::default())).await.unwrap() {
        let is_ready = object.report().is_some_and(|(generation, conditions)| {
            let ready = find(conditions, condition::READY).map(|ready| ready.status.as_str());
            generation == object.meta().generation
                && (ready == Some("True") || ready.is_some() && K::IS_ITS_OWN_AFFAIR)
                && find(conditions, condition::RECONCILING).is_none()
        });
        if is_ready {
            ready += 1;
        } else {
            let said =
                object.report().and_then(|(_, conditions)| find(conditions, condition::READY).cloned());
            let said = said.map(|said| format!("{}: {}", said.reason, said.message));
            waiting.push(format!("{} {}: {said:?}", K::kind(&()), object.name_any()));
        }
    }
    (waiting, ready)
}

/// Waits until everything that there is is Ready; returns how many.
async fn all_ready(world: &World, file: &Path) -> usize {
    let what = format!("everything of {} is Ready", file.display());
    eventually(&what, Duration::from_mins(2), async || {
        let parts = [
            waiting::<PrismBackend>(world).await,
            waiting::<PrismCluster>(world).await,
            waiting::<PrismStack>(world).await,
            waiting::<PrismPattern>(world).await,
        ];
        let (waiting, ready): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let waiting = waiting.concat();
        if waiting.is_empty() { Ok(ready.into_iter().sum()) } else { Err(format!("{waiting:?}")) }
    })
    .await
    .unwrap()
}

/// Waits until the stacks of clusters have followed them.
async fn all_gone(world: &World) {
    let stacks: Api<PrismStack> = Api::all(world.client.clone());
    eventually("every stack is gone", Duration::from_mins(2), async || {
        let left = Box::pin(stacks.list(&ListParams::default())).await.unwrap().items;
        if left.is_empty() { Ok(()) } else { Err(format!("{} are left", left.len())) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_becomes_ready_and_a_second_apply_writes_nothing() {
    let world = World::begin().await;
    for name in NAMESPACES.into_iter().filter(|name| *name != "default") {
        world.namespace(name, None).await;
    }
    world.namespace("data-postgres", Some("postgres")).await;
    world.backend_service("data-postgres", "postgres", "postgres:5432", 5432).await;
    world.namespace("data-kafka", Some("kafka")).await;
    world.backend_service("data-kafka", "kafka", "kafka:9092", 9092).await;
    world.storage_class("fast-ssd").await;
    nodes::add(&world.client, &nodes()).await.unwrap();

    let files = files();
    assert!(files.len() >= 6, "{files:?}");
    let apply = ["apply", "--server-side", "--validate=strict", "--force-conflicts"];
    let mut seen = 0;
    for file in &files {
        world.kubectl(&apply, file).await;
        seen += all_ready(&world, file).await;
        let mark = world.mark();
        world.kubectl(&apply, file).await;
        all_ready(&world, file).await;
        let writes = world.writes_since(mark);
        assert!(writes.is_empty(), "the second apply of {}: {writes:?}", file.display());
        // Namespaces stay: samples that come later live in them.
        if !std::fs::read_to_string(file).unwrap().contains("kind: Namespace\n") {
            world.kubectl(&["delete", "--wait=true", "--timeout=100s"], file).await;
            all_gone(&world).await;
        }
    }
    assert!(seen >= 4, "{seen} objects");
    world.end().await;
}
