//! Plans of whole edges.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const ALL: Apis = Apis {
    service_monitors: true,
    pod_monitors: true,
    prometheus_rules: true,
    certificates: true,
    grpc_routes: true,
};
const NONE: Apis = Apis {
    service_monitors: false,
    pod_monitors: false,
    prometheus_rules: false,
    certificates: false,
    grpc_routes: false,
};

/// Calls `look` with the edge of the stack `demo`, or of a longer name, that has these blocks.
fn with_edge<T>(stack: &str, blocks: &Value, apis: Apis, look: impl FnOnce(&Edge) -> T) -> T {
    let ingress: Option<IngressSpec> = serde_json::from_value(blocks["ingress"].clone()).unwrap();
    let observability: Option<Observability> =
        serde_json::from_value(blocks["observability"].clone()).unwrap();
    let owner = OwnerReference {
        api_version: "prism.io/v1alpha1".into(),
        kind: "PrismStack".into(),
        name: stack.into(),
        uid: "0000-1111".into(),
        ..OwnerReference::default()
    };
    look(&Edge {
        stack,
        namespace: "shop",
        labels: &BTreeMap::from([("prism.io/stack".to_owned(), stack.to_owned())]),
        owner: &owner,
        proxy_service: "demo-proxy",
        proxy_port: 8980,
        ingress: ingress.as_ref(),
        observability: observability.as_ref(),
        pattern_namespaces: &["orders".to_owned(), "analytics".to_owned(), "orders".to_owned()],
        metrics_port: 9090,
        apis,
    })
}

fn planned(blocks: &Value, apis: Apis) -> (Children, Vec<Missing>) {
    with_edge("demo", blocks, apis, |edge| {
        check(edge).unwrap();
        plan(edge)
    })
}

/// All children that there are, by kind.
fn shown(children: &Children) -> Value {
    let Children { ingress, route, certificate, service_monitor, pod_monitor, rule, dashboard } = children;
    let mut all = json!({
        "Ingress": ingress, "GRPCRoute": route, "Certificate": certificate, "ServiceMonitor": service_monitor,
        "PodMonitor": pod_monitor, "PrometheusRule": rule, "dashboard": dashboard,
    });
    all.as_object_mut().unwrap().retain(|_, child| !child.is_null());
    all
}

fn kinds(missing: &[Missing]) -> Vec<&str> {
    missing.iter().map(|missing| missing.kind).collect()
}

fn ingress(spec: impl Into<Value>) -> Value {
    json!({"ingress": spec.into()})
}

fn observability(spec: impl Into<Value>) -> Value {
    json!({"observability": spec.into()})
}

#[rstest]
#[case::no_blocks(json!({}))]
#[case::ingress_off(ingress(json!({"enabled": false, "host": "prism.local", "gateway": {"name": "edge"}})))]
#[case::observability_off(observability(json!({"enabled": false, "prometheus": {}, "grafana": {}})))]
#[case::each_block_off(observability(json!({"prometheus": {"enabled": false}, "grafana": {"enabled": false}})))]
#[case::other_blocks_only(observability(json!({"tracing": {}, "metrics": {"port": 9100}, "loki": {}})))]
fn what_is_not_asked_for_is_neither_built_nor_missed(#[case] blocks: Value) {
    assert_eq!(planned(&blocks, NONE), (Children::default(), Vec::new()));
}

#[test]
fn an_ingress_with_class_host_and_annotations() {
    let annotations = json!({"nginx.ingress.kubernetes.io/backend-protocol": "GRPC"});
    let spec =
        json!({"enabled": true, "className": "nginx", "host": "prism.local", "annotations": annotations});
    let (children, missing) = planned(&ingress(spec), NONE);
    assert_eq!(missing, []);
    insta::assert_yaml_snapshot!(shown(&children));
}

#[test]
fn an_ingress_without_anything_takes_every_host() {
    let (children, _) = planned(&ingress(json!({})), ALL);
    insta::assert_yaml_snapshot!(json!(children.ingress.unwrap().spec));
}

#[rstest]
#[case::by_name(json!({"secretName": "own"}), json!([{"hosts": ["prism.local"], "secretName": "own"}]))]
#[case::by_default(json!({}), json!([{"hosts": ["prism.local"], "secretName": "demo-tls"}]))]
#[case::off(json!({"enabled": false, "secretName": "own"}), Value::Null)]
fn tls_with_a_secret_needs_no_certificate(#[case] tls: Value, #[case] expected: Value) {
    let (children, missing) = planned(&ingress(json!({"host": "prism.local", "tls": tls})), ALL);
    assert_eq!(json!(children.ingress.unwrap().spec.unwrap().tls), expected);
    assert_eq!((children.certificate, missing), (None, vec![]));
}

#[test]
fn an_issuer_signs_the_certificate_that_the_ingress_uses() {
    let tls = json!({"issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"}});
    let (children, missing) = planned(&ingress(json!({"host": "prism.local", "tls": tls})), ALL);
    assert_eq!(missing, []);
    insta::assert_yaml_snapshot!(shown(&children));
}

#[test]
fn without_cert_manager_the_ingress_keeps_its_secret_and_the_certificate_is_missed() {
    let tls = json!({"secretName": "own", "issuerRef": {"name": "letsencrypt"}});
    let blocks = ingress(json!({"host": "prism.local", "tls": tls}));
    let (with, _) = planned(&blocks, ALL);
    let (without, missing) = planned(&blocks, NONE);
    assert_eq!(json!(with.certificate.as_ref().unwrap().spec.issuer_ref)["kind"], "Issuer");
    assert_eq!(with.certificate.as_ref().unwrap().name(), "own");
    assert_eq!((without.certificate, without.ingress), (None, with.ingress));
    assert_eq!((missing[0].kind, missing[0].group), ("Certificate", "cert-manager.io"));
    assert!(missing[0].remedy.contains("spec.ingress.tls.issuerRef"), "{missing:?}");
}

#[test]
fn a_gateway_gets_a_route_in_place_of_an_ingress() {
    let gateway = json!({"name": "edge", "namespace": "infra", "sectionName": "grpc"});
    let spec = json!({"host": "prism.local", "annotations": {"team": "data"}, "gateway": gateway});
    let (children, missing) = planned(&ingress(spec), ALL);
    assert_eq!(missing, []);
    insta::assert_yaml_snapshot!(shown(&children));
}

#[test]
fn a_route_without_host_says_nothing_that_is_not_in_the_spec() {
    let (children, _) = planned(&ingress(json!({"gateway": {"name": "edge"}})), ALL);
    insta::assert_yaml_snapshot!(json!(children.route.unwrap().spec));
}

#[test]
fn without_the_gateway_api_the_route_is_missed_and_no_ingress_stands_in() {
    let (children, missing) = planned(&ingress(json!({"gateway": {"name": "edge"}})), NONE);
    assert_eq!(children, Children::default());
    assert_eq!((missing[0].kind, missing[0].group), ("GRPCRoute", "gateway.networking.k8s.io"));
    assert!(missing[0].remedy.contains("spec.ingress.gateway"), "{missing:?}");
}

#[rstest]
#[case::issuer_without_host(
    ingress(json!({"tls": {"issuerRef": {"name": "letsencrypt"}}})),
    "spec.ingress.host: name the host that the certificate is for, or remove spec.ingress.tls.issuerRef"
)]
#[case::tls_with_gateway(
    ingress(json!({"host": "prism.local", "gateway": {"name": "edge"}, "tls": {}})),
    "spec.ingress.tls: with spec.ingress.gateway, encryption is up to the listener of the Gateway: \
     configure it there, and remove this block"
)]
#[case::interval_that_prometheus_cannot_read(
    observability(json!({"prometheus": {"scrapeInterval": "1.5m"}})),
    "spec.observability.prometheus.scrapeInterval: Prometheus takes whole numbers above 0, the largest unit \
     first: write it as in 30s or 1m30s"
)]
#[case::interval_of_nothing(
    observability(json!({"prometheus": {"scrapeInterval": "0s"}})),
    "spec.observability.prometheus.scrapeInterval: Prometheus takes whole numbers above 0, the largest unit \
     first: write it as in 30s or 1m30s"
)]
fn contradictions_name_the_field_and_the_way_out(#[case] blocks: Value, #[case] expected: &str) {
    assert_eq!(with_edge("demo", &blocks, ALL, check).unwrap_err().to_string(), expected);
}

#[rstest]
#[case::ingress_off(ingress(json!({"enabled": false, "tls": {"issuerRef": {"name": "letsencrypt"}}})))]
#[case::tls_off(ingress(json!({"gateway": {"name": "edge"}, "tls": {"enabled": false}})))]
#[case::issuer_off(ingress(json!({"tls": {"enabled": false, "issuerRef": {"name": "letsencrypt"}}})))]
#[case::prometheus_off(observability(json!({"prometheus": {"enabled": false, "scrapeInterval": "0s"}})))]
fn a_block_that_is_off_contradicts_nothing(#[case] blocks: Value) {
    assert_eq!(with_edge("demo", &blocks, ALL, check), Ok(()));
}

#[test]
fn prometheus_gets_monitors_and_alerts() {
    let (children, missing) = planned(&observability(json!({"prometheus": {"scrapeInterval": "30s"}})), ALL);
    assert_eq!(missing, []);
    insta::assert_yaml_snapshot!(shown(&children));
}

#[test]
fn monitors_follow_the_path_of_the_metrics_and_leave_the_interval_to_prometheus() {
    let spec = json!({"metrics": {"path": "/stats"}, "prometheus": {}});
    let (children, _) = planned(&observability(spec), ALL);
    let endpoints = json!(children.service_monitor.unwrap().spec.endpoints);
    assert_eq!(endpoints, json!([{"port": "metrics", "path": "/stats"}]));
    let endpoints = json!(children.pod_monitor.unwrap().spec.pod_metrics_endpoints);
    assert_eq!(endpoints, json!([{"portNumber": 9090, "path": "/stats"}]));
}

#[rstest]
#[case::none(NONE, &["ServiceMonitor", "PodMonitor", "PrometheusRule"])]
#[case::without_alerts(Apis { prometheus_rules: false, ..ALL }, &["PrometheusRule"])]
#[case::all(ALL, &[])]
fn monitors_that_the_cluster_lacks_are_missed(#[case] apis: Apis, #[case] expected: &[&str]) {
    let (children, missing) = planned(&observability(json!({"prometheus": {}, "grafana": {}})), apis);
    assert_eq!(kinds(&missing), expected);
    assert!(missing.iter().all(|missing| missing.remedy.contains("spec.observability.prometheus.enabled")));
    assert_eq!(children.service_monitor.is_some(), apis.service_monitors);
    assert_eq!(children.pod_monitor.is_some(), apis.pod_monitors);
    assert_eq!(children.rule.is_some(), apis.prometheus_rules);
    assert!(children.dashboard.is_some(), "the dashboard needs no optional API");
}

#[test]
fn the_dashboard_is_one_json_file_that_grafana_finds() {
    let (children, missing) = planned(&observability(json!({"grafana": {}})), NONE);
    assert_eq!(missing, []);
    let object = children.dashboard.unwrap();
    assert_eq!(object.metadata.name.as_deref(), Some("demo-dashboard"));
    assert_eq!(object.metadata.labels.unwrap()["grafana_dashboard"], "1");
    let files = object.data.unwrap();
    let dashboard: Value = serde_json::from_str(&files["prism-shop-demo.json"]).unwrap();
    assert_eq!((files.len(), &dashboard["schemaVersion"]), (1, &json!(39)));
    insta::assert_yaml_snapshot!(dashboard);
}

#[test]
fn names_of_the_longest_stacks_are_shortened() {
    let blocks = json!({
        "ingress": {"host": "prism.local", "tls": {"issuerRef": {"name": "letsencrypt"}}},
        "observability": {"prometheus": {}, "grafana": {}},
    });
    let stack = "x".repeat(63);
    let (children, _) = with_edge(&stack, &blocks, ALL, plan);
    let shown = shown(&children);
    let names = shown.as_object().unwrap().values().map(|child| child["metadata"]["name"].as_str().unwrap());
    assert_eq!(names.clone().count(), 6);
    assert!(names.clone().all(|name| name.len() <= 63), "{:?}", names.collect::<Vec<_>>());
}
