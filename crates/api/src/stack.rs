//! `PrismStack`: a whole Prism, with its control plane, proxy, patterns and backends.

use k8s_openapi::api::core::v1::Affinity;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    backend::{DeletionPolicy, PrismBackendSpec},
    component::{AdminSpec, ComponentStatus, ScaledComponentSpec},
    condition::Condition,
    ingress::IngressSpec,
    inventory::InventoryEntry,
    observability::Observability,
    pattern::{Phase, PrismPatternSpec},
    workload::{ImagePullPolicy, LocalRef, RuntimeProfile},
};

/// What a stack should be.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "prism.io",
    version = "v1alpha1",
    kind = "PrismStack",
    namespaced,
    doc = "A whole Prism: control plane, proxy, web console, and the patterns and backends they serve.",
    status = "PrismStackStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "pstack",
    category = "prism",
    validation = Rule::new("size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')")
        .message("metadata.name must be a DNS label of at most 63 characters, because Services are named after it: shorten it, and use - in place of dots"),
    validation = Rule::new("oldSelf.hasValue() || self.metadata.name.matches('^[a-z]')")
        .message("metadata.name must begin with a letter, because Services are named after it: choose another name, such as one with a letter in front")
        .optional_old_self(true),
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status", "description": "Whether the whole stack serves"}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason", "description": "Why it does or does not"}"#,
    printcolumn = r#"{"name": "Components", "type": "string", "jsonPath": ".status.summary.components", "description": "Components that are ready, of all"}"#,
    printcolumn = r#"{"name": "Patterns", "type": "string", "jsonPath": ".status.summary.patterns", "description": "Patterns that are ready, of all"}"#,
    printcolumn = r#"{"name": "Backends", "type": "string", "jsonPath": ".status.summary.backends", "description": "Backends that are ready, of all"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": "Time since creation"}"#,
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase", "priority": 1, "description": "State in one word"}"#,
    printcolumn = r#"{"name": "Paused", "type": "boolean", "jsonPath": ".spec.paused", "priority": 1, "description": "Whether the operator leaves it alone"}"#,
    printcolumn = r#"{"name": "Message", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message", "priority": 1, "description": "What to know or do"}"#
)]
pub struct PrismStackSpec {
    /// The proxy, which clients talk to. Left out, it runs with its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ScaledComponentSpec>,
    /// The control plane. Left out, there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<AdminSpec>,
    /// The web console. Left out, there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_console: Option<ScaledComponentSpec>,
    /// Patterns to run; each becomes a PrismPattern named after the stack and the pattern.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub patterns: Vec<StackPattern>,
    /// Backends that the patterns use; each becomes a PrismBackend named after the stack and the
    /// backend.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub backends: Vec<StackBackend>,
    /// Metrics, traces and logs of every component and pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observability: Option<Observability>,
    /// How clients outside the cluster reach the proxy. Left out, they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressSpec>,
    /// Secrets for pulling images, for every component and pattern that has none of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Vec<LocalRef>,
    /// When nodes pull images, for every component and pattern that does not say so itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Registry and path of default images. Default: ghcr.io/prism.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image_registry: Option<String>,
    /// Tag of default images. Default: the release that belongs to the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub version: Option<String>,
    /// Affinity rules, for every component and pattern that has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Conventions that the programs follow: `standard`, or `upstream` for the released programs
    /// with their own flags and ports. Default: standard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_profile: Option<RuntimeProfile>,
    /// Whether the operator leaves everything in the stack as it is. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// `Manual` holds changes that replace or delete something until a person agrees to
    /// `status.plan`, by the annotation prism.io/approved-plan. Default: Auto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// What becomes of volumes and provisioned data when the stack is deleted; those of admin members
    /// that were removed earlier stay in any case. Default: Retain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// A pattern of a stack: its name, and everything that a `PrismPattern` may say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackPattern {
    /// Name of the pattern in the stack.
    #[schemars(length(min = 1, max = 63), regex(pattern = crate::schema::DNS_LABEL_PATTERN))]
    pub name: String,
    /// What the pattern should be.
    #[serde(flatten)]
    pub spec: PrismPatternSpec,
}

/// A backend of a stack: its name, and everything that a `PrismBackend` may say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackBackend {
    /// Name that patterns use.
    #[schemars(length(min = 1, max = 63), regex(pattern = crate::schema::DNS_LABEL_PATTERN))]
    pub name: String,
    /// Whether the stack counts as ready only if this backend is. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// What the backend is.
    #[serde(flatten)]
    pub spec: PrismBackendSpec,
}

/// Whether changes wait for a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Approval {
    /// They do not.
    #[default]
    Auto,
    /// Those that replace or delete something do.
    Manual,
}

/// What a stack is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrismStackStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State in one word, derived from the conditions: Pending, Running, Degraded or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// State in detail: Ready, Reconciling and Stalled, and AdminHealthy, ProxyHealthy,
    /// ConsoleHealthy, PatternsReady, BackendsReady.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::list")]
    pub conditions: Vec<Condition>,
    /// How many parts are ready, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<StackSummary>,
    /// Admin, proxy and web console.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub components: Vec<ComponentStatus>,
    /// Patterns, with the PrismPattern behind each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub patterns: Vec<ComponentStatus>,
    /// Backends, with the PrismBackend behind each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub backends: Vec<ComponentStatus>,
    /// Host and port of the proxy inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_endpoint: Option<String>,
    /// Host and port of the admin inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_endpoint: Option<String>,
    /// What the operator is about to do, where it waits for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub plan: Vec<PlannedAction>,
    /// Hash of the plan: the value of the annotation that agrees to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
    /// Value of the annotation prism.io/reconcile-requested-at that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Every object that the operator made for this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub inventory: Vec<InventoryEntry>,
}

/// How many parts are ready, such as 2/3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StackSummary {
    /// Components that are ready, of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components: Option<String>,
    /// Patterns that are ready, of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patterns: Option<String>,
    /// Backends that are ready, of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backends: Option<String>,
}

/// One thing that the operator is about to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedAction {
    /// What is done: Create, Update, Replace or Delete.
    pub action: String,
    /// What it is done to: kind and name.
    pub object: String,
    /// Why.
    pub reason: String,
    /// Whether it waits for a person.
    pub needs_approval: bool,
}
