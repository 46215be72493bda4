//! The autoscaling block of patterns and components.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerBehavior;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    metric::{Metric, TargetType},
    scaling::ScalingWindow,
};

/// How the number of replicas follows the load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!self.enabled || has(self.maxReplicas)")
        .message("autoscaling.maxReplicas is required while autoscaling is on: set the largest number of replicas to run, or enabled: false")
        .field_path(".maxReplicas")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas")
        .message("autoscaling.maxReplicas must be at least autoscaling.minReplicas: raise maxReplicas or lower minReplicas")
        .field_path(".maxReplicas"),
    validation = Rule::new("!has(self.scaler) || !has(self.strategy) || self.scaler == self.strategy")
        .message("autoscaling.scaler and its alias strategy differ: keep scaler and remove strategy")
        .field_path(".strategy"),
    validation = Rule::new("(has(self.targetCPUUtilizationPercentage) ? 1 : 0) + (has(self.targetCPUUtilization) ? 1 : 0) + (has(self.targetCPU) ? 1 : 0) <= 1")
        .message("autoscaling takes one CPU target: keep targetCPUUtilizationPercentage and remove its aliases targetCPUUtilization and targetCPU")
        .field_path(".targetCPUUtilizationPercentage")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("(has(self.targetMemoryUtilizationPercentage) ? 1 : 0) + (has(self.targetMemoryUtilization) ? 1 : 0) + (has(self.targetMemory) ? 1 : 0) <= 1")
        .message("autoscaling takes one memory target: keep targetMemoryUtilizationPercentage and remove its aliases targetMemoryUtilization and targetMemory")
        .field_path(".targetMemoryUtilizationPercentage")
        .reason(Reason::FieldValueForbidden)
)]
pub struct Autoscaling {
    /// Whether the scaler runs; `replicas` counts only while it does not. Default: true, as the
    /// block is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Who scales: `hpa` a HorizontalPodAutoscaler (CPU, memory, metrics APIs), `keda` a KEDA
    /// ScaledObject (queues, lag, scaling to zero), `admin` the operator itself on metrics of the
    /// Prism admin. Default: hpa.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaler: Option<Scaler>,
    /// Alias of `scaler`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Scaler>,
    /// Fewest replicas. Zero works with keda and admin, and with hpa only where the cluster allows
    /// it. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub min_replicas: Option<i32>,
    /// Most replicas. Required while autoscaling is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_replicas: Option<i32>,
    /// CPU to aim at, in percent of the request. Default: 75, if no other metric is given.
    #[serde(rename = "targetCPUUtilizationPercentage", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub target_cpu_utilization_percentage: Option<i32>,
    /// Alias of `targetCPUUtilizationPercentage`.
    #[serde(rename = "targetCPUUtilization", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub target_cpu_utilization: Option<i32>,
    /// Alias of `targetCPUUtilizationPercentage`.
    #[serde(rename = "targetCPU", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub target_cpu: Option<i32>,
    /// Memory to aim at, in percent of the request. Default: not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub target_memory_utilization_percentage: Option<i32>,
    /// Alias of `targetMemoryUtilizationPercentage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub target_memory_utilization: Option<i32>,
    /// Alias of `targetMemoryUtilizationPercentage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub target_memory: Option<i32>,
    /// What to measure, for the scalers hpa and admin. The metric that asks for most replicas wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub metrics: Vec<Metric>,
    /// How fast replicas come and go, as on a HorizontalPodAutoscaler; for all scalers. A direction
    /// without selectPolicy takes Max for scaling up and Min for scaling down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::behavior")]
    pub behavior: Option<HorizontalPodAutoscalerBehavior>,
    /// Seconds between two looks at the metrics, for keda and admin. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub polling_interval: Option<i32>,
    /// Seconds without load before the last replica goes, for keda with `minReplicas: 0`.
    /// Default: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub cooldown_period: Option<i32>,
    /// Seconds after creation during which nothing scales to zero, for keda. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub initial_cooldown_period: Option<i32>,
    /// Replicas to run while the metrics cannot be read, for keda and admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// Whether the workload gets back the replicas it had before KEDA when the scaler goes.
    /// Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_to_original_replica_count: Option<bool>,
    /// KEDA triggers, for the scaler keda. The trigger that asks for most replicas wins. Default: what
    /// the backend of the pattern has waiting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub triggers: Vec<Trigger>,
    /// For the scaler admin: who changes the replicas. `direct` the operator, `keda` and `hpa` a
    /// scaler that asks the operator for the metric. Default: direct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// For the scaler admin: `Shadow` computes and reports, and changes nothing. Default: Active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ScalingMode>,
    /// Times with limits of their own, for all scalers. Of several that are open, the first counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub windows: Vec<ScalingWindow>,
}

impl Autoscaling {
    /// Whether the block is on, which it is unless it says otherwise.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }
}

/// Who scales a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scaler {
    /// A HorizontalPodAutoscaler.
    Hpa,
    /// A KEDA ScaledObject.
    Keda,
    /// The operator, on metrics of the Prism admin.
    Admin,
}

/// Who changes the replicas for the scaler `admin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// The operator.
    Direct,
    /// KEDA, through its external scaler interface.
    Keda,
    /// A HorizontalPodAutoscaler, through the external metrics API.
    Hpa,
}

/// Whether decisions are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScalingMode {
    /// They are.
    #[default]
    Active,
    /// They are reported only.
    Shadow,
}

/// Replicas to run while the metrics cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fallback {
    /// Failed looks in a row before it applies.
    #[schemars(range(min = 0, max = 10_000))]
    pub failure_threshold: i32,
    /// Replicas to run.
    #[schemars(range(min = 0, max = 100_000))]
    pub replicas: i32,
    /// How `replicas` is meant: `static`, `currentReplicas`, `currentReplicasIfHigher` or
    /// `currentReplicasIfLower`. Default: static.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<FallbackBehavior>,
}

/// How the replicas of a fallback are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FallbackBehavior {
    /// As written.
    Static,
    /// Stay where it is.
    CurrentReplicas,
    /// The larger of the two.
    CurrentReplicasIfHigher,
    /// The smaller of the two.
    CurrentReplicasIfLower,
}

/// One KEDA trigger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// Type of the trigger, such as kafka, nats-jetstream, aws-sqs-queue or cpu.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 63))]
    pub type_: String,
    /// Name of the trigger, unique among the triggers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// What the trigger needs to know. Numbers are written as strings: lagThreshold: "100".
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub metadata: BTreeMap<String, String>,
    /// Where the trigger gets its credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication_ref: Option<AuthenticationRef>,
    /// How the metric is meant: Utilization for cpu and memory, AverageValue or Value for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_type: Option<TargetType>,
    /// Whether KEDA may answer from its last look. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_cached_metrics: Option<bool>,
}

/// Where a trigger gets its credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationRef {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253), regex(pattern = crate::schema::DNS_SUBDOMAIN_PATTERN))]
    pub name: String,
    /// Kind of the object. Default: a TriggerAuthentication of that name, if there is one;
    /// otherwise a Secret of that name, from which a TriggerAuthentication is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AuthenticationKind>,
}

/// Kind of the object that holds credentials of a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AuthenticationKind {
    /// A KEDA TriggerAuthentication.
    TriggerAuthentication,
    /// A KEDA ClusterTriggerAuthentication.
    ClusterTriggerAuthentication,
    /// A Secret.
    Secret,
}
