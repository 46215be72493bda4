//! How the pods are reached.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use prism_api::workload::WorkloadKind;

use super::{Port, Program, children::metadata};

/// The Service named after the workload.
pub(super) fn build(program: &Program) -> Service {
    let wish = program.service.clone();
    let mut metadata = metadata(program, &program.name);
    metadata.annotations = (!wish.annotations.is_empty()).then_some(wish.annotations);
    metadata.labels.get_or_insert_default().extend(without_ours(program, wish.labels));
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(wish.type_.map_or("ClusterIP", |type_| type_.as_str()).to_owned()),
            selector: Some(program.pod_selector.clone()),
            ports: Some(ports(program, wish.node_port)),
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
pub(super) fn build_headless(program: &Program) -> Option<Service> {
    (program.kind == WorkloadKind::StatefulSet).then(|| Service {
        metadata: metadata(program, &program.headless_name()),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(program.pod_selector.clone()),
            ports: Some(ports(program, None)),
            publish_not_ready_addresses: Some(true),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    })
}

/// The port that clients use comes first, and is the one that a node port leads to.
fn ports(program: &Program, node_port: Option<i32>) -> Vec<ServicePort> {
    let port = |(index, port): (usize, &Port)| ServicePort {
        name: Some(port.name.to_owned()),
        port: port.number,
        target_port: Some(IntOrString::String(port.name.to_owned())),
        protocol: Some("TCP".to_owned()),
        node_port: node_port.filter(|_| index == 0),
        ..ServicePort::default()
    };
    program.ports.iter().enumerate().map(port).collect()
}

fn without_ours(
    program: &Program,
    labels: std::collections::BTreeMap<String, String>,
) -> impl Iterator<Item = (String, String)> {
    labels.into_iter().filter(|(key, _)| !program.labels.contains_key(key))
}
