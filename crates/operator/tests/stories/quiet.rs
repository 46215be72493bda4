//! How little the operator asks of the API server.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use prism_api::condition;
use prism_engine::lease::LeaseConfig;
use prism_testbed::{audit::Entry, eventually};
use serde_json::{Value, json};

use crate::support::{PATIENCE, Story, quick};

fn scaled() -> Value {
    json!({
        "pattern": "producer", "backend": "memstore", "config": {"batch": 100},
        "autoscaling": {"minReplicas": 2, "maxReplicas": 5},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_a_pattern_costs_its_children_and_one_report_for_each_change_of_readiness() {
    let story = Story::begin("cost").await;
    story.apply("orders", scaled()).await;
    let pattern = story.ready("orders").await;

    let (reports, children): (Vec<_>, Vec<_>) =
        story.writes().into_iter().partition(|write| write.subresource == "status");
    let made: Vec<_> = children.iter().map(|write| (write.resource.as_str(), write.verb.as_str())).collect();
    let mut expected = vec![
        ("serviceaccounts", "patch"),
        ("configmaps", "patch"),
        ("deployments", "patch"),
        ("services", "patch"),
        ("poddisruptionbudgets", "patch"),
        ("horizontalpodautoscalers", "patch"),
    ];
    expected.sort_unstable();
    let mut sorted = made.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected, "each child is written once");
    assert_eq!(pattern.status.unwrap().inventory.len(), children.len(), "the inventory names each child");
    assert!(children.iter().all(|write| write.code == 201), "each child is created");
    assert_no_idle_report(&reports);
    assert!(reports.len() <= 2, "one report when the children exist, one when they are ready");
}

/// Every report but the first says something new about a condition, or comes at the pace of a
/// rollout that takes its time.
fn assert_no_idle_report(reports: &[Entry]) {
    let essence = |report: &Entry| -> BTreeSet<String> {
        let conditions = report.request_object.as_ref().unwrap()["status"]["conditions"].as_array().cloned();
        conditions
            .unwrap_or_default()
            .iter()
            .map(|c| format!("{} {} {}", c["type"], c["status"], c["reason"]))
            .collect()
    };
    for pair in reports.windows(2) {
        let pause = pair[1].received.duration_since(pair[0].received);
        let is_news = essence(&pair[0]) != essence(&pair[1]);
        assert!(is_news || pause.as_secs() >= 4, "an idle report: {:?}", pair[1].request_object);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_a_settled_pattern_makes_no_request() {
    let story = Story::begin("settled").await;
    story.apply("orders", scaled()).await;
    story.ready("orders").await;
    let looks = || story.operator().metric("prism_operator_reconcile_success_total");
    let before = looks().await;
    let mark = story.mark();

    // An annotation of somebody else's makes the operator look, and there is nothing to do.
    story.annotate("orders", "example.com/note", Some("hello")).await;
    eventually("the operator looks", PATIENCE, async || {
        if looks().await > before { Ok(()) } else { Err("it has not looked".to_owned()) }
    })
    .await
    .unwrap();
    let requests: Vec<_> = story.requests_since(mark).into_iter().map(|entry| entry.uri).collect();
    assert_eq!(requests, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_writes_nothing() {
    let mut story = Story::begin("restart").await;
    for n in 0..5 {
        story.apply(&format!("orders-{n}"), scaled()).await;
    }
    for n in 0..5 {
        story.ready(&format!("orders-{n}")).await;
    }
    story.stop_operator().await;
    let mark = story.mark();
    story.start_operator().await;
    eventually("the new process looks at every pattern", PATIENCE, async || {
        let looks = story.operator().metric("prism_operator_reconcile_success_total").await;
        if looks >= 5 { Ok(()) } else { Err(format!("it has looked {looks} times")) }
    })
    .await
    .unwrap();
    let verbs: BTreeSet<_> = story.requests_since(mark).into_iter().map(|entry| entry.verb).collect();
    assert_eq!(
        verbs,
        BTreeSet::from(["list".to_owned()]),
        "it lists what it watches, and asks for nothing else"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_settled_patterns_cause_no_write_in_two_minutes() {
    const PATTERNS: usize = 200;
    let mut story = Story::prepare("settled-many").await;
    let lease = LeaseConfig {
        namespace: story.namespace.name().to_owned(),
        name: "prism-operator".to_owned(),
        identity: "one".to_owned(),
        duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
    };
    story.start_operator_with(prism_operator::Config { lease: Some(lease), ..quick() }).await;
    join_all((0..PATTERNS).map(|n| {
        let story = &story;
        async move { story.apply(&format!("p{n:03}"), scaled()).await }
    }))
    .await;
    let patterns = story.api::<prism_api::PrismPattern>();
    eventually("all patterns are settled", 3 * PATIENCE, async || {
        let all =
            patterns.list(&kube::api::ListParams::default()).await.map_err(|error| error.to_string())?;
        let is_ready = |pattern: &&prism_api::PrismPattern| {
            let conditions = crate::support::conditions(pattern);
            prism_plan::conditions::is_true(conditions, condition::READY)
                && !prism_plan::conditions::is_true(conditions, condition::RECONCILING)
        };
        let ready = all.iter().filter(is_ready).count();
        if ready == PATTERNS { Ok(()) } else { Err(format!("{ready} of {PATTERNS} are")) }
    })
    .await
    .unwrap();
    // Counts that were held back while the rollouts moved are due by then.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let mark = story.mark();
    tokio::time::sleep(Duration::from_mins(2)).await;
    let writes: Vec<_> = story.writes_since(mark).into_iter().map(|entry| entry.uri).collect();
    assert_eq!(writes, Vec::<String>::new());
    let leases = story.bed.audit().unwrap().writes_of(&story.user, mark).unwrap().leases;
    assert!(leases.len() > 20, "the operator was alive and renewed its lease {} times", leases.len());
}
