//! What the endpoints say.

use std::time::Duration;

use http::Method;
use prism_operator::Config;
use prism_testbed::{eventually, fault::Before};
use serde_json::json;

use crate::support::{PATIENCE, Running, Story, quick};

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_watch_makes_the_process_unready_and_a_quiet_one_does_not() {
    let story = Story::prepare("stuck").await;
    let (proxy, cluster) = story.behind_proxy().await;
    // Watches end every 4 s, so that a healthy one is heard of at least that often.
    let config = Config {
        namespace: Some(story.namespace.name().to_owned()),
        watch_timeout: Duration::from_secs(4),
        stale_after: Duration::from_secs(8),
        ..quick()
    };
    let operator = Running::start(config, cluster).await;
    let ready = async |code: u16, what: &str| {
        eventually(what, PATIENCE, async || {
            let (actual, body) = operator.get("/readyz").await;
            if actual == code { Ok(body) } else { Err(format!("{actual}: {body}")) }
        })
        .await
        .unwrap()
    };
    ready(200, "the operator is ready").await;
    // Longer than the time after which silence counts: nothing happens, and all is well.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(operator.get("/readyz").await.0, 200, "a quiet watch is healthy");

    proxy.before(|seen| {
        let is_watch = seen.path.ends_with("/services")
            && seen.query.contains("managed-by")
            && seen.query.contains("watch=true");
        if is_watch { Before::Delay(Duration::from_mins(10)) } else { Before::Pass }
    });
    let complaint = ready(503, "the operator is unready").await;
    assert!(complaint.contains("services") && complaint.contains("stuck"), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "the other watches are healthy: {complaint}");
    assert_eq!(operator.get("/healthz").await.0, 200, "the process is alive");
    // The other watches still do their work.
    story.apply("web", json!({"pattern": "producer", "backend": "memstore"})).await;
    story.ready("web").await;

    proxy.reset();
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_their_names() {
    let story = Story::begin("metrics").await;
    story.apply("web", json!({"pattern": "producer", "backend": "memstore"})).await;
    story.ready("web").await;
    let (code, text) = story.operator().get("/metrics").await;
    assert_eq!(code, 200);
    for line in [
        "prism_operator_reconcile_duration_seconds_count{controller=\"prismpattern\"}",
        "prism_operator_reconcile_success_total{controller=\"prismpattern\"}",
        "prism_operator_resource_created_total{resource_type=\"deployment\"} 1",
        "prism_operator_api_requests_total{verb=\"patch\"}",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconcile_that_hangs_is_told_by_its_object_and_stops_nobody_else() {
    let story = Story::prepare("hangs").await;
    let (proxy, cluster) = story.behind_proxy().await;
    // Nothing else ends what hangs.
    let config = Config {
        namespace: Some(story.namespace.name().to_owned()),
        request_timeout: Duration::from_mins(20),
        reconcile_timeout: Duration::from_mins(20),
        stuck_after: Duration::from_secs(2),
        ..quick()
    };
    let operator = Running::start(config, cluster).await;
    proxy.before(|seen| {
        let is_meant = seen.method == Method::PATCH && seen.path.ends_with("/deployments/stuck");
        if is_meant { Before::Delay(Duration::from_mins(10)) } else { Before::Pass }
    });
    story.apply("stuck", json!({"pattern": "producer", "backend": "memstore"})).await;
    eventually("the process counts as dead", PATIENCE, async || {
        let (code, body) = operator.get("/healthz").await;
        let names_it = body.contains(&format!("PrismPattern {}/stuck", story.namespace.name()));
        if code == 503 && names_it { Ok(()) } else { Err(format!("{code}: {body}")) }
    })
    .await
    .unwrap();
    story.apply("web", json!({"pattern": "producer", "backend": "memstore"})).await;
    story.ready("web").await;
    assert_eq!(operator.get("/readyz").await.0, 200, "it sees the cluster");
    operator.stop().await;
}
