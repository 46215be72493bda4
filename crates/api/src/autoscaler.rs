//! `PrismAutoscaler`: a scaler of its own for a workload, on metrics of the Prism admin.

use k8s_openapi::{
    api::autoscaling::v2::HorizontalPodAutoscalerBehavior, apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    autoscaling::{Autoscaling, Fallback, Scaler, ScalingMode, Via},
    condition::Condition,
    inventory::InventoryEntry,
    metric::Metric,
    scaling::{ScalingDecision, ScalingWindow},
};

/// Most replicas, if the spec does not say.
const DEFAULT_MAX_REPLICAS: i32 = 10;

/// What to scale, and by which metrics.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "prism.io",
    version = "v1alpha1",
    kind = "PrismAutoscaler",
    namespaced,
    doc = "Scales a workload by metrics of the Prism admin, with the rules of a HorizontalPodAutoscaler. A pattern with the scaler admin has one made for it.",
    status = "PrismAutoscalerStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "pscaler",
    category = "prism",
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status", "description": "Whether the scaler works"}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason", "description": "Why it does or does not"}"#,
    printcolumn = r#"{"name": "Kind", "type": "string", "jsonPath": ".spec.targetRef.kind", "description": "Kind of the target"}"#,
    printcolumn = r#"{"name": "Target", "type": "string", "jsonPath": ".spec.targetRef.name", "description": "Name of the target"}"#,
    printcolumn = r#"{"name": "Min", "type": "integer", "jsonPath": ".spec.minReplicas", "description": "Fewest replicas"}"#,
    printcolumn = r#"{"name": "Max", "type": "integer", "jsonPath": ".spec.maxReplicas", "description": "Most replicas"}"#,
    printcolumn = r#"{"name": "Replicas", "type": "integer", "jsonPath": ".status.currentReplicas", "description": "Replicas now"}"#,
    printcolumn = r#"{"name": "Desired", "type": "integer", "jsonPath": ".status.desiredReplicas", "description": "Replicas wanted"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": "Time since creation"}"#,
    printcolumn = r#"{"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1, "description": "Whether decisions are carried out"}"#,
    printcolumn = r#"{"name": "Message", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message", "priority": 1, "description": "What to know or do"}"#
)]
#[x_kube(validation = Rule::new("self.minReplicas <= self.maxReplicas")
    .message("maxReplicas must be at least minReplicas: raise maxReplicas or lower minReplicas")
    .field_path(".maxReplicas"))]
pub struct PrismAutoscalerSpec {
    /// What to scale.
    pub target_ref: TargetRef,
    /// Fewest replicas; zero is possible. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000), extend("default" = 1))]
    pub min_replicas: Option<i32>,
    /// Most replicas. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000), extend("default" = 10))]
    pub max_replicas: Option<i32>,
    /// What to measure. The metric that asks for most replicas wins.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub metrics: Vec<Metric>,
    /// How fast replicas come and go, as on a HorizontalPodAutoscaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::behavior")]
    pub behavior: Option<HorizontalPodAutoscalerBehavior>,
    /// Seconds between two looks at the metrics. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub polling_interval: Option<i32>,
    /// Seconds without load before the last replica goes, with `minReplicas: 0`. Default: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub cooldown_period: Option<i32>,
    /// Replicas to run while the metrics cannot be read. Default: those that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// Who changes the replicas: `direct` the operator, `keda` and `hpa` a scaler that asks the
    /// operator for the metric. Default: direct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// `Shadow` computes and reports, and changes nothing. Default: Active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Active"))]
    pub mode: Option<ScalingMode>,
    /// Times with limits of their own. Of several that are open, the first counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub windows: Vec<ScalingWindow>,
}

/// What to scale.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// API group and version of the target. Default: that of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub api_version: Option<String>,
    /// Kind of the target: Deployment, StatefulSet or PrismPattern.
    pub kind: TargetKind,
    /// Name of the target, in the same namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = crate::schema::DNS_SUBDOMAIN_PATTERN))]
    pub name: String,
}

/// Kind of something that scales.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TargetKind {
    /// A Deployment.
    #[default]
    Deployment,
    /// A StatefulSet.
    StatefulSet,
    /// The workload of a pattern, whichever kind it is.
    PrismPattern,
}

/// What a scaler does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrismAutoscalerStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State in detail: Ready, Reconciling and Stalled, and ScalingActive, ScalerConflict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::list")]
    pub conditions: Vec<Condition>,
    /// Replicas now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_replicas: Option<i32>,
    /// Replicas wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_replicas: Option<i32>,
    /// When the number of replicas was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scale_time: Option<Time>,
    /// Why the number of replicas is what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalingDecision>,
    /// Value of the annotation prism.io/reconcile-requested-at that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Every object that the operator made for this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub inventory: Vec<InventoryEntry>,
}

impl PrismAutoscalerSpec {
    /// The same, as the block of a pattern with the scaler `admin`.
    #[must_use]
    pub fn autoscaling(&self) -> Autoscaling {
        let Self {
            target_ref: _,
            min_replicas,
            max_replicas,
            metrics,
            behavior,
            polling_interval,
            cooldown_period,
            fallback,
            via,
            mode,
            windows,
        } = self.clone();
        Autoscaling {
            scaler: Some(Scaler::Admin),
            min_replicas,
            max_replicas: max_replicas.or(Some(DEFAULT_MAX_REPLICAS)),
            metrics,
            behavior,
            polling_interval,
            cooldown_period,
            fallback,
            via,
            mode,
            windows,
            ..Autoscaling::default()
        }
    }
}
