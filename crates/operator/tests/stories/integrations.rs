//! APIs that a cluster may or may not serve.

use std::time::Duration;

use k8s_openapi::{
    api::networking::v1::Ingress,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use prism_api::{PrismStack, condition, condition::reason};
use prism_plan::conditions::find;
use prism_testbed::{ThirdParty, definitions::third_party, eventually};
use serde_json::{Value, json};

use crate::{support::PATIENCE, world::World};

const MONITORING: &str = "monitoring.coreos.com";

fn spec(ingress: &Value) -> Value {
    json!({
        "admin": {"replicas": 1},
        "ingress": ingress,
        "observability": {
            "prometheus": {"scrapeInterval": "30s"}, "grafana": {"enabled": true},
            "tracing": {"endpoint": "http://collector:4317", "samplingPercentage": 25},
        },
        "patterns": [{"name": "cache", "type": "keyvalue", "backend": "memstore"}],
    })
}

fn api(world: &World, group: &str, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    Api::namespaced_with(world.client.clone(), "shop", &resource)
}

/// Waits until the object is there, or is not.
async fn see(
    world: &World,
    (group, kind, name): (&str, &str, &str),
    is_there: bool,
) -> Option<DynamicObject> {
    let api = api(world, group, kind);
    eventually(&format!("{kind} {name}: {is_there}"), PATIENCE, async || {
        let found = api.get_opt(name).await.ok().flatten();
        if found.is_some() == is_there { Ok(found) } else { Err("not so yet".to_owned()) }
    })
    .await
    .unwrap()
}

async fn integrations(world: &World, expected: Option<&str>) {
    world
        .see("shop", "main", &format!("misses {expected:?}"), |stack: Option<&PrismStack>| {
            let status = stack.and_then(|stack| stack.status.clone()).unwrap_or_default();
            let missing = find(&status.conditions, condition::INTEGRATIONS_AVAILABLE);
            let is_ready = find(&status.conditions, condition::READY).is_some_and(|c| c.status == "True");
            is_ready
                && match expected {
                    None => missing.is_none(),
                    Some(kind) => missing
                        .is_some_and(|c| c.reason == reason::API_NOT_INSTALLED && c.message.contains(kind)),
                }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_installed_later_is_used_within_seconds_and_what_goes_stops_nothing() {
    let world = World::begin().await;
    world.namespace("shop", None).await;
    let plain = json!({"className": "nginx", "host": "prism.example.com", "tls": {"issuerRef": {"name": "internal"}}});
    world.put::<PrismStack>("shop", "main", spec(&plain)).await;
    integrations(&world, Some("ServiceMonitor")).await;
    integrations(&world, Some("Certificate")).await;
    let ingress: Ingress = world.api("shop").get("main-proxy").await.unwrap();
    let ingress = json!(ingress.spec);
    assert_eq!(ingress["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"], "main-proxy");
    assert_eq!(ingress["tls"][0]["secretName"], "main-tls");

    let started = std::time::Instant::now();
    let names = world.define(third_party(ThirdParty::PrometheusOperator).await.unwrap()).await;
    let monitor = see(&world, (MONITORING, "ServiceMonitor", "main"), true).await.unwrap();
    assert_eq!(monitor.data["spec"]["endpoints"][0]["interval"], "30s");
    see(&world, (MONITORING, "PodMonitor", "main-patterns"), true).await;
    see(&world, (MONITORING, "PrometheusRule", "main"), true).await;
    assert!(started.elapsed() < Duration::from_secs(20), "within seconds: {:?}", started.elapsed());
    world.define(third_party(ThirdParty::CertManager).await.unwrap()).await;
    let certificate = see(&world, ("cert-manager.io", "Certificate", "main-tls"), true).await.unwrap();
    assert_eq!(certificate.data["spec"]["issuerRef"]["name"], "internal");
    integrations(&world, None).await;

    // A hand on somebody else's kind is repaired, too.
    let patch = Patch::Merge(json!({"spec": {"endpoints": []}}));
    let monitors = api(&world, MONITORING, "ServiceMonitor");
    monitors.patch("main", &PatchParams::default(), &patch).await.unwrap();
    eventually("the monitor is as it was", PATIENCE, async || {
        let now = monitors.get("main").await.map_err(|error| error.to_string())?;
        if now.data["spec"]["endpoints"][0]["port"] == "metrics" { Ok(()) } else { Err(now.data.to_string()) }
    })
    .await
    .unwrap();

    // A route through a Gateway in place of the Ingress.
    world.define(third_party(ThirdParty::GatewayApi).await.unwrap()).await;
    let gateway = json!({"host": "prism.example.com", "gateway": {"name": "edge", "namespace": "gateways"}});
    world.put::<PrismStack>("shop", "main", spec(&gateway)).await;
    let route = see(&world, ("gateway.networking.k8s.io", "GRPCRoute", "main-proxy"), true).await.unwrap();
    assert_eq!(route.data["spec"]["parentRefs"][0]["namespace"], "gateways");
    world.see("shop", "main-proxy", "is gone", |ingress: Option<&Ingress>| ingress.is_none()).await;
    see(&world, ("cert-manager.io", "Certificate", "main-tls"), false).await;

    // The definitions go: the stack says so, and runs on.
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    for name in names {
        definitions.delete(&name, &DeleteParams::default()).await.unwrap();
    }
    integrations(&world, Some("ServiceMonitor")).await;
    let (code, complaints) = world.operator.get("/readyz").await;
    assert_eq!(code, 200, "{complaints}");
    // The operator may see its own report a moment later than the story does.
    let expected = [
        r#"prism_cluster_phase{namespace="shop",cluster="main",phase="running"} 1"#,
        r#"prism_cluster_components_ready{namespace="shop",cluster="main",component="admin"} 1"#,
    ];
    eventually("the metrics say so, too", PATIENCE, async || {
        let (_, metrics) = world.operator.get("/metrics").await;
        if expected.iter().all(|line| metrics.contains(line)) { Ok(()) } else { Err(metrics) }
    })
    .await
    .unwrap();
    world.end().await;
}
