//! Autoscalers that ask the operator for metrics, through the API server and over TLS.

use std::net::SocketAddr;

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Secret, Service},
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use prism_admin::Fault;
use prism_api::{
    PrismPattern,
    condition::{self, reason},
};
use prism_operator::{Config, ExternalMetricsConfig, OutletConfig, ServiceAddress};
use prism_plan::conditions::find;
use prism_proto::prism::metrics::v1::PatternRef;
use prism_testbed::Options;
use serde_json::{Value, json};

use crate::{
    gauged::{Gauge, LAG, Scaled},
    support::quick,
    world::World,
};

const HOME: &str = "prism-system";
const API: &str = "v1beta1.external.metrics.k8s.io";

/// An operator that answers autoscalers, and the way to it: a Service of the cluster that leads to loopback.
async fn world(gauge: &Gauge) -> World {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let service =
        ServiceAddress { namespace: HOME.to_owned(), name: "prism-operator".to_owned(), port: None };
    let outlets = OutletConfig {
        namespace: HOME.to_owned(),
        external_metrics: Some(ExternalMetricsConfig { listen: any, service: Some(service) }),
        ..OutletConfig::default()
    };
    let options = Options { hpa_fast: true, ..Options::default() };
    let config = Config { outlets, trust: gauge.trust(), ..quick() };
    let world = World::begin_with(options, config).await;
    world.namespace(HOME, None).await;
    let way: Service = serde_json::from_value(json!({
        "metadata": {"name": "prism-operator"}, "spec": {"type": "ExternalName", "externalName": "localhost"},
    }))
    .unwrap();
    world.api::<Service>(HOME).create(&PostParams::default(), &way).await.unwrap();
    world
}

fn consumer(gauge: &Gauge) -> Value {
    let block = gauge.by_lag(1, 20, "100", &json!({"via": "hpa"}));
    json!({"pattern": "consumer", "kind": "Deployment", "backend": "memstore", "autoscaling": block})
}

async fn runs(world: &World, replicas: i32) {
    let what = format!("orders has {replicas} replicas");
    world
        .see::<Deployment>("shop", "orders", &what, |found| found.map(Scaled::wanted) == Some(replicas))
        .await;
}

async fn judged(world: &World, status: &str, reason: &str, words: &str) {
    let what = format!("ScalingActive is {status}, {reason}, {words}");
    let check = |pattern: Option<&PrismPattern>| {
        let conditions = pattern.and_then(|pattern| Some(pattern.status.as_ref()?.conditions.as_slice()));
        find(conditions.unwrap_or_default(), condition::SCALING_ACTIVE)
            .is_some_and(|c| c.status == status && c.reason == reason && c.message.contains(words))
    };
    world.see::<PrismPattern>("shop", "orders", &what, check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_autoscaler_scales_by_what_the_operator_answers() {
    let gauge = Gauge::start().await;
    let world = world(&gauge).await;
    world.namespace("shop", None).await;
    let lag = |value| gauge.report(PatternRef::new("shop", "orders"), LAG, value);
    lag(450.0);
    world.put::<PrismPattern>("shop", "orders", consumer(&gauge)).await;
    runs(&world, 5).await;
    judged(&world, "True", "ValidMetricFound", "").await;
    world
        .see::<PrismPattern>("shop", "orders", "says why 5", |pattern| {
            let scaling = pattern.and_then(|pattern| pattern.status.as_ref()?.scaling.as_ref());
            scaling.is_some_and(|scaling| {
                scaling.desired_replicas == 5 && scaling.decided_by.as_deref() == Some(LAG)
            })
        })
        .await;

    // What is not known is no zero: nothing goes down.
    gauge.admin().faults().set(Fault::Hung);
    lag(10.0);
    judged(&world, "False", "FailedGetExternalMetric", "").await;
    runs(&world, 5).await;
    gauge.admin().faults().clear();
    runs(&world, 1).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_of_somebody_else_is_not_taken_and_its_end_opens_the_way() {
    let gauge = Gauge::start().await;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    // Without the outlet, the pattern says which flag opens it.
    let closed = Config { trust: gauge.trust(), ..quick() };
    let world = World::begin_with(Options { hpa_fast: true, ..Options::default() }, closed).await;
    world.namespace("shop", None).await;
    gauge.report(PatternRef::new("shop", "orders"), LAG, 250.0);
    world.put::<PrismPattern>("shop", "orders", consumer(&gauge)).await;
    judged(&world, "False", reason::OUTLET_CLOSED, "--external-metrics-bind-address").await;
    let secrets: Api<Secret> = Api::all(world.client.clone());
    let found = secrets.list(&kube::api::ListParams::default()).await.unwrap();
    assert_eq!(found.items.len(), 0, "no certificate is made for nobody");

    let apis: Api<APIService> = Api::all(world.client.clone());
    let rival: APIService = serde_json::from_value(json!({
        "metadata": {"name": API, "labels": {"app.kubernetes.io/managed-by": "somebody"}},
        "spec": {
            "group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100,
            "versionPriority": 100, "insecureSkipTLSVerify": true,
            "service": {"namespace": "elsewhere", "name": "adapter"},
        },
    }))
    .unwrap();
    apis.create(&PostParams::default(), &rival).await.unwrap();
    let outlets = OutletConfig {
        namespace: HOME.to_owned(),
        external_metrics: Some(ExternalMetricsConfig { listen: any, service: None }),
        ..OutletConfig::default()
    };
    world.namespace(HOME, None).await;
    let open = Config { outlets, trust: gauge.trust(), ..quick() };
    let world = world.with_operator(open).await;
    judged(&world, "False", reason::OUTLET_CLOSED, "elsewhere/adapter").await;
    let managers = apis.get(API).await.unwrap().metadata.managed_fields.unwrap_or_default();
    let is_ours = |manager: &str| manager.starts_with("prism-operator");
    assert!(!managers.iter().any(|entry| entry.manager.as_deref().is_some_and(is_ours)), "{managers:?}");
    apis.delete(API, &DeleteParams::default()).await.unwrap();
    world.see::<HorizontalPodAutoscaler>("shop", "orders", "exists", |found| found.is_some()).await;
    world.end().await;
}
