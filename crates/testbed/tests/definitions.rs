//! The real definitions of third-party kinds, in a real cluster.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod support;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client, ResourceExt};
use prism_testbed::definitions::{self, third_party};
use prism_testbed::{Programs, Progress, ScopedCluster, ThirdParty};
use serde_json::{Value, json};
use support::{options, testbed};

/// Writes the definitions of one project and returns their names when the cluster serves them.
async fn install(client: &Client, which: ThirdParty) -> Vec<String> {
    let definitions = third_party(which).await.unwrap();
    definitions::install(client, "prism-testbed", &definitions).await.unwrap();
    definitions.iter().map(ResourceExt::name_any).collect()
}

/// Creates an object of a third-party kind in the namespace `default`.
async fn create(client: &Client, (group, kind): (&str, &str), spec: Value) -> kube::Result<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    let api: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &resource);
    let object = DynamicObject::new("minimal", &resource).data(json!({ "spec": spec }));
    api.create(&PostParams::default(), &object).await
}

/// In a cluster of its own: other tests rely on these kinds being absent.
#[tokio::test(flavor = "multi_thread")]
async fn third_party_kinds_can_be_installed_and_their_real_schema_judges() {
    testbed().await;
    let programs = Programs::ensure(&Progress::silent()).unwrap();
    let cluster = ScopedCluster::start(&programs, &options(), &Progress::silent()).await.unwrap();
    let client = cluster.client().await.unwrap();

    let mut names = Vec::new();
    for which in ThirdParty::ALL {
        names.extend(install(&client, which).await);
    }
    assert_eq!(
        names,
        [
            "servicemonitors.monitoring.coreos.com",
            "podmonitors.monitoring.coreos.com",
            "prometheusrules.monitoring.coreos.com",
            "certificates.cert-manager.io",
            "grpcroutes.gateway.networking.k8s.io",
            "scaledobjects.keda.sh",
            "scaledjobs.keda.sh",
            "triggerauthentications.keda.sh",
            "clustertriggerauthentications.keda.sh",
            "cloudeventsources.eventing.keda.sh",
            "clustercloudeventsources.eventing.keda.sh",
        ]
    );

    let service_monitor = ("monitoring.coreos.com", "ServiceMonitor");
    let spec =
        json!({ "selector": { "matchLabels": { "app": "web" } }, "endpoints": [{ "port": "metrics" }] });
    create(&client, service_monitor, spec).await.unwrap();

    let pod_monitor = ("monitoring.coreos.com", "PodMonitor");
    let spec = json!({ "selector": {}, "podMetricsEndpoints": [{ "port": "metrics" }] });
    create(&client, pod_monitor, spec).await.unwrap();

    let rule = ("monitoring.coreos.com", "PrometheusRule");
    let spec = json!({ "groups": [{ "name": "web", "rules": [{ "alert": "Down", "expr": "up == 0" }] }] });
    create(&client, rule, spec).await.unwrap();

    let route = ("gateway.networking.k8s.io", "GRPCRoute");
    let spec = json!({
        "parentRefs": [{ "name": "gateway" }],
        "rules": [{ "backendRefs": [{ "name": "web", "port": 50051 }] }],
    });
    let route = create(&client, route, spec).await.unwrap();
    let parent = &route.data["spec"]["parentRefs"][0];
    assert_eq!(parent["kind"], "Gateway", "the schema fills in what was left out");

    let certificate = ("cert-manager.io", "Certificate");
    let incomplete = json!({ "dnsNames": ["web.example"], "issuerRef": { "name": "issuer" } });
    let refusal = create(&client, certificate, incomplete.clone()).await.unwrap_err();
    assert!(refusal.to_string().contains("spec.secretName: Required value"), "{refusal}");
    let mut complete = incomplete;
    complete["secretName"] = "web-tls".into();
    create(&client, certificate, complete).await.unwrap();

    cluster.stop();
}
