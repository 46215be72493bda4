//! `PrismCluster`: the short way to a whole Prism with backends of its own.

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::apis::meta::v1::Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    autoscaling::Autoscaling,
    backend::ProvisionSpec,
    component::{AdminSpec, ComponentStatus, ScaledComponentSpec},
    condition::Condition,
    connection::BackendUse,
    ingress::IngressSpec,
    inventory::InventoryEntry,
    observability::Observability,
    pattern::Phase,
    schema::FreeForm,
    workload::{LocalRef, RuntimeProfile, StorageSpec, WorkloadKind},
};

/// What a cluster should be.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "prism.io",
    version = "v1alpha1",
    kind = "PrismCluster",
    namespaced,
    doc = "A whole Prism with backends of its own, in few words. The operator makes a PrismStack from it, and mirrors its status.",
    status = "PrismClusterStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "pcluster",
    category = "prism",
    validation = Rule::new("size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')")
        .message("metadata.name must be a DNS label of at most 63 characters, because Services are named after it: shorten it, and use - in place of dots"),
    validation = Rule::new("oldSelf.hasValue() || self.metadata.name.matches('^[a-z]')")
        .message("metadata.name must begin with a letter, because Services are named after it: choose another name, such as one with a letter in front")
        .optional_old_self(true),
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status", "description": "Whether the whole cluster serves"}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason", "description": "Why it does or does not"}"#,
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase", "description": "State in one word"}"#,
    printcolumn = r#"{"name": "Admin", "type": "boolean", "jsonPath": ".status.adminStatus.ready", "description": "Whether the admin serves"}"#,
    printcolumn = r#"{"name": "Proxy", "type": "boolean", "jsonPath": ".status.proxyStatus.ready", "description": "Whether the proxy serves"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": "Time since creation"}"#,
    printcolumn = r#"{"name": "Stack", "type": "string", "jsonPath": ".status.stack", "priority": 1, "description": "The PrismStack behind it"}"#,
    printcolumn = r#"{"name": "Message", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message", "priority": 1, "description": "What to know or do"}"#
)]
pub struct PrismClusterSpec {
    /// The control plane. Left out, there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<AdminSpec>,
    /// The proxy, which clients talk to. Left out, it runs with its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ScaledComponentSpec>,
    /// Patterns to run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub patterns: Vec<ClusterPattern>,
    /// Backends to make in the cluster, by product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backends: Option<ClusterBackends>,
    /// How clients outside the cluster reach the proxy. Left out, they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressSpec>,
    /// Metrics, traces and logs of every component and pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observability: Option<Observability>,
    /// Secrets for pulling images, for every component and pattern.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Vec<LocalRef>,
    /// Registry and path of default images. Default: ghcr.io/prism.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image_registry: Option<String>,
    /// Tag of default images. Default: the release that belongs to the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub version: Option<String>,
    /// Conventions that the programs follow: `standard` or `upstream`. Default: standard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_profile: Option<RuntimeProfile>,
    /// Whether the operator leaves everything in the cluster as it is. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// A pattern of a cluster. Here `type` is the kind of the workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.storage) || !has(self.type) || self.type != 'Deployment'")
    .message("storage needs the type StatefulSet: remove type: Deployment, or the storage block")
    .field_path(".type"))]
pub struct ClusterPattern {
    /// Name of the pattern, and its type unless `pattern` says otherwise: keyvalue, consumer.
    #[schemars(length(min = 1, max = 40), regex(pattern = crate::schema::DNS_LABEL_PATTERN))]
    pub name: String,
    /// Type of the pattern, where it is not the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = crate::schema::DNS_LABEL_PATTERN))]
    pub pattern: Option<String>,
    /// Kind of the workload: Deployment or StatefulSet. Default: as for a PrismPattern.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<WorkloadKind>,
    /// Image of the runner, used as written. Default: as for a PrismPattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub image: Option<String>,
    /// Pods to run. With autoscaling on, this is only the number to begin with. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000), extend("default" = 1))]
    pub replicas: Option<i32>,
    /// Backends of the pattern: names from `backends`, or built-in types such as sqlite.
    #[serde(
        default,
        deserialize_with = "crate::connection::without_nulls",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub backends: Vec<BackendUse>,
    /// A volume for each pod; makes the workload a StatefulSet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageSpec>,
    /// CPU and memory of the runner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::resources")]
    pub resources: Option<ResourceRequirements>,
    /// How the number of pods follows the load. Default: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// Settings of the pattern, free in form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::free_form")]
    pub config: Option<FreeForm>,
}

/// Backends to make in the cluster, by product.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterBackends {
    /// Redis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<ProvisionSpec>,
    /// NATS, with JetStream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nats: Option<ProvisionSpec>,
    /// PostgreSQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<ProvisionSpec>,
    /// MinIO, an object store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minio: Option<ProvisionSpec>,
    /// Kafka, without ZooKeeper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<ProvisionSpec>,
}

impl ClusterBackends {
    /// The backends by product, those that are switched off included.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &ProvisionSpec)> {
        let Self { redis, nats, postgres, minio, kafka } = self;
        [("redis", redis), ("nats", nats), ("postgres", postgres), ("minio", minio), ("kafka", kafka)]
            .into_iter()
            .filter_map(|(product, provision)| Some((product, provision.as_ref()?)))
    }
}

/// What a cluster is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrismClusterStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State in one word, derived from the conditions: Pending, Running, Degraded or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// State in detail: Ready, Reconciling and Stalled, and those of the stack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::list")]
    pub conditions: Vec<Condition>,
    /// Name of the PrismStack behind the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// The admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_status: Option<ComponentStatus>,
    /// The proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_status: Option<ComponentStatus>,
    /// The patterns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub pattern_status: Vec<ComponentStatus>,
    /// The backends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub backend_status: Vec<ComponentStatus>,
    /// When something in this status last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reconciled: Option<Time>,
    /// Value of the annotation prism.io/reconcile-requested-at that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Every object that the operator made for this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub inventory: Vec<InventoryEntry>,
}
