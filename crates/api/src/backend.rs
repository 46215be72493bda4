//! `PrismBackend`: a store, queue or stream that patterns use.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::ResourceRequirements,
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Time},
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    condition::Condition,
    connection::{SecretRef, ServiceRef},
    inventory::InventoryEntry,
    schema::FreeForm,
};

/// Which backend it is, and how it is reached.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "prism.io",
    version = "v1alpha1",
    kind = "PrismBackend",
    namespaced,
    doc = "A backend that patterns use: a connection to a store, queue or stream that exists, or one that the operator provides.",
    status = "PrismBackendStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "pback",
    category = "prism",
    validation = Rule::new("oldSelf.hasValue() || !has(self.spec.provision) || !self.spec.provision.enabled || self.metadata.name.matches('^[a-z][-a-z0-9]*$')")
        .message("metadata.name must begin with a letter and have no dots, because the Service of the server takes the same name: choose another name")
        .optional_old_self(true),
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status", "description": "Whether the backend can be used"}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason", "description": "Why it can or cannot"}"#,
    printcolumn = r#"{"name": "Provider", "type": "string", "jsonPath": ".status.provider", "description": "What the backend is"}"#,
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase", "description": "State in one word"}"#,
    printcolumn = r#"{"name": "Checked", "type": "date", "jsonPath": ".status.lastChecked", "description": "Time since the last health check"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": "Time since creation"}"#,
    printcolumn = r#"{"name": "Endpoint", "type": "string", "jsonPath": ".status.endpoint", "priority": 1, "description": "Address, without credentials"}"#,
    printcolumn = r#"{"name": "Message", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message", "priority": 1, "description": "What to know or do"}"#
)]
#[x_kube(
    validation = Rule::new("!has(self.connectionString) || !has(self.connection) || !has(self.connection.url) || self.connectionString == self.connection.url")
        .message("connectionString and connection.url differ: keep connection.url and remove connectionString")
        .field_path(".connectionString"),
    validation = Rule::new("!has(self.provision) || !self.provision.enabled || !(has(self.connectionString) || has(self.serviceRef) || (has(self.connection) && has(self.connection.url)))")
        .message("provision makes a backend with an address of its own: remove provision, or connectionString, connection.url and serviceRef")
        .field_path(".provision")
        .reason(Reason::FieldValueForbidden)
)]
pub struct PrismBackendSpec {
    /// What the backend is: a provider such as redis, nats, kafka, postgres, minio or sqlite; or a
    /// category, messaging, database, cache or storage, together with `provider`. Default: by
    /// the scheme of the address, otherwise by the name.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = crate::schema::DNS_LABEL_PATTERN))]
    pub type_: Option<String>,
    /// The product, where `type` is a category. Default: as for `type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = crate::schema::DNS_LABEL_PATTERN))]
    pub provider: Option<String>,
    /// Address, as a URL or host and port; without credentials, which belong in `secretRef`. Short
    /// form of `connection.url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub connection_string: Option<String>,
    /// Address, credentials and encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// Credentials. Short form of `connection.secretRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Service of the backend, from which the address is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ref: Option<ServiceRef>,
    /// Whether patterns run where the backend is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_locality: Option<DataLocality>,
    /// Makes the backend in the cluster, with credentials of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<ProvisionSpec>,
    /// How the backend is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// Settings that patterns get along with the address, free in form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::free_form")]
    pub config: Option<FreeForm>,
    /// What becomes of provisioned data when this object is deleted. Default: Retain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// Address, credentials and encryption of a backend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// Address, as a URL or host and port. Without a scheme, the provider's own is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub url: Option<String>,
    /// Host, where `url` is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub host: Option<String>,
    /// Port, where `url` is left out. Default: the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// Name of the database or bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub database: Option<String>,
    /// Credentials, and the address if the Secret has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Encryption of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// Further parameters of the connection.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub options: BTreeMap<String, String>,
}

/// Encryption of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsSpec {
    /// Whether the connection is encrypted. Default: true, as the block is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Secret with ca.crt, and tls.crt and tls.key for a client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Name that the certificate of the server must have. Default: the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
    /// Whether any certificate is accepted: for tests only. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
}

/// Whether patterns run where their backend is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataLocality {
    /// `collocate` puts patterns into the namespace of the backend, which must consent by the label
    /// prism.io/backend-type; `none` leaves them in their own. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<LocalityStrategy>,
    /// Namespace of the backend. Default: that of `serviceRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = crate::schema::DNS_LABEL_PATTERN))]
    pub namespace: Option<String>,
}

/// Where patterns run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LocalityStrategy {
    /// In the namespace of the backend.
    Collocate,
    /// In their own.
    None,
}

/// A backend that the operator makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionSpec {
    /// Whether the backend is made. Default: true, as the block is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Version, as a tag of the provider's image. `latest` means the version that this operator was
    /// tested with. Default: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub version: Option<String>,
    /// Image to run, used as written, in place of the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub image: Option<String>,
    /// Pods to run. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100), extend("default" = 1))]
    pub replicas: Option<i32>,
    /// Size of the volume of each pod. Left out, the data is lost with the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::quantity")]
    pub storage: Option<Quantity>,
    /// Name of the StorageClass. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = crate::schema::OPTIONAL_NAME_PATTERN))]
    pub storage_class: Option<String>,
    /// Database, bucket or stream to make. Default: prism.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub database: Option<String>,
    /// CPU and memory of each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::resources")]
    pub resources: Option<ResourceRequirements>,
}

impl ProvisionSpec {
    /// Whether the backend is made, which it is unless the block says otherwise.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }
}

/// How a backend is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// Whether the operator connects to the backend now and then. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Time between two checks, such as 30s. Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = crate::schema::DURATION_PATTERN))]
    pub interval: Option<String>,
    /// Time after which a check has failed, such as 5s. Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = crate::schema::DURATION_PATTERN))]
    pub timeout: Option<String>,
    /// Failed checks in a row that make a backend unhealthy. Default: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub failure_threshold: Option<i32>,
}

/// What becomes of things when their owner is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// They stay.
    #[default]
    Retain,
    /// They are deleted too.
    Delete,
}

/// What a backend is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrismBackendStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State in one word: Ready, Unhealthy or Unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<BackendPhase>,
    /// State in detail: Ready, Reconciling and Stalled, and BackendHealthy, Provisioned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::list")]
    pub conditions: Vec<Condition>,
    /// The product, as written or inferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Address in use, without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// When the backend was last checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_checked: Option<Time>,
    /// Whether the last check succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// What the last check said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Value of the annotation prism.io/reconcile-requested-at that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Every object that the operator made for this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub inventory: Vec<InventoryEntry>,
}

/// State of a backend in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum BackendPhase {
    /// It answers.
    Ready,
    /// It does not answer.
    Unhealthy,
    /// Nobody has looked, or nobody may.
    Unknown,
}
