//! `PrismPattern`: one pattern runner.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ContainerPort, EnvFromSource, EnvVar, PodSecurityContext, ResourceRequirements, SecurityContext,
    VolumeMount,
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    autoscaling::Autoscaling,
    backend::DeletionPolicy,
    condition::Condition,
    connection::BackendUse,
    inventory::InventoryEntry,
    placement::Placement,
    scaling::ScalingDecision,
    schema::FreeForm,
    workload::{
        DisruptionBudget, ImagePullPolicy, LocalRef, Probes, RuntimeProfile, ServiceSpec, StorageSpec,
        WorkloadKind,
    },
};

/// What a pattern runner should be.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "prism.io",
    version = "v1alpha1",
    kind = "PrismPattern",
    namespaced,
    doc = "A pattern runner: a workload that serves one data access pattern on one or more backends, with its Service, scaler and disruption budget.",
    status = "PrismPatternStatus",
    derive = "PartialEq",
    derive = "Default",
    shortname = "ppat",
    category = "prism",
    validation = Rule::new("size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')")
        .message("metadata.name must be a DNS label of at most 63 characters, because the Service takes the same name: shorten it, and use - in place of dots"),
    validation = Rule::new("oldSelf.hasValue() || self.metadata.name.matches('^[a-z]')")
        .message("metadata.name must begin with a letter, because the Service takes the same name: choose another name, such as one with a letter in front")
        .optional_old_self(true),
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status", "description": "Whether the runner serves"}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason", "description": "Why it does or does not"}"#,
    printcolumn = r#"{"name": "Kind", "type": "string", "jsonPath": ".status.kind", "description": "Kind of the workload"}"#,
    printcolumn = r#"{"name": "Replicas", "type": "integer", "jsonPath": ".status.readyReplicas", "description": "Pods that are ready"}"#,
    printcolumn = r#"{"name": "Desired", "type": "integer", "jsonPath": ".status.desiredReplicas", "description": "Pods that are wanted"}"#,
    printcolumn = r#"{"name": "Scaler", "type": "string", "jsonPath": ".status.scaler", "description": "Who sets the number of pods"}"#,
    printcolumn = r#"{"name": "Backend", "type": "string", "jsonPath": ".status.backend", "description": "Backends in use"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": "Time since creation"}"#,
    printcolumn = r#"{"name": "Pattern", "type": "string", "jsonPath": ".spec.pattern", "priority": 1, "description": "Type of the pattern"}"#,
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase", "priority": 1, "description": "State in one word"}"#,
    printcolumn = r#"{"name": "Image", "type": "string", "jsonPath": ".spec.image", "priority": 1, "description": "Image asked for"}"#,
    printcolumn = r#"{"name": "Message", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message", "priority": 1, "description": "What to know or do"}"#
)]
#[x_kube(
    validation = Rule::new("has(self.pattern) || has(self.type)")
        .message("pattern is required (its alias is type): name the pattern to run, such as keyvalue or consumer")
        .field_path(".pattern")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("!has(self.pattern) || !has(self.type) || self.pattern == self.type")
        .message("pattern and its alias type differ: keep pattern and remove type")
        .field_path(".type"),
    validation = Rule::new("!has(self.storage) || !has(self.kind) || self.kind != 'Deployment'")
        .message("storage needs the kind StatefulSet: remove kind: Deployment, or the storage block")
        .field_path(".kind")
)]
pub struct PrismPatternSpec {
    /// Type of the pattern: keyvalue, pubsub, queue, producer, consumer, mailbox, claimcheck, or
    /// one of your own together with `image`. Required, here or as `type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = crate::schema::DNS_LABEL_PATTERN))]
    pub pattern: Option<String>,
    /// Alias of `pattern`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = crate::schema::DNS_LABEL_PATTERN))]
    pub type_: Option<String>,
    /// Kind of the workload. Default: StatefulSet for consumer and mailbox and where `storage` is
    /// given, otherwise Deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<WorkloadKind>,
    /// The backend: the name of a backend of the stack or of a PrismBackend, or a built-in type
    /// such as memstore, redis or kafka whose address stands in `config` or `backendConfig`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub backend: Option<String>,
    /// Several backends, for patterns with several slots: names, or objects with name, slot and
    /// config. `backend`, if set, counts as the first.
    #[serde(
        default,
        deserialize_with = "crate::connection::without_nulls",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub backends: Vec<BackendUse>,
    /// Image of the runner, used as written. Default: the operator's registry and version, with the
    /// program that belongs to the pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub image: Option<String>,
    /// When nodes pull the image. Default: as Kubernetes decides by the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets for pulling the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Vec<LocalRef>,
    /// Conventions that the program follows: `standard`, or `upstream` for the released programs
    /// with their own flags and ports. Default: that of the stack, otherwise standard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_profile: Option<RuntimeProfile>,
    /// Pods to run. With autoscaling on, this is only the number to begin with, kept within the
    /// limits of the scaler. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000), extend("default" = 1))]
    pub replicas: Option<i32>,
    /// CPU and memory of the runner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::resources")]
    pub resources: Option<ResourceRequirements>,
    /// How the number of pods follows the load. Default: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// Where the pods run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Alias of `placement`. Where both are given, `placement` wins field by field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_spec: Option<Placement>,
    /// Settings of the pattern, free in form; the runner gets them as its configuration file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::free_form")]
    pub config: Option<FreeForm>,
    /// Connection to the backend: `name` and `namespace` of a PrismBackend, or settings in place,
    /// by backend or directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::free_form")]
    pub backend_config: Option<FreeForm>,
    /// The Service in front of the pods. It has the name of the pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceSpec>,
    /// A volume for each pod; makes the workload a StatefulSet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageSpec>,
    /// Program to start in place of the image's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub command: Vec<String>,
    /// Arguments in place of those that the operator passes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "atomic"))]
    pub args: Vec<String>,
    /// Environment of the runner. A name that the operator sets as well takes this value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::env")]
    pub env: Vec<EnvVar>,
    /// ConfigMaps and Secrets whose keys become environment variables, as on a container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 64, "x-kubernetes-list-type" = "atomic"))]
    pub env_from: Vec<EnvFromSource>,
    /// Further ports of the runner, beside that of `service`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::container_ports")]
    pub ports: Vec<ContainerPort>,
    /// Health checks. Default: those of the runtime profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
    /// Volumes of the pod, as on a pod: a name and a source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::volumes")]
    pub volumes: Vec<FreeForm>,
    /// Where the runner finds those volumes, as on a container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::volume_mounts")]
    pub volume_mounts: Vec<VolumeMount>,
    /// A strategic merge patch on the pod template, for whatever has no field here: metadata and
    /// spec. It is applied last, and cannot change the labels that selectors use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::free_form")]
    pub pod_template: Option<FreeForm>,
    /// Annotations of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub pod_annotations: BTreeMap<String, String>,
    /// Labels of the pods, beside the operator's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub pod_labels: BTreeMap<String, String>,
    /// ServiceAccount of the pods, which must exist. Default: one of the pattern's own, made by the
    /// operator, without any rights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = crate::schema::DNS_SUBDOMAIN_PATTERN))]
    pub service_account_name: Option<String>,
    /// Security settings of the container. Default: not root, no privileges, no capabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<SecurityContext>,
    /// Security settings of the pod. Default: not root, the runtime's default seccomp profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security_context: Option<PodSecurityContext>,
    /// Seconds a pod has to finish its work when it is stopped. Default: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub termination_grace_period_seconds: Option<i64>,
    /// How many pods drains and upgrades of nodes may take away at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disruption_budget: Option<DisruptionBudget>,
    /// What becomes of the volumes when this object is deleted. Default: Retain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Host and port of the proxy that the runner registers with. Default: the proxy of the stack
    /// the pattern belongs to, otherwise none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub proxy_endpoint: Option<String>,
    /// Consumer group that the runner joins. Default: the one in `config`, `backendConfig` or the
    /// first trigger, otherwise the name of the pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub consumer_group: Option<String>,
}

/// What a pattern runner is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrismPatternStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State in one word, derived from the conditions: Pending, Running, Degraded or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// State in detail: Ready, Reconciling while work is under way, Stalled when somebody has to
    /// act, BackendResolved, and ScalingActive where the scaler does not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::list")]
    pub conditions: Vec<Condition>,
    /// Kind of the workload: Deployment or StatefulSet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<WorkloadKind>,
    /// Name of the workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Who sets the number of pods: none, hpa, keda or admin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaler: Option<ActiveScaler>,
    /// The backends in use, as found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Pods that exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Pods that are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_replicas: Option<i32>,
    /// Pods that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Pods that have been ready for long enough to count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_replicas: Option<i32>,
    /// Pods that run the latest template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_replicas: Option<i32>,
    /// Label selector of the pods, in the form of a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Why the number of replicas is what it is. Absent without a scaler.
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

/// State of a stack, cluster or pattern in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// On the way to its first readiness.
    Pending,
    /// As it should be.
    Running,
    /// Serving, but not as it should be.
    Degraded,
    /// Not serving, and not without help.
    Failed,
}

/// Who sets the number of pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActiveScaler {
    /// Nobody: the spec does.
    #[default]
    None,
    /// A HorizontalPodAutoscaler.
    Hpa,
    /// A KEDA ScaledObject.
    Keda,
    /// The operator.
    Admin,
}

impl PrismPatternSpec {
    /// The type of the pattern, by either name.
    #[must_use]
    pub fn pattern_type(&self) -> Option<&str> {
        self.pattern.as_deref().or(self.type_.as_deref())
    }
}
