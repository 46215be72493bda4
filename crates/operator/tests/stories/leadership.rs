//! Several processes, one writer.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease};
use kube::api::{Patch, PatchParams};
use prism_api::PrismPattern;
use prism_engine::lease::LeaseConfig;
use prism_operator::{Config, Error};
use prism_testbed::fault::Before;
use rstest::rstest;
use serde_json::json;
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::support::{PATIENCE, Running, Story, groups, quick};

fn config(story: &Story, identity: &str) -> Config {
    let lease = LeaseConfig {
        namespace: story.namespace.name().to_owned(),
        name: "prism-operator".to_owned(),
        identity: identity.to_owned(),
        duration: Duration::from_secs(6),
        renew_deadline: Duration::from_secs(4),
        retry_period: Duration::from_millis(500),
    };
    Config { lease: Some(lease), namespace: Some(story.namespace.name().to_owned()), ..quick() }
}

async fn holder(story: &Story, identity: &str) {
    story
        .object("prism-operator", &format!("{identity} holds the lease"), |lease: &Lease| {
            let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
            if holder.as_deref() == Some(identity) { Ok(()) } else { Err(format!("{holder:?} does")) }
        })
        .await;
}

/// The name of the second operator in the audit log.
fn second_user(story: &Story) -> String {
    format!("{}-second", story.user)
}

/// An editor of the pattern `web`.
struct Busy {
    ends: CancellationToken,
    task: JoinHandle<usize>,
}

impl Busy {
    /// Ends it; returns the number of the last edit.
    async fn stop(self) -> usize {
        self.ends.cancel();
        self.task.await.unwrap()
    }
}

/// Edits the pattern `web` ten times a second, so that whoever may write has something to write.
fn keep_busy(story: &Story) -> Busy {
    let (ends, api) = (CancellationToken::new(), story.api::<PrismPattern>());
    let ended = ends.clone();
    let task = tokio::spawn(async move {
        for nth in 1.. {
            let body = json!({
                "apiVersion": "prism.io/v1alpha1", "kind": "PrismPattern", "metadata": {"name": "web"},
                "spec": {"pattern": "producer", "backend": "memstore", "env": [{"name": "EDIT", "value": nth.to_string()}]},
            });
            api.patch("web", &PatchParams::apply("user").force(), &Patch::Apply(&body)).await.unwrap();
            let pause = sleep(Duration::from_millis(100));
            if ended.run_until_cancelled(pause).await.is_none() {
                return nth;
            }
        }
        unreachable!("the numbers do not end")
    });
    Busy { ends, task }
}

fn has_edit(web: &Deployment, edit: &str) -> Result<(), String> {
    let text = json!(web).to_string();
    if text.contains(&format!(r#""name":"EDIT","value":"{edit}""#)) { Ok(()) } else { Err(text) }
}

/// The API server took in the last write of the first operator before the first one of the second.
fn assert_one_after_the_other(story: &Story, first: &str) {
    let last = story.writes_of(first).into_iter().map(|write| write.received).max();
    let next = story.writes_of(&second_user(story)).into_iter().map(|write| write.received).min();
    let (last, next) = (last.unwrap(), next.unwrap());
    assert!(last < next, "the first one wrote until {last}, and the second one from {next}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_at_once_when_the_leader_leaves_in_order() {
    let story = Story::prepare("handover").await;
    let first = Running::start(config(&story, "first"), story.identity().await).await;
    holder(&story, "first").await;
    let second = Running::start(config(&story, "second"), story.identity().await).await;
    let third = Running::start(config(&story, "third"), story.identity().await).await;
    story.apply("web", json!({"pattern": "producer", "backend": "memstore"})).await;
    story.ready("web").await;
    assert_eq!(first.metric("prism_operator_leader").await, 1);
    assert_eq!(second.metric("prism_operator_leader").await + third.metric("prism_operator_leader").await, 0);

    let since = Instant::now();
    first.stop().await;
    story.apply("web", json!({"pattern": "producer", "backend": "memstore", "replicas": 2})).await;
    story
        .pattern("web", "has two replicas", |pattern| {
            pattern.status.as_ref().and_then(|status| status.available_replicas) == Some(2)
        })
        .await;
    assert!(
        since.elapsed() < Duration::from_secs(6),
        "nobody waited for the lease to expire: {:?}",
        since.elapsed()
    );
    second.stop().await;
    third.stop().await;
}

/// Nothing but the fence stops the writes of the first one, which come through as they did, or late.
#[rstest]
#[case::cut_off(Before::Drop, Before::Pass)]
#[case::slow(Before::Delay(Duration::from_secs(5)), Before::Delay(Duration::from_millis(300)))]
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_cannot_renew_in_time_stops_before_another_starts(
    #[case] lease: Before,
    #[case] others: Before,
) {
    let story = Story::prepare("cut-off").await;
    let (proxy, through_proxy) = story.behind_proxy().await;
    let first_user = story.user.clone();
    let first = Running::start(config(&story, "first"), through_proxy).await;
    holder(&story, "first").await;
    let second = story.bed.cluster().config_for(&second_user(&story), &groups()).await.unwrap();
    let second = Running::start(config(&story, "second"), second).await;

    // It has work to do until the very end: an object that changes all the time.
    let busy = keep_busy(&story);
    story.object("web", "is made", |_: &Deployment| Ok(())).await;
    let cut = Instant::now();
    proxy.before(move |seen| match seen.path.contains("/leases/") {
        true => lease,
        false if seen.write.is_some() => others,
        false => Before::Pass,
    });
    let ended = first.ended().await;
    let stopped = cut.elapsed();
    assert!(matches!(ended, Err(Error::LeaseLost)), "{ended:?}");
    assert!(stopped < Duration::from_secs(6), "in time: {stopped:?}");
    holder(&story, "second").await;
    let edits = busy.stop().await;
    let last = format!("{edits}");
    story.object("web", "has the last edit", |web: &Deployment| has_edit(web, &last)).await;
    assert_one_after_the_other(&story, &first_user);
    second.stop().await;
}

/// Sends a signal to a process that this story has started.
fn signal(process: &Child, signal: &str) {
    let pid = process.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_frozen_writes_nothing_when_it_thaws() {
    let story = Story::prepare("frozen").await;
    let namespace = story.namespace.name();
    let kubeconfig = story.bed.cluster().kubeconfig_for(&story.user, &groups()).unwrap();
    let mut first = Command::new(env!("CARGO_BIN_EXE_prism-operator"))
        .args(["run", "--bind-address", "127.0.0.1:0", "--watch-namespace", namespace])
        .args(["--lease-namespace", namespace])
        .args(["--lease-duration", "6", "--renew-deadline", "4", "--retry-period", "1"])
        .env("KUBECONFIG", kubeconfig)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let busy = keep_busy(&story);
    story.object("web", "is made", |_: &Deployment| Ok(())).await;
    let second = story.bed.cluster().config_for(&second_user(&story), &groups()).await.unwrap();
    let second = Running::start(config(&story, "second"), second).await;

    signal(&first, "-STOP");
    holder(&story, "second").await;
    let mark = story.mark();
    signal(&first, "-CONT");
    let status = timeout(PATIENCE, first.wait()).await.unwrap().unwrap();
    assert!(!status.success(), "it says that it has not ended in order: {status}");
    let edits = busy.stop().await.to_string();
    story.object("web", "has the last edit", |web: &Deployment| has_edit(web, &edits)).await;
    assert!(story.writes_since(mark).is_empty(), "the first one writes after it has thawed");
    assert_one_after_the_other(&story, &story.user);
    second.stop().await;
}
