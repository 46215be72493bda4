//! What a `PrismAutoscaler` scales: workloads of patterns, and of anybody.

use axum::{Router, routing::get};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
};
use kube::api::DeleteParams;
use prism_api::{
    PrismAutoscaler,
    condition::{self, reason},
    stack::PrismStack,
};
use prism_plan::conditions::find;
use serde_json::{Value, json};

use crate::gauged::{Gauged, LAG, Path};

fn by_lag(gauged: &Gauged, kind: &str, name: &str, pattern: &str) -> Value {
    json!({
        "targetRef": {"kind": kind, "name": name}, "minReplicas": 1, "maxReplicas": 20, "pollingInterval": 1,
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        "metrics": [{"type": "AdminMetric", "adminMetric": {
            "metricName": LAG, "endpoint": gauged.endpoint(), "query": {"pattern": pattern},
            "target": {"averageValue": "100"},
        }}],
    })
}

fn foreign(name: &str, replicas: i32) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "registry.example.com/legacy:1"}]},
            },
        },
    }))
    .unwrap()
}

/// Waits until the condition of the autoscaler has that status and reason.
async fn judged(gauged: &Gauged, name: &str, type_: &str, status: &str, reason: &str) -> PrismAutoscaler {
    let what = format!("{name} has {type_}={status}, {reason}");
    let check = |object: &PrismAutoscaler| {
        let now = object.status.clone().unwrap_or_default();
        let found = find(&now.conditions, type_).is_some_and(|c| c.status == status && c.reason == reason);
        if found { Ok(()) } else { Err(json!(now).to_string()) }
    };
    gauged.story.object(name, &what, check).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_of_somebody_else_is_scaled_and_otherwise_left_alone() {
    let gauged = Gauged::begin("foreign").await;
    gauged.lag("legacy", 450.0);
    gauged.story.put::<PrismAutoscaler>("scaler", by_lag(&gauged, "Deployment", "legacy", "legacy")).await;
    judged(&gauged, "scaler", condition::READY, "False", reason::TARGET_NOT_FOUND).await;
    gauged.story.create(&foreign("legacy", 2)).await;
    gauged.runs::<Deployment>("legacy", 5).await;
    let scaler = judged(&gauged, "scaler", condition::READY, "True", reason::METRICS_READ).await;
    let status = scaler.status.unwrap();
    assert_eq!(status.desired_replicas, Some(5), "{status:?}");
    assert!(status.scaling.unwrap().message.contains(LAG));

    gauged.lag("legacy", 90.0);
    gauged.runs::<Deployment>("legacy", 1).await;
    let writes = gauged.story.writes();
    let others =
        writes.iter().filter(|write| write.resource == "deployments" && write.subresource != "scale");
    assert_eq!(others.count(), 0, "{writes:?}");

    gauged.story.api::<PrismAutoscaler>().delete("scaler", &DeleteParams::default()).await.unwrap();
    gauged.story.gone::<PrismAutoscaler>("scaler").await;
    gauged.lag("legacy", 900.0);
    let live = gauged.story.api::<Deployment>().get("legacy").await.unwrap();
    assert_eq!(live.spec.unwrap().replicas, Some(1), "nobody scales it any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_without_a_scaler_leaves_its_replicas_to_the_autoscaler_that_names_it() {
    let gauged = Gauged::begin("claimed").await;
    gauged.lag("orders", 600.0);
    let spec = json!({
        "pattern": "consumer", "backend": "memstore", "kind": "StatefulSet", "replicas": 2,
        "image": "registry.example.com/consumer:1",
    });
    gauged.story.apply("orders", spec.clone()).await;
    gauged.runs::<StatefulSet>("orders", 2).await;
    gauged.story.ready("orders").await;
    let path = Path::of::<StatefulSet>(gauged.story.api(), "orders");
    path.until(2).await;
    gauged.story.put::<PrismAutoscaler>("scaler", by_lag(&gauged, "PrismPattern", "orders", "orders")).await;
    path.until(6).await;
    // An edit of the pattern does not bring its own number back.
    let mut edited = spec.clone();
    edited["image"] = "registry.example.com/consumer:2".into();
    gauged.story.apply("orders", edited).await;
    gauged.story.ready("orders").await;
    assert_eq!(path.end(), [2, 6]);

    gauged.story.api::<PrismAutoscaler>().delete("scaler", &DeleteParams::default()).await.unwrap();
    gauged.runs::<StatefulSet>("orders", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_that_scales_itself_is_not_scaled_twice() {
    let gauged = Gauged::begin("twice").await;
    gauged.lag("orders", 300.0);
    let own = gauged.by_lag(1, 9, "100", &json!({}));
    let spec =
        json!({"pattern": "consumer", "kind": "Deployment", "backend": "memstore", "autoscaling": own});
    gauged.story.apply("orders", spec).await;
    gauged.runs::<Deployment>("orders", 3).await;
    gauged.story.put::<PrismAutoscaler>("scaler", by_lag(&gauged, "PrismPattern", "orders", "other")).await;
    judged(&gauged, "scaler", condition::SCALER_CONFLICT, "True", reason::FOREIGN_SCALER).await;
    gauged
        .story
        .apply("orders", json!({"pattern": "consumer", "kind": "Deployment", "backend": "memstore"}))
        .await;
    gauged.lag("other", 700.0);
    gauged.runs::<Deployment>("orders", 7).await;
    judged(&gauged, "scaler", condition::READY, "True", reason::METRICS_READ).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_autoscaler_is_reported_and_never_fought() {
    let gauged = Gauged::begin("rival").await;
    gauged.lag("orders", 300.0);
    let own = gauged.by_lag(1, 9, "100", &json!({}));
    gauged
        .story
        .apply(
            "orders",
            json!({"pattern": "consumer", "kind": "Deployment", "backend": "memstore", "autoscaling": own}),
        )
        .await;
    gauged.runs::<Deployment>("orders", 3).await;
    let rival: HorizontalPodAutoscaler = serde_json::from_value(json!({
        "metadata": {"name": "rival"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "orders"},
            "minReplicas": 4, "maxReplicas": 4,
        },
    }))
    .unwrap();
    gauged.story.create(&rival).await;
    gauged.story.condition("orders", condition::SCALER_CONFLICT, "True", reason::FOREIGN_SCALER).await;
    gauged.runs::<Deployment>("orders", 4).await;
    let mark = gauged.story.mark();
    gauged.lag("orders", 700.0);
    let api = gauged.story.api::<HorizontalPodAutoscaler>();
    api.delete("rival", &DeleteParams::default()).await.unwrap();
    gauged.runs::<Deployment>("orders", 7).await;
    let scaled = gauged.story.writes_since(mark).into_iter().filter(|write| write.subresource == "scale");
    assert_eq!(scaled.count(), 1);
    gauged
        .story
        .pattern("orders", "has no conflict any more", |pattern| {
            let conditions = crate::support::conditions(pattern);
            find(conditions, condition::SCALER_CONFLICT).is_none()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_of_a_stack_scales_by_metrics_of_an_admin() {
    let gauged = Gauged::begin("proxy").await;
    gauged.lag("shop-proxy", 400.0);
    let block = gauged.by_lag(1, 9, "100", &json!({}));
    let spec = json!({"admin": {"enabled": false}, "proxy": {"autoscaling": block}});
    gauged.story.put::<PrismStack>("shop", spec).await;
    gauged.runs::<Deployment>("shop-proxy", 4).await;
    gauged.story.stack_condition("shop", condition::SCALING_ACTIVE, "True", reason::METRICS_READ).await;
    let told = |stack: &PrismStack| {
        let components = stack.status.iter().flat_map(|status| &status.components);
        let mut proxies = components.filter(|part| part.name == "proxy");
        proxies.any(|proxy| proxy.scaling.as_ref().is_some_and(|scaling| scaling.desired_replicas == 4))
    };
    gauged.story.stack("shop", "says why its proxy has 4 replicas", told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_of_prometheus_is_a_metric_like_any_other() {
    // The answer of its HTTP API to an instant query, as documented.
    async fn answer() -> String {
        let now = k8s_openapi::jiff::Timestamp::now().as_second();
        let vector = json!([{"metric": {}, "value": [now, "5.9"]}]);
        json!({"status": "success", "data": {"resultType": "vector", "result": vector}}).to_string()
    }
    let gauged = Gauged::begin("prometheus").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/api/v1/query", get(answer));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let block = json!({
        "scaler": "admin", "minReplicas": 1, "maxReplicas": 9, "pollingInterval": 1,
        "metrics": [{"type": "Prometheus", "prometheus": {
            "serverAddress": server, "query": "sum(rate(orders_total[1m]))", "target": {"averageValue": "1"},
        }}],
    });
    gauged
        .story
        .apply(
            "orders",
            json!({"pattern": "consumer", "kind": "Deployment", "backend": "memstore", "autoscaling": block}),
        )
        .await;
    gauged.runs::<Deployment>("orders", 6).await;
    serving.abort();
    gauged.story.condition("orders", condition::SCALING_ACTIVE, "False", reason::METRICS_UNAVAILABLE).await;
    gauged.runs::<Deployment>("orders", 6).await;
}
