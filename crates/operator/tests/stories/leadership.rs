//! Several processes, one writer.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use prism_engine::lease::LeaseConfig;
use prism_operator::{Config, Error};
use prism_testbed::fault::{Before, FaultProxy};
use serde_json::json;

use crate::support::{Running, Story, groups, quick};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_stops_before_another_starts() {
    let story = Story::prepare("cut-off").await;
    let proxy = FaultProxy::for_user(story.bed.cluster(), &story.user, &groups()).await.unwrap();
    let through_proxy = kube::Config::from_custom_kubeconfig(
        kube::config::Kubeconfig::read_from(proxy.kubeconfig()).unwrap(),
        &kube::config::KubeConfigOptions::default(),
    )
    .await
    .unwrap();
    let first = Running::start(config(&story, "first"), through_proxy).await;
    holder(&story, "first").await;
    let second = Running::start(config(&story, "second"), story.identity().await).await;

    let cut = Instant::now();
    proxy.before(|_| Before::Drop);
    let ended = first.ended().await;
    let stopped = cut.elapsed();
    assert!(matches!(ended, Err(Error::LeaseLost)), "{ended:?}");
    holder(&story, "second").await;
    assert!(stopped < cut.elapsed(), "the first one stopped after {stopped:?}");
    assert!(stopped < Duration::from_secs(6), "in time: {stopped:?}");
    story.apply("web", json!({"pattern": "producer", "backend": "memstore"})).await;
    story.ready("web").await;
    second.stop().await;
}
