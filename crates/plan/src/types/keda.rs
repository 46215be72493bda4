//! Scalers of KEDA, version 2.

use std::{collections::BTreeMap, ops::Not};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerBehavior;
use prism_api::{
    autoscaling::{AuthenticationKind, FallbackBehavior},
    metric::TargetType,
};
use serde::Serialize;

use super::{Definition, Object};

/// What KEDA scales, and by what.
pub type ScaledObject = Object<ScaledObjectSpec>;

/// Where triggers get their credentials.
pub type TriggerAuthentication = Object<TriggerAuthenticationSpec>;

/// What KEDA scales, and by what.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaledObjectSpec {
    /// The workload.
    pub scale_target_ref: ScaleTarget,
    /// Fewest replicas.
    pub min_replica_count: i32,
    /// Most replicas.
    pub max_replica_count: i32,
    /// Seconds between two looks.
    pub polling_interval: i32,
    /// Seconds without load before the last replica goes.
    pub cooldown_period: i32,
    /// Seconds after creation during which nothing scales to zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_cooldown_period: Option<i32>,
    /// Everything about the `HorizontalPodAutoscaler` that KEDA makes.
    pub advanced: Advanced,
    /// Replicas while triggers cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<KedaFallback>,
    /// What it scales by.
    pub triggers: Vec<KedaTrigger>,
}

/// A workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleTarget {
    /// API group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// Everything about the `HorizontalPodAutoscaler` that KEDA makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advanced {
    /// Whether the workload gets back the replicas it had before KEDA. KEDA writes each `ScaledObject` once,
    /// and takes out what is false then: that would look like somebody's hand.
    #[serde(skip_serializing_if = "Not::not")]
    pub restore_to_original_replica_count: bool,
    /// The autoscaler.
    pub horizontal_pod_autoscaler_config: AutoscalerConfig,
}

/// The `HorizontalPodAutoscaler` that KEDA makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AutoscalerConfig {
    /// Its name.
    pub name: String,
    /// How fast it scales.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behavior: Option<HorizontalPodAutoscalerBehavior>,
}

/// Replicas while triggers cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KedaFallback {
    /// Failed looks in a row before it applies.
    pub failure_threshold: i32,
    /// Replicas to run.
    pub replicas: i32,
    /// How that number is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behavior: Option<FallbackBehavior>,
}

/// One thing that KEDA scales by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KedaTrigger {
    /// Its type.
    #[serde(rename = "type")]
    pub type_: String,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it needs to know.
    pub metadata: BTreeMap<String, String>,
    /// Where it gets its credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_ref: Option<KedaAuthenticationRef>,
    /// How its metric is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_type: Option<TargetType>,
    /// Whether KEDA may answer from its last look. Left out where false, as above.
    #[serde(skip_serializing_if = "Not::not")]
    pub use_cached_metrics: bool,
}

/// Where a trigger gets its credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KedaAuthenticationRef {
    /// Name of the object.
    pub name: String,
    /// Its kind; a `TriggerAuthentication` if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<AuthenticationKind>,
}

/// Where triggers get their credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerAuthenticationSpec {
    /// Parameters that come from Secrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secret_target_ref: Vec<SecretTarget>,
    /// Parameters that come from `ConfigMap`s.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub config_map_target_ref: Vec<ConfigMapTarget>,
}

/// A parameter that comes from a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SecretTarget {
    /// The parameter of the trigger.
    pub parameter: String,
    /// Name of the Secret.
    pub name: String,
    /// Its key.
    pub key: String,
}

/// A parameter that comes from a `ConfigMap`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ConfigMapTarget {
    /// The parameter of the trigger.
    pub parameter: String,
    /// Name of the `ConfigMap`.
    pub name: String,
    /// Its key.
    pub key: String,
}

impl Definition for ScaledObjectSpec {
    const GROUP: &'static str = "keda.sh";
    const VERSION: &'static str = "v1alpha1";
    const API_VERSION: &'static str = "keda.sh/v1alpha1";
    const KIND: &'static str = "ScaledObject";
    const PLURAL: &'static str = "scaledobjects";
}

impl Definition for TriggerAuthenticationSpec {
    const GROUP: &'static str = "keda.sh";
    const VERSION: &'static str = "v1alpha1";
    const API_VERSION: &'static str = "keda.sh/v1alpha1";
    const KIND: &'static str = "TriggerAuthentication";
    const PLURAL: &'static str = "triggerauthentications";
}
