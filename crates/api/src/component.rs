//! The parts of a stack that are not patterns: admin, proxy and web console.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, ResourceRequirements};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    autoscaling::Autoscaling,
    placement::Placement,
    scaling::ScalingDecision,
    schema::FreeForm,
    workload::{DisruptionBudget, ImagePullPolicy, LocalRef, Probes, ServiceSpec, StorageSpec, WorkloadKind},
};

/// What all components have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentSpec {
    /// Whether the component runs. Default: true, as the block is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Kind of the workload. Default: StatefulSet for the admin, Deployment for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<WorkloadKind>,
    /// Image, used as written. Default: the stack's registry and version, with the program of the
    /// component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub image: Option<String>,
    /// When nodes pull the image. Default: as Kubernetes decides by the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets for pulling the image. Default: those of the stack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Vec<LocalRef>,
    /// Pods to run. With autoscaling on, this is only the number to begin with. For the admin, an
    /// odd number survives most failures. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000), extend("default" = 1))]
    pub replicas: Option<i32>,
    /// Port that clients connect to. Default: 9090 for the proxy, 8981 for the admin, 8080 for the
    /// web console; other numbers with the runtime profile upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// Port of the metrics. Default: that of `observability.metrics`, and one more where it would
    /// be the same as `port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub metrics_port: Option<i32>,
    /// CPU and memory of the component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::resources")]
    pub resources: Option<ResourceRequirements>,
    /// Where the pods run. Its `affinity` wins over that of the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// The Service in front of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceSpec>,
    /// A volume for each pod. Default: 1Gi for the admin as a StatefulSet, none for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageSpec>,
    /// Arguments added to those that the operator passes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "atomic"))]
    pub args: Vec<String>,
    /// Environment of the component. A name that the operator sets as well takes this value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::env")]
    pub env: Vec<EnvVar>,
    /// ConfigMaps and Secrets whose keys become environment variables, as on a container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 64, "x-kubernetes-list-type" = "atomic"))]
    pub env_from: Vec<EnvFromSource>,
    /// Health checks. Default: those of the runtime profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
    /// How many pods drains and upgrades of nodes may take away at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disruption_budget: Option<DisruptionBudget>,
    /// Annotations of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub pod_annotations: BTreeMap<String, String>,
    /// Labels of the pods, beside the operator's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub pod_labels: BTreeMap<String, String>,
    /// A strategic merge patch on the pod template, for whatever has no field here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::free_form")]
    pub pod_template: Option<FreeForm>,
    /// ServiceAccount of the pods, which must exist. Default: one of the component's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = crate::schema::DNS_SUBDOMAIN_PATTERN))]
    pub service_account_name: Option<String>,
    /// Seconds a pod has to finish its work when it is stopped. Default: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub termination_grace_period_seconds: Option<i64>,
}

impl ComponentSpec {
    /// Whether the component runs, which it does unless the block says otherwise.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }
}

/// A component whose number of pods may follow the load: the proxy, the web console.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.storage) || !has(self.kind) || self.kind != 'Deployment'")
    .message("storage needs the kind StatefulSet: remove kind: Deployment, or the storage block")
    .field_path(".kind"))]
pub struct ScaledComponentSpec {
    /// What all components have.
    #[serde(flatten)]
    pub component: ComponentSpec,
    /// How the number of pods follows the load. Default: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
}

/// The admin: the control plane, which agrees by Raft and does not scale with the load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.kind) || self.kind != 'Deployment' || self.replicas <= 1")
    .message("admin runs as a Deployment with one replica only: remove kind: Deployment, or set replicas: 1")
    .field_path(".kind"))]
pub struct AdminSpec {
    /// What all components have.
    #[serde(flatten)]
    pub component: ComponentSpec,
    /// Election of the admin that acts, passed on to the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_election: Option<LeaderElection>,
}

/// Election of the admin that acts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeaderElection {
    /// Whether admins elect a leader by a Lease. Default: true, as the block is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Time after which another admin may take over, such as 15s. Default: the program's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = crate::schema::DURATION_PATTERN))]
    pub lease_duration: Option<String>,
    /// Time the leader has to renew, such as 10s; less than `leaseDuration`. Default: the program's
    /// own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = crate::schema::DURATION_PATTERN))]
    pub renew_deadline: Option<String>,
    /// Time between two attempts, such as 2s. Default: the program's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = crate::schema::DURATION_PATTERN))]
    pub retry_period: Option<String>,
}

/// State of one part of a stack or cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// Name of the part.
    pub name: String,
    /// Kind of the object behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name of the object behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Namespace of the object, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Whether it serves.
    pub ready: bool,
    /// Pods that are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Pods that serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_replicas: Option<i32>,
    /// Why the number of replicas is what it is. Absent without a scaler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalingDecision>,
    /// What to know or do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
