//! `PrismNamespace`: a tenant on the proxy.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{backend::DeletionPolicy, condition::Condition, connection::ObjectRef};

/// What a tenant should be.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "prism.io",
    version = "v1alpha1",
    kind = "PrismNamespace",
    namespaced,
    doc = "A tenant: a namespace on the proxy, with the patterns it may use, its quotas and its sign-in.",
    status = "PrismNamespaceStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "pns",
    category = "prism",
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status", "description": "Whether the tenant can be used"}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason", "description": "Why it can or cannot"}"#,
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase", "description": "State in one word"}"#,
    printcolumn = r#"{"name": "Proxy", "type": "string", "jsonPath": ".status.proxyStatus", "description": "State of the proxy"}"#,
    printcolumn = r#"{"name": "Expires", "type": "string", "jsonPath": ".status.expiresAt", "description": "When the tenant ends"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": "Time since creation"}"#,
    printcolumn = r#"{"name": "Id", "type": "string", "jsonPath": ".spec.namespaceId", "priority": 1, "description": "Name on the proxy"}"#,
    printcolumn = r#"{"name": "Message", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message", "priority": 1, "description": "What to know or do"}"#
)]
#[x_kube(
    validation = Rule::new("has(self.proxyRef) || has(self.cluster)")
        .message("proxyRef is required, or cluster: name the proxy, stack or cluster that the tenant lives on")
        .field_path(".proxyRef")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("!has(self.quotas) || !has(self.quota)")
        .message("quotas and its alias quota are both set: move everything to quotas and remove quota")
        .field_path(".quota")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("!has(oldSelf.namespaceId) || (has(self.namespaceId) && self.namespaceId == oldSelf.namespaceId)")
        .message("namespaceId cannot change, because data is kept under it: create another PrismNamespace")
        .field_path(".namespaceId")
)]
pub struct PrismNamespaceSpec {
    /// Name of the tenant on the proxy; it cannot change. Default: the name of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub namespace_id: Option<String>,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub display_name: Option<String>,
    /// The proxy: its workload or Service, or the PrismStack it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_ref: Option<ObjectRef>,
    /// Name of a PrismCluster or PrismStack in this namespace: a short form of `proxyRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub cluster: Option<String>,
    /// Patterns that the tenant may use. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub patterns: Vec<String>,
    /// How far the tenant is kept apart from others: `none`, `namespace` by its name, `session` by
    /// a connection of its own for each session. Default: namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// How much the tenant may use. Default: as much as there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quotas: Option<Quotas>,
    /// Alias of `quotas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quotas>,
    /// Who may use the tenant. Default: as the proxy decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Tags that metrics and logs of the tenant carry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub tags: BTreeMap<String, String>,
    /// Time after creation when the tenant ends, such as 720h. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = crate::schema::DURATION_PATTERN))]
    pub ttl: Option<String>,
    /// What becomes of the tenant on the proxy when this object is deleted. Default: Delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// How far a tenant is kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Not at all.
    None,
    /// By its name.
    Namespace,
    /// By connections of its own.
    Session,
}

/// How much a tenant may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quotas {
    /// Keys at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_keys: Option<i64>,
    /// Connections at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_connections: Option<i64>,
    /// Sessions at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_sessions: Option<i64>,
    /// Requests a second at most. Short form of `rateLimit.requestsPerSecond`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_requests_per_second: Option<i64>,
    /// Limit of the rate of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
}

/// Limit of a rate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests a second in the long run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub requests_per_second: Option<i64>,
    /// Requests at once. Default: as many as a second allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub burst_size: Option<i64>,
}

/// Who may use a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// URL of the OpenID Connect issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub oidc_issuer: Option<String>,
    /// Client that tokens must be meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub oidc_client_id: Option<String>,
    /// Accounts that may use the tenant. Default: all that the issuer knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 512)), extend("x-kubernetes-list-type" = "set"))]
    pub service_accounts: Vec<String>,
}

/// What a tenant is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrismNamespaceStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State in one word: Pending, Active, Expired or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<NamespacePhase>,
    /// State in detail: Ready, Reconciling and Stalled, and Provisioned, QuotasEnforced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::list")]
    pub conditions: Vec<Condition>,
    /// When the tenant was made on the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned_at: Option<Time>,
    /// When the spec was last sent to the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synced_at: Option<Time>,
    /// When the tenant ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// State of the proxy: Ready, NotReady or Unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_status: Option<String>,
    /// Proxy that the admin assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_proxy: Option<String>,
    /// Partition that the admin assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_partition: Option<i32>,
    /// What the tenant uses now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<NamespaceMetrics>,
    /// Value of the annotation prism.io/reconcile-requested-at that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// State of a tenant in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NamespacePhase {
    /// Not on the proxy yet.
    Pending,
    /// In use.
    Active,
    /// Ended by its time.
    Expired,
    /// Refused.
    Failed,
}

/// What a tenant uses now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceMetrics {
    /// Keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_keys: Option<i64>,
    /// Connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_connections: Option<i64>,
    /// Requests a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_rate: Option<f64>,
}
