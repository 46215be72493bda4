//! Monitors and alerts of the Prometheus operator.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Serialize;

use super::{Definition, Object};

/// Services whose endpoints are scraped.
pub type ServiceMonitor = Object<ServiceMonitorSpec>;
/// Pods that are scraped.
pub type PodMonitor = Object<PodMonitorSpec>;
/// Alerts.
pub type PrometheusRule = Object<PrometheusRuleSpec>;

/// Which Services are scraped, in the namespace of the monitor, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMonitorSpec {
    /// Labels of the Services.
    pub selector: LabelSelector,
    /// Their ports.
    pub endpoints: Vec<ServiceEndpoint>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServiceEndpoint {
    /// Name of the port.
    pub port: &'static str,
    /// Path of the metrics.
    pub path: String,
    /// Time between two scrapes; that of Prometheus if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
}

/// Which pods are scraped, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodMonitorSpec {
    /// Labels of the pods.
    pub selector: LabelSelector,
    /// Namespaces of the pods.
    pub namespace_selector: NamespaceSelector,
    /// Their ports.
    pub pod_metrics_endpoints: Vec<PodEndpoint>,
}

/// Namespaces by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// The names.
    pub match_names: Vec<String>,
}

/// A port of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodEndpoint {
    /// Number of the port, which a container has to declare.
    pub port_number: i32,
    /// Path of the metrics.
    pub path: String,
    /// Time between two scrapes; that of Prometheus if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
}

/// Groups of alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PrometheusRuleSpec {
    /// The groups.
    pub groups: Vec<RuleGroup>,
}

/// Alerts that are evaluated together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleGroup {
    /// Name of the group.
    pub name: String,
    /// Its alerts.
    pub rules: Vec<Alert>,
}

/// An alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Its name.
    pub alert: &'static str,
    /// What is wrong, in `PromQL`.
    pub expr: String,
    /// How long it has to be wrong.
    #[serde(rename = "for")]
    pub lasts: &'static str,
    /// How bad it is.
    pub labels: BTreeMap<&'static str, &'static str>,
    /// What to tell people.
    pub annotations: BTreeMap<&'static str, String>,
}

const GROUP: &str = "monitoring.coreos.com";
const VERSION: &str = "v1";
const API_VERSION: &str = "monitoring.coreos.com/v1";

impl Definition for ServiceMonitorSpec {
    const GROUP: &'static str = GROUP;
    const VERSION: &'static str = VERSION;
    const API_VERSION: &'static str = API_VERSION;
    const KIND: &'static str = "ServiceMonitor";
    const PLURAL: &'static str = "servicemonitors";
}

impl Definition for PodMonitorSpec {
    const GROUP: &'static str = GROUP;
    const VERSION: &'static str = VERSION;
    const API_VERSION: &'static str = API_VERSION;
    const KIND: &'static str = "PodMonitor";
    const PLURAL: &'static str = "podmonitors";
}

impl Definition for PrometheusRuleSpec {
    const GROUP: &'static str = GROUP;
    const VERSION: &'static str = VERSION;
    const API_VERSION: &'static str = API_VERSION;
    const KIND: &'static str = "PrometheusRule";
    const PLURAL: &'static str = "prometheusrules";
}
