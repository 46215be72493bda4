//! What surrounds a stack: the route from outside, and what monitoring needs to see it.
//!
//! Parts of it are kinds that a cluster may lack. Those are left out where they are not served, and
//! reported as [`Missing`], so that the rest of the stack comes up all the same.

mod alerts;
mod certificate;
mod dashboard;
mod ingress;
mod monitors;
mod route;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{core::v1::ConfigMap, networking::v1::Ingress},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use prism_api::{
    ingress::{IngressSpec, IngressTls},
    observability::{Observability, Prometheus},
};

use crate::types::{Certificate, Definition, GrpcRoute, Object, PodMonitor, PrometheusRule, ServiceMonitor};
use crate::{invalid::Invalid, text::bounded};

/// On the Service that clients use of each component, `"true"`: metrics are scraped through this one.
/// The headless Service leads to the same pods, and would have them counted twice.
pub const METRICS_LABEL: &str = "prism.io/metrics";

/// Names that end up in labels and in DNS are not longer.
const NAME_LIMIT: usize = 63;

/// A stack, as far as its edge is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Edge<'a> {
    /// Name of the stack.
    pub stack: &'a str,
    /// Its namespace, and that of every child.
    pub namespace: &'a str,
    /// Labels of every child of the stack.
    pub labels: &'a BTreeMap<String, String>,
    /// What `metadata.ownerReferences` of every child says.
    pub owner: &'a OwnerReference,
    /// Name of the Service in front of the proxy.
    pub proxy_service: &'a str,
    /// Its port for clients.
    pub proxy_port: i32,
    /// `spec.ingress`.
    pub ingress: Option<&'a IngressSpec>,
    /// `spec.observability`.
    pub observability: Option<&'a Observability>,
    /// Namespaces other than the stack's own in which its patterns run.
    pub pattern_namespaces: &'a [String],
    /// Port on which runners of patterns serve metrics.
    pub metrics_port: i32,
    /// Which optional APIs the cluster serves.
    pub apis: Apis,
}

/// Which optional APIs the cluster serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one API, and any of them may be there")]
pub struct Apis {
    /// `ServiceMonitor` of `monitoring.coreos.com/v1`.
    pub service_monitors: bool,
    /// `PodMonitor` of `monitoring.coreos.com/v1`.
    pub pod_monitors: bool,
    /// `PrometheusRule` of `monitoring.coreos.com/v1`.
    pub prometheus_rules: bool,
    /// `Certificate` of `cert-manager.io/v1`.
    pub certificates: bool,
    /// `GRPCRoute` of `gateway.networking.k8s.io/v1`.
    pub grpc_routes: bool,
}

/// Everything at the edge. Destructure it without `..`: then a child that is added here and
/// forgotten elsewhere does not compile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Children {
    /// The way in, through an ingress controller.
    pub ingress: Option<Ingress>,
    /// The way in, through a Gateway.
    pub route: Option<GrpcRoute>,
    /// The certificate of the host, for the Ingress.
    pub certificate: Option<Certificate>,
    /// Scraping of admin, proxy and web console.
    pub service_monitor: Option<ServiceMonitor>,
    /// Scraping of the runners of patterns.
    pub pod_monitor: Option<PodMonitor>,
    /// Alerts about the stack.
    pub rule: Option<PrometheusRule>,
    /// A dashboard for Grafana.
    pub dashboard: Option<ConfigMap>,
}

/// An optional API that is asked for and not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Kind of the object that was left out, such as `ServiceMonitor`.
    pub kind: &'static str,
    /// Its API group.
    pub group: &'static str,
    /// What to install, or which field switches it off.
    pub remedy: &'static str,
    /// Why it is not served, where more is known than that it is not.
    pub why: Option<String>,
}

/// What should exist, and what cannot exist here.
#[must_use]
pub fn plan(edge: &Edge) -> (Children, Vec<Missing>) {
    let apis = edge.apis;
    let mut missing = Vec::new();
    let children = Children {
        ingress: ingress::build(edge),
        route: served(route::build(edge), apis.grpc_routes, route::REMEDY, &mut missing),
        certificate: served(certificate::build(edge), apis.certificates, certificate::REMEDY, &mut missing),
        service_monitor: served(
            monitors::of_services(edge),
            apis.service_monitors,
            monitors::REMEDY,
            &mut missing,
        ),
        pod_monitor: served(monitors::of_pods(edge), apis.pod_monitors, monitors::REMEDY, &mut missing),
        rule: served(alerts::build(edge), apis.prometheus_rules, monitors::REMEDY, &mut missing),
        dashboard: dashboard::build(edge),
    };
    (children, missing)
}

/// Whether the blocks can be followed.
///
/// # Errors
/// When they contradict themselves in a way that the schema cannot see.
pub fn check(edge: &Edge) -> Result<(), Invalid> {
    route::check(edge)?;
    certificate::check(edge)?;
    monitors::check(edge)
}

/// `object`, unless its kind is not served: then it is counted as missing.
fn served<S: Definition>(
    object: Option<Object<S>>,
    is_served: bool,
    remedy: &'static str,
    missing: &mut Vec<Missing>,
) -> Option<Object<S>> {
    if object.is_some() && !is_served {
        missing.push(Missing { kind: S::KIND, group: S::GROUP, remedy, why: None });
        return None;
    }
    object
}

impl<'a> Edge<'a> {
    /// The way in, if it is open.
    fn way_in(&self) -> Option<&'a IngressSpec> {
        self.ingress.filter(|ingress| ingress.enabled.unwrap_or(true))
    }

    /// The way in, if it is an Ingress.
    fn open_ingress(&self) -> Option<&'a IngressSpec> {
        self.way_in().filter(|ingress| ingress.gateway.is_none())
    }

    /// The block on metrics, traces and logs, if it counts.
    fn observed(&self) -> Option<&'a Observability> {
        self.observability.filter(|observability| observability.is_enabled())
    }

    /// The block on Prometheus, if it counts.
    fn scraped(&self) -> Option<&'a Prometheus> {
        let prometheus = self.observed()?.prometheus.as_ref();
        prometheus.filter(|prometheus| prometheus.enabled.unwrap_or(true))
    }

    /// Name of the Ingress or route.
    fn way_in_name(&self) -> String {
        self.name("-proxy")
    }

    /// The stack's name and `suffix`, as the name of a child.
    fn name(&self, suffix: &str) -> String {
        bounded(&format!("{}{suffix}", self.stack), NAME_LIMIT)
    }

    /// Metadata of a child named `name`.
    fn metadata(&self, name: String) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.to_owned()),
            labels: Some(self.labels.clone()),
            owner_references: Some(vec![self.owner.clone()]),
            ..ObjectMeta::default()
        }
    }

    /// Labels by which `PromQL` finds the gauges of the stack, and `further` ones.
    fn gauges(&self, further: &str) -> String {
        format!(r#"{{namespace="{}",cluster="{}"{further}}}"#, self.namespace, self.stack)
    }
}

/// Encryption, if it is on.
fn encryption(ingress: &IngressSpec) -> Option<&IngressTls> {
    ingress.tls.as_ref().filter(|tls| tls.enabled.unwrap_or(true))
}
