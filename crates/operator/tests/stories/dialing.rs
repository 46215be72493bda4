//! Whoever may write a spec does not reach through the operator what he cannot reach himself.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, extract::State, http::StatusCode, response::Redirect, routing::get};
use k8s_openapi::api::apps::v1::Deployment;
use prism_api::{
    PrismAutoscaler, PrismPattern,
    condition::{self, reason},
};
use prism_dial::Policy;
use prism_operator::Config;
use prism_plan::conditions::find;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    gauged::{Gauge, runs},
    support::{Story, quick},
};

/// A server that counts who asks it.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start(router: Router<Arc<AtomicUsize>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let router = router.with_state(asked.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked, serving }
    }

    /// A Prometheus that has one number.
    async fn prometheus() -> Self {
        async fn answer(State(asked): State<Arc<AtomicUsize>>) -> String {
            asked.fetch_add(1, Ordering::SeqCst);
            let now = k8s_openapi::jiff::Timestamp::now().as_second();
            let vector = json!([{"metric": {}, "value": [now, "5.9"]}]);
            json!({"status": "success", "data": {"resultType": "vector", "result": vector}}).to_string()
        }
        Self::start(Router::new().fallback(answer)).await
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A story whose operator connects to what operators connect to by default.
async fn closed(name: &str) -> Story {
    let mut story = Story::prepare(name).await;
    story.start_operator_with(Config { dial: Policy::default(), ..quick() }).await;
    story
}

fn consumer(metric: &Value) -> Value {
    json!({
        "pattern": "consumer", "kind": "Deployment", "backend": "memstore", "image": "registry.example.com/consumer:1",
        "autoscaling": {
            "scaler": "admin", "minReplicas": 1, "maxReplicas": 9, "pollingInterval": 1, "metrics": [metric],
        },
    })
}

fn by_prometheus(server: &str) -> Value {
    json!({"type": "Prometheus", "prometheus": {
        "serverAddress": server, "query": "sum(rate(orders_total[1m]))", "target": {"averageValue": "1"},
    }})
}

fn by_admin(endpoint: &str) -> Value {
    json!({"type": "AdminMetric", "adminMetric": {
        "metricName": "pattern.consumer.lag", "endpoint": endpoint, "target": {"averageValue": "100"},
    }})
}

/// Waits until the pattern says, in these words, why its metrics cannot be read.
async fn says(story: &Story, words: &str) -> PrismPattern {
    let said = |pattern: &PrismPattern| {
        let conditions = pattern.status.as_ref().map(|status| status.conditions.as_slice());
        find(conditions.unwrap_or_default(), condition::SCALING_ACTIVE).is_some_and(|active| {
            active.reason == reason::METRICS_UNAVAILABLE && active.message.contains(words)
        })
    };
    story.pattern("orders", &format!("says {words}"), said).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_on_loopback_is_refused_unless_a_flag_allows_it() {
    let server = Server::prometheus().await;
    let mut story = closed("loopback").await;
    story.apply("orders", consumer(&by_prometheus(&server.url()))).await;
    says(&story, "prometheus.serverAddress leads to a loopback address").await;
    assert_eq!(server.asked(), 0);

    story.stop_operator().await;
    story.start_operator().await;
    runs::<Deployment>(&story, "orders", 6).await;
    assert_ne!(server.asked(), 0);
}

#[rstest]
#[case::by_its_address("169.254.169.254:80", "adminMetric.endpoint leads to a link-local address")]
#[case::by_the_same_in_ipv6(
    "[::ffff:169.254.169.254]:80",
    "adminMetric.endpoint leads to a link-local address"
)]
#[case::by_a_name("localhost:80", "adminMetric.endpoint leads to a loopback address")]
#[tokio::test(flavor = "multi_thread")]
async fn the_metadata_of_a_cloud_is_out_of_reach(#[case] endpoint: &str, #[case] words: &str) {
    let story = closed("metadata").await;
    story.apply("orders", consumer(&by_admin(endpoint))).await;
    says(&story, words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_of_somebody_else_reaches_no_admin_on_loopback_either() {
    let gauge = Gauge::start().await;
    let mut story = Story::prepare("autoscaler").await;
    let dial = Policy::default();
    story.start_operator_with(Config { dial, trust: gauge.trust(), ..quick() }).await;
    let plain = json!({"pattern": "consumer", "kind": "Deployment", "backend": "memstore"});
    story.apply("orders", plain).await;
    let spec = json!({
        "targetRef": {"kind": "PrismPattern", "name": "orders"}, "maxReplicas": 9, "pollingInterval": 1,
        "metrics": [by_admin(&gauge.endpoint())],
    });
    story.put::<PrismAutoscaler>("orders", spec).await;
    let said = |object: &PrismAutoscaler| {
        let status = json!(object.status).to_string();
        if status.contains("adminMetric.endpoint leads to a loopback address") { Ok(()) } else { Err(status) }
    };
    story.object("orders", "says which field is refused", said).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_leads_nowhere() {
    let inside = Server::prometheus().await;
    let target = inside.url();
    let redirect = async move |State(asked): State<Arc<AtomicUsize>>| {
        asked.fetch_add(1, Ordering::SeqCst);
        Redirect::temporary(&target)
    };
    let server = Server::start(Router::new().fallback(redirect)).await;
    let story = Story::begin("redirect").await;
    story.apply("orders", consumer(&by_prometheus(&server.url()))).await;
    says(&story, "a redirect, which is not followed").await;
    assert_ne!(server.asked(), 0);
    assert_eq!(inside.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn four_mebibytes_of_error_are_a_short_sentence_in_the_status() {
    let shout = async || (StatusCode::INTERNAL_SERVER_ERROR, "secret".repeat(700_000));
    let server = Server::start(Router::new().fallback(get(shout))).await;
    let story = Story::begin("shout").await;
    story.apply("orders", consumer(&by_prometheus(&server.url()))).await;
    let pattern = says(&story, "the answer of Prometheus breaks off, or is too long").await;
    let status = json!(pattern.status).to_string();
    assert!(status.len() < 16 << 10 && !status.contains("secret"), "{status}");
}

#[rstest]
#[case::a_query("http://169.254.169.254/latest/meta-data/?x=", "has a query or a fragment")]
#[case::a_user("http://user:secret@prometheus:9090", "has a user or a password")]
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_would_swallow_the_path_is_refused(#[case] server: &str, #[case] words: &str) {
    let story = closed("query").await;
    story.apply("orders", consumer(&by_prometheus(server))).await;
    let stalled = story.condition("orders", condition::STALLED, "True", reason::INVALID_SPEC).await;
    let conditions = crate::support::conditions(&stalled);
    let message = &find(conditions, condition::STALLED).unwrap().message;
    assert!(
        message.contains("spec.autoscaling.metrics[0].prometheus.serverAddress") && message.contains(words)
    );
    assert!(!message.contains("secret"), "{message}");
}
