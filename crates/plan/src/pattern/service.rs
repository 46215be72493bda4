//! How the pods are reached.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use prism_api::workload::WorkloadKind;

use super::{child::metadata, profile, resolved::ResolvedPattern};

/// The Service named after the workload.
pub(super) fn build(pattern: &ResolvedPattern) -> Service {
    let wish = pattern.spec.service.clone().unwrap_or_default();
    let mut metadata = metadata(pattern, &pattern.workload);
    metadata.annotations = (!wish.annotations.is_empty()).then_some(wish.annotations);
    metadata.labels.get_or_insert_default().extend(without_ours(pattern, wish.labels));
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(wish.type_.map_or("ClusterIP", |type_| type_.as_str()).to_owned()),
            selector: Some(pattern.pod_selector.clone()),
            ports: Some(vec![ServicePort { node_port: wish.node_port, ..port(pattern) }]),
            load_balancer_class: wish.load_balancer_class,
            load_balancer_source_ranges: (!wish.load_balancer_source_ranges.is_empty())
                .then_some(wish.load_balancer_source_ranges),
            external_traffic_policy: wish.external_traffic_policy.map(|policy| format!("{policy:?}")),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// The headless Service that gives each pod of a `StatefulSet` its DNS name. It publishes pods that
/// are not ready, because peers look for each other before they are.
pub(super) fn build_headless(pattern: &ResolvedPattern) -> Option<Service> {
    (pattern.kind.value == WorkloadKind::StatefulSet).then(|| Service {
        metadata: metadata(pattern, &headless_name(pattern)),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(pattern.pod_selector.clone()),
            ports: Some(vec![port(pattern)]),
            publish_not_ready_addresses: Some(true),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    })
}

/// Name of the headless Service.
pub(super) fn headless_name(pattern: &ResolvedPattern) -> String {
    pattern.service_name("headless")
}

fn port(pattern: &ResolvedPattern) -> ServicePort {
    ServicePort {
        name: Some(profile::PORT_NAME.to_owned()),
        port: pattern.port,
        target_port: Some(IntOrString::String(profile::PORT_NAME.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}

fn without_ours(
    pattern: &ResolvedPattern,
    labels: std::collections::BTreeMap<String, String>,
) -> impl Iterator<Item = (String, String)> {
    labels.into_iter().filter(|(key, _)| !pattern.labels.contains_key(key))
}
