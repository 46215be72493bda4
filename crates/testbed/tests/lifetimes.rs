//! Clusters come, go, and leave nothing behind.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::Api;
use kube::api::{ListParams, PostParams};
use prism_testbed::{Cluster, Programs, Progress, ScopedCluster, Start, eventually};
use support::{TESTBED, command_line, options, processes_of, testbed};

const SECONDS_20: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_cluster_is_recovered_after_a_crash_and_leaves_nothing_when_it_goes() {
    testbed().await;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("cluster");
    let programs = Programs::ensure(&Progress::silent()).unwrap();
    let up = async || Cluster::up(&folder, &programs, &options(), &Progress::silent()).await.unwrap();

    let (cluster, start) = up().await;
    assert_eq!(start, Start::Started);
    let nodes: Api<Node> = Api::all(cluster.client().await.unwrap());
    assert_eq!(nodes.list(&ListParams::default()).await.unwrap().items.len(), 6);
    let (_, start) = up().await;
    assert_eq!(start, Start::AlreadyRunning);

    let scheduler = cluster.components().into_iter().find(|one| one.name == "kube-scheduler").unwrap();
    support::kill(scheduler.pid);
    eventually("a cluster without a scheduler is not healthy", SECONDS_20, async || {
        if cluster.is_healthy().await { Err("it is said to be".to_owned()) } else { Ok(()) }
    })
    .await
    .unwrap();
    let (cluster, start) = up().await;
    assert_eq!(start, Start::Recovered);
    assert!(cluster.is_healthy().await);

    let folder = cluster.folder().to_owned();
    assert_eq!(processes_of(&folder).len(), 6);
    assert!(Cluster::down(&folder).unwrap());
    assert_eq!(processes_of(&folder), [0; 0], "no process is left");
    assert!(!folder.exists(), "no file is left");
    assert!(!Cluster::down(&folder).unwrap(), "a second `down` finds nothing to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clusters_live_side_by_side_and_know_nothing_of_each_other() {
    // The first is the one that this test runs under.
    let first = testbed().await;
    let programs = Programs::ensure(&Progress::silent()).unwrap();
    let second = ScopedCluster::start(&programs, &options(), &Progress::silent()).await.unwrap();

    let map = ConfigMap {
        metadata: kube::api::ObjectMeta { name: Some("here".into()), ..Default::default() },
        ..Default::default()
    };
    let in_second: Api<ConfigMap> = Api::namespaced(second.client().await.unwrap(), "default");
    in_second.create(&PostParams::default(), &map).await.unwrap();
    let in_first: Api<ConfigMap> = Api::namespaced(first.client(), "default");
    assert!(in_first.get_opt("here").await.unwrap().is_none());

    let folder = second.folder().to_owned();
    assert_eq!(processes_of(&folder).len(), 7, "six components and their guard");
    second.stop();
    assert_eq!(processes_of(&folder), [0; 0]);
    assert!(!folder.exists());
    assert!(first.cluster().is_healthy().await, "the other cluster goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_leaves_no_process_and_no_folder() {
    testbed().await;
    let parent = tempfile::tempdir().unwrap();
    let told = parent.path().join("told");
    let mut run = Command::new(TESTBED)
        .args(["run", "--", "sh", "-c"])
        .arg(format!("echo $PRISM_TEST_DIR $$ > {}; exec sleep 600", told.display()))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (folder, command) = eventually("the command is told its cluster", SECONDS_20, async || {
        let text = fs::read_to_string(&told).unwrap_or_default();
        let told = text.trim_end().split_once(' ').ok_or_else(|| "it has not begun".to_owned())?;
        Ok((PathBuf::from(told.0), told.1.parse::<u32>().unwrap()))
    })
    .await
    .unwrap();
    assert_eq!(processes_of(&folder).len(), 7, "six components and their guard");

    // SIGKILL: no destructor, no handler.
    run.kill().unwrap();
    run.wait().unwrap();
    eventually("everything of the killed run is gone", SECONDS_20, async || {
        let left = processes_of(&folder);
        if left.is_empty() && !folder.exists() { Ok(()) } else { Err(format!("processes {left:?} are left")) }
    })
    .await
    .unwrap();
    assert_eq!(command_line(command), None, "the command of the killed run is gone, too");
}
