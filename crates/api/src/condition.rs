//! The vocabulary of conditions and events.
//!
//! Types say what is judged, reasons say how it turned out. Both are part of the API: people and
//! pipelines wait on them, so a reason that was once published keeps its spelling.

use k8s_openapi::apimachinery::pkg::apis::meta::v1;
use schemars::{Schema, SchemaGenerator, json_schema};

/// A condition, as everywhere in Kubernetes.
pub type Condition = v1::Condition;

/// `Ready`: the object serves as it should. `kubectl wait --for=condition=Ready` waits for it.
pub const READY: &str = "Ready";
/// `Reconciling`: work is under way. Absent or false when the object is at rest.
pub const RECONCILING: &str = "Reconciling";
/// `Stalled`: nothing will get better until somebody acts. Absent or false otherwise.
pub const STALLED: &str = "Stalled";
/// `WorkloadAvailable`: enough pods serve.
pub const WORKLOAD_AVAILABLE: &str = "WorkloadAvailable";
/// `BackendResolved`: every backend that is named was found and may be used.
pub const BACKEND_RESOLVED: &str = "BackendResolved";
/// `ScalingActive`: the scaler is there, and can read its metrics.
pub const SCALING_ACTIVE: &str = "ScalingActive";
/// `ScalerConflict`: another autoscaler acts on the same workload.
pub const SCALER_CONFLICT: &str = "ScalerConflict";
/// `StorageReady`: volumes have the size and class asked for.
pub const STORAGE_READY: &str = "StorageReady";
/// `AdminHealthy`: the admin serves.
pub const ADMIN_HEALTHY: &str = "AdminHealthy";
/// `ProxyHealthy`: the proxy serves.
pub const PROXY_HEALTHY: &str = "ProxyHealthy";
/// `ConsoleHealthy`: the web console serves.
pub const CONSOLE_HEALTHY: &str = "ConsoleHealthy";
/// `PatternsReady`: all patterns of a stack are ready.
pub const PATTERNS_READY: &str = "PatternsReady";
/// `BackendsReady`: all backends of a stack are ready.
pub const BACKENDS_READY: &str = "BackendsReady";
/// `BackendHealthy`: the backend answers.
pub const BACKEND_HEALTHY: &str = "BackendHealthy";
/// `Provisioned`: the tenant exists on the proxy, or the backend in the cluster.
pub const PROVISIONED: &str = "Provisioned";
/// `QuotasEnforced`: the proxy enforces the quotas of a tenant.
pub const QUOTAS_ENFORCED: &str = "QuotasEnforced";
/// `ApprovalRequired`: a plan waits for a person to agree.
pub const APPROVAL_REQUIRED: &str = "ApprovalRequired";

/// Reasons of [`READY`], [`RECONCILING`], [`STALLED`] and [`WORKLOAD_AVAILABLE`].
pub mod reason {
    /// All pods that are wanted serve.
    pub const WORKLOAD_READY: &str = "WorkloadReady";
    /// Pods are starting, or are being replaced.
    pub const WORKLOAD_PROGRESSING: &str = "WorkloadProgressing";
    /// Too few pods serve, and it is not getting better.
    pub const WORKLOAD_UNAVAILABLE: &str = "WorkloadUnavailable";
    /// There are no pods, because there is no load.
    pub const SCALED_TO_ZERO: &str = "ScaledToZero";
    /// All parts of a stack, cluster or federation are ready.
    pub const ALL_READY: &str = "AllReady";
    /// Some part is not ready; the message names it.
    pub const PARTS_NOT_READY: &str = "PartsNotReady";
    /// The first pass is under way.
    pub const PROGRESSING: &str = "Progressing";
    /// Nothing is left to do.
    pub const UP_TO_DATE: &str = "UpToDate";
    /// The part is switched off.
    pub const DISABLED: &str = "Disabled";
    /// The object is being deleted.
    pub const TERMINATING: &str = "Terminating";
    /// The operator leaves the children alone, as asked.
    pub const PAUSED: &str = "Paused";
    /// The plan waits for a person to agree.
    pub const APPROVAL_REQUIRED: &str = "ApprovalRequired";

    /// The spec contradicts itself; the message names the field and the way out.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// An object of that name exists and belongs to somebody else.
    pub const NAME_CONFLICT: &str = "NameConflict";
    /// The API server refused an object for good.
    pub const APPLY_REJECTED: &str = "ApplyRejected";
    /// An object could not be written; it is tried again.
    pub const APPLY_FAILED: &str = "ApplyFailed";
    /// The operator may not do what it has to; the message names the missing rule.
    pub const FORBIDDEN: &str = "Forbidden";
    /// Something that is referred to does not exist.
    pub const DEPENDENCY_NOT_FOUND: &str = "DependencyNotFound";
    /// Something that is referred to exists and is not ready.
    pub const DEPENDENCY_NOT_READY: &str = "DependencyNotReady";

    /// Volumes are as asked for.
    pub const STORAGE_BOUND: &str = "StorageBound";
    /// Volumes are growing.
    pub const STORAGE_RESIZING: &str = "StorageResizing";
    /// A volume cannot get smaller: raise the size again, or make a new pattern.
    pub const STORAGE_SHRINK_REFUSED: &str = "StorageShrinkRefused";
    /// A volume cannot change its class: go back, or make a new pattern.
    pub const STORAGE_CLASS_CHANGE_REFUSED: &str = "StorageClassChangeRefused";
    /// The class of the volume does not allow it to grow.
    pub const STORAGE_CLASS_NOT_EXPANDABLE: &str = "StorageClassNotExpandable";
    /// A field of the workload that cannot change was changed.
    pub const IMMUTABLE_CHANGE_REFUSED: &str = "ImmutableChangeRefused";

    /// The backend is one of the stack, or a `PrismBackend`.
    pub const BACKEND_FOUND: &str = "BackendFound";
    /// The backend is a built-in type; its address comes from the settings, if it needs one.
    pub const BUILT_IN_BACKEND: &str = "BuiltInBackend";
    /// The pattern uses no backend.
    pub const NO_BACKEND: &str = "NoBackend";
    /// No backend has that name.
    pub const BACKEND_NOT_FOUND: &str = "BackendNotFound";
    /// The namespace of the backend has not consented.
    pub const REF_NOT_PERMITTED: &str = "RefNotPermitted";
    /// The Secret with the credentials does not exist.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// The Secret has no key of that name.
    pub const SECRET_KEY_NOT_FOUND: &str = "SecretKeyNotFound";
    /// The Service of the backend does not exist.
    pub const SERVICE_NOT_FOUND: &str = "ServiceNotFound";
    /// The backend has no address.
    pub const CONNECTION_MISSING: &str = "ConnectionMissing";
    /// The backend answers.
    pub const BACKEND_REACHABLE: &str = "BackendReachable";
    /// The backend does not answer.
    pub const BACKEND_UNREACHABLE: &str = "BackendUnreachable";
    /// The health check is switched off.
    pub const HEALTH_CHECK_DISABLED: &str = "HealthCheckDisabled";
    /// Nobody has looked yet.
    pub const NOT_CHECKED_YET: &str = "NotCheckedYet";

    /// The scaler works.
    pub const SCALER_READY: &str = "ScalerReady";
    /// Autoscaling is off.
    pub const SCALING_DISABLED: &str = "ScalingDisabled";
    /// The scaler was made, and has not reported yet.
    pub const SCALER_PENDING: &str = "ScalerPending";
    /// The scaler's API is not installed in the cluster.
    pub const SCALER_NOT_INSTALLED: &str = "ScalerNotInstalled";
    /// The operator cannot run this scaler here.
    pub const SCALER_NOT_SUPPORTED: &str = "ScalerNotSupported";
    /// The scaler reports an error; the message is its own.
    pub const SCALER_FAILED: &str = "ScalerFailed";
    /// The scaler cannot read its metrics.
    pub const METRICS_UNAVAILABLE: &str = "MetricsUnavailable";
    /// The credentials of a trigger were not found.
    pub const TRIGGER_AUTHENTICATION_NOT_FOUND: &str = "TriggerAuthenticationNotFound";
    /// Another autoscaler acts on the same workload.
    pub const FOREIGN_SCALER: &str = "ForeignScaler";
    /// No other autoscaler acts on the workload.
    pub const NO_CONFLICT: &str = "NoConflict";
    /// The number of replicas is at its limit.
    pub const LIMITED: &str = "Limited";
    /// Decisions are reported and not carried out.
    pub const SHADOW: &str = "Shadow";
    /// The object to scale does not exist.
    pub const TARGET_NOT_FOUND: &str = "TargetNotFound";

    /// The tenant exists on the proxy.
    pub const NAMESPACE_CREATED: &str = "NamespaceCreated";
    /// The proxy enforces the quotas.
    pub const QUOTAS_APPLIED: &str = "QuotasApplied";
    /// There are no quotas to enforce.
    pub const NO_QUOTAS: &str = "NoQuotas";
    /// The proxy cannot enforce quotas.
    pub const QUOTAS_NOT_SUPPORTED: &str = "QuotasNotSupported";
    /// The admin does not answer.
    pub const ADMIN_UNREACHABLE: &str = "AdminUnreachable";
    /// The admin refused; the message is its own.
    pub const ADMIN_REJECTED: &str = "AdminRejected";
    /// No proxy of that name was found.
    pub const PROXY_NOT_FOUND: &str = "ProxyNotFound";
    /// The time of the tenant is over.
    pub const EXPIRED: &str = "Expired";
    /// A member of the federation does not answer.
    pub const CLUSTER_UNREACHABLE: &str = "ClusterUnreachable";
}

/// Reasons of events, beside the ones above.
pub mod event {
    /// An object was made.
    pub const CREATED: &str = "Created";
    /// An object was changed, because the spec was.
    pub const UPDATED: &str = "Updated";
    /// Somebody else had changed an object of ours; it is as it should be again.
    pub const DRIFT_REPAIRED: &str = "DriftRepaired";
    /// An object that is no longer wanted was deleted.
    pub const PRUNED: &str = "Pruned";
    /// A workload was made anew, because the change did not fit in place.
    pub const WORKLOAD_REPLACED: &str = "WorkloadReplaced";
    /// Volumes are growing to the new size.
    pub const VOLUMES_GROWN: &str = "VolumesGrown";
    /// An object of that name exists and belongs to somebody else.
    pub const NAME_CONFLICT: &str = "NameConflict";
    /// One scaler took over from another.
    pub const SCALER_SWITCHED: &str = "ScalerSwitched";
    /// The number of replicas was changed.
    pub const SCALED: &str = "Scaled";
    /// An existing object was taken over.
    pub const ADOPTED: &str = "Adopted";
    /// Two ports were the same, and one was moved.
    pub const PORT_MOVED: &str = "PortMoved";
    /// The spec works, and there is a better way to write it.
    pub const SPEC_WARNING: &str = "SpecWarning";
    /// Reconciliation was paused.
    pub const PAUSED: &str = "Paused";
    /// Reconciliation goes on.
    pub const RESUMED: &str = "Resumed";
}

/// Schema of a list of conditions: one for each type.
pub(crate) fn list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {
                    "description": "When the status last changed.",
                    "type": "string",
                    "format": "date-time",
                },
                "message": {
                    "description": "What to know or to do, for people.",
                    "type": "string",
                    "maxLength": 32768,
                },
                "observedGeneration": {
                    "description": "Generation of the spec that this condition speaks of.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
                "reason": {
                    "description": "How it turned out, in one word.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "status": {
                    "description": "Whether it holds: True, False or Unknown.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                },
                "type": {
                    "description": "What is judged.",
                    "type": "string",
                    "maxLength": 316,
                    "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
            },
        },
    })
}
