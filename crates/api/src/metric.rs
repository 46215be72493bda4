//! Metrics that autoscaling looks at, and the values it aims at.

use k8s_openapi::{
    api::autoscaling::v2::{
        ContainerResourceMetricSource, ExternalMetricSource, ObjectMetricSource, PodsMetricSource,
        ResourceMetricSource,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One metric, and the value to aim at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type == 'Resource' ? has(self.resource) : self.type == 'ContainerResource' ? has(self.containerResource) : self.type == 'Pods' ? has(self.pods) : self.type == 'Object' ? has(self.object) : self.type == 'External' ? has(self.external) : self.type == 'Prometheus' ? has(self.prometheus) : true")
        .message("metrics: the block named after the type is missing: add resource, containerResource, pods, object, external or prometheus to match it")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("self.type != 'AdminMetric' || has(self.adminMetric) || (has(self.name) && has(self.target))")
        .message("metrics: the type AdminMetric needs either adminMetric, or name and target")
        .reason(Reason::FieldValueRequired)
)]
pub struct Metric {
    /// Where the metric comes from; the block of the same name holds the details.
    #[serde(rename = "type")]
    pub type_: MetricType,
    /// CPU or memory of the pods, as on a HorizontalPodAutoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceMetricSource>,
    /// CPU or memory of one container in the pods, as on a HorizontalPodAutoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_resource: Option<ContainerResourceMetricSource>,
    /// A metric of each pod, as on a HorizontalPodAutoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodsMetricSource>,
    /// A metric of another object, as on a HorizontalPodAutoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectMetricSource>,
    /// A metric from outside the cluster, as on a HorizontalPodAutoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalMetricSource>,
    /// A metric of the Prism admin, for the scaler admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_metric: Option<AdminMetric>,
    /// The result of a Prometheus query, for the scaler admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusMetric>,
    /// Short form of `adminMetric.metricName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// Short form of `adminMetric.target`: the average for each replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::amount")]
    pub target: Option<Quantity>,
}

/// Where a metric comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MetricType {
    /// CPU or memory of the pods.
    Resource,
    /// CPU or memory of one container.
    ContainerResource,
    /// A metric of each pod.
    Pods,
    /// A metric of another object.
    Object,
    /// A metric from outside the cluster.
    External,
    /// A metric of the Prism admin.
    AdminMetric,
    /// A Prometheus query.
    Prometheus,
}

/// A metric of the Prism admin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.metricName) || (has(self.query) && has(self.query.metric))")
    .message("adminMetric.metricName is required: name the metric, or set query.metric")
    .field_path(".metricName")
    .reason(Reason::FieldValueRequired))]
pub struct AdminMetric {
    /// Name of the metric, such as pattern.consumer.lag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub metric_name: Option<String>,
    /// Host and port of the admin. Default: the admin of the stack that the target belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub endpoint: Option<String>,
    /// Which pattern to measure, and what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<AdminMetricQuery>,
    /// The value to aim at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<AdminMetricTarget>,
}

/// Which pattern to measure, and what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminMetricQuery {
    /// Name of the pattern. Default: the one that is scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub pattern: Option<String>,
    /// What to measure, such as `queue_depth`: the last part of `metricName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub metric: Option<String>,
}

/// The value that a metric of the admin or of Prometheus should have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.value) || has(self.averageValue) || has(self.averageUtilization) || has(self.drainWithin)")
    .message("target needs a number to aim at: set value, averageValue or drainWithin")
    .reason(Reason::FieldValueRequired))]
pub struct AdminMetricTarget {
    /// How the number is meant: `Value` the metric as a whole, `AverageValue` divided by the
    /// replicas, `Utilization` in percent. Default: by the field that is set.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<TargetType>,
    /// The metric as a whole. A duration such as 5s counts as seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::amount")]
    pub value: Option<Quantity>,
    /// The metric divided by the replicas. A duration such as 5s counts as seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::amount")]
    pub average_value: Option<Quantity>,
    /// The metric in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub average_utilization: Option<i32>,
    /// Time in which all that waits should be done, such as 20s. The metric counts what waits; how many
    /// replicas that takes follows from the rate at which they have worked so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = crate::schema::DURATION_PATTERN))]
    pub drain_within: Option<String>,
    /// For `drainWithin`: the metric, or the Prometheus query, that tells how much all replicas together
    /// do in a second. Default: the last part of the metric's name replaced by `throughput`; a Prometheus
    /// query has no default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub rate: Option<String>,
}

/// How the target of a metric is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TargetType {
    /// The metric as a whole.
    Value,
    /// The metric divided by the replicas.
    AverageValue,
    /// In percent.
    Utilization,
}

/// The result of a Prometheus query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusMetric {
    /// URL of the Prometheus server.
    #[schemars(length(min = 1, max = 2048))]
    pub server_address: String,
    /// The query; it must give one number.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
    /// The value to aim at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<AdminMetricTarget>,
}
