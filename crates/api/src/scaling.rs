//! What scaling says about itself, and the times at which its limits differ.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{autoscaling::ScalingMode, pattern::ActiveScaler};

/// A time with limits of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.minReplicas) || has(self.maxReplicas)")
        .message("a window changes a limit: set minReplicas or maxReplicas")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas")
        .message("maxReplicas of a window must be at least its minReplicas: raise maxReplicas or lower minReplicas")
        .field_path(".maxReplicas")
)]
pub struct ScalingWindow {
    /// Name of the window, as decisions show it.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// When it opens, as a cron schedule of five fields: 0 8 * * 1-5.
    #[schemars(length(min = 9, max = 128))]
    pub start: String,
    /// When it closes, as a cron schedule of five fields.
    #[schemars(length(min = 9, max = 128))]
    pub end: String,
    /// Time zone of both schedules, such as Europe/Berlin. Default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// Fewest replicas while it is open. Default: as outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub min_replicas: Option<i32>,
    /// Most replicas while it is open. Default: as outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_replicas: Option<i32>,
}

/// Why the number of replicas is what it is. Written anew when the decision changes, not at every look:
/// the values are those at the time of the decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingDecision {
    /// One sentence that says all of what follows.
    pub message: String,
    /// When it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
    /// Who decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaler: Option<ActiveScaler>,
    /// Whether it is carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ScalingMode>,
    /// Replicas at the time.
    pub current_replicas: i32,
    /// Replicas decided on.
    pub desired_replicas: i32,
    /// Name of the metric that asks for most replicas, and so decides. Absent if none could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// What keeps the replicas from what the metrics ask for. Absent if nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<HeldBy>,
    /// Until when it does, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Time>,
    /// Fewest replicas at the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<i32>,
    /// Most replicas at the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_replicas: Option<i32>,
    /// The window that these limits come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// Seconds from one look at the metrics to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polling_interval: Option<i32>,
    /// Each metric, as it was read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub metrics: Vec<MetricReading>,
}

/// What keeps the replicas from what the metrics ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HeldBy {
    /// The fewest replicas allowed.
    MinReplicas,
    /// The most replicas allowed.
    MaxReplicas,
    /// The value is so close to its target that nothing changes.
    Tolerance,
    /// Too few replicas were wanted a short while ago, or too many.
    StabilizationWindow,
    /// As many replicas have come lately as a policy allows.
    ScaleUpPolicy,
    /// As many replicas have gone lately as a policy allows.
    ScaleDownPolicy,
    /// The last replica stays until there was no load for a while.
    CooldownPeriod,
    /// A metric could not be read, so nothing goes down.
    MissingMetrics,
    /// No metric could be read for so long that the fallback applies.
    Fallback,
    /// Scaling is paused.
    Paused,
    /// The number is pinned.
    Pinned,
}

/// A metric, as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricReading {
    /// Name of the metric.
    pub name: String,
    /// What was read; absent if nothing could be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// What to aim at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Replicas that this metric asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_replicas: Option<i32>,
    /// Why nothing could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
