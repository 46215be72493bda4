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
/// `BackendResolved`: every backend that is named was found and may be used.
pub const BACKEND_RESOLVED: &str = "BackendResolved";
/// `ScalingActive`: the scaler is there, and can read its metrics. Absent without a scaler.
pub const SCALING_ACTIVE: &str = "ScalingActive";
/// `ScalingLimited`: a limit keeps the replicas from what the metrics ask for. Absent without a scaler.
pub const SCALING_LIMITED: &str = "ScalingLimited";
/// `ScalerConflict`: somebody else scales the same workload, and is left to it. Absent otherwise.
pub const SCALER_CONFLICT: &str = "ScalerConflict";
/// `Provisioned`: the server that the operator provides runs. Absent where it provides none.
pub const PROVISIONED: &str = "Provisioned";
/// `BackendHealthy`: the backend answered when somebody last connected to it.
pub const BACKEND_HEALTHY: &str = "BackendHealthy";

/// `SpecWarning`: the spec says something that works, and that its author should think about again.
/// Absent otherwise.
pub const SPEC_WARNING: &str = "SpecWarning";
/// `AdminHealthy`: the admins have a quorum, and as many serve as are wanted.
pub const ADMIN_HEALTHY: &str = "AdminHealthy";
/// `ProxyHealthy`: as many proxies serve as are wanted.
pub const PROXY_HEALTHY: &str = "ProxyHealthy";
/// `ConsoleHealthy`: as many web consoles serve as are wanted.
pub const CONSOLE_HEALTHY: &str = "ConsoleHealthy";
/// `PatternsReady`: every pattern of the stack is ready.
pub const PATTERNS_READY: &str = "PatternsReady";
/// `BackendsReady`: every backend that the stack provides, or requires, is ready.
pub const BACKENDS_READY: &str = "BackendsReady";
/// `IntegrationsAvailable`: the cluster serves the optional APIs that the spec asks for.
pub const INTEGRATIONS_AVAILABLE: &str = "IntegrationsAvailable";

/// Reasons of [`READY`], [`RECONCILING`] and [`STALLED`], and of the others.
pub mod reason {
    /// All pods that are wanted serve.
    pub const WORKLOAD_READY: &str = "WorkloadReady";
    /// Pods are starting, or are being replaced.
    pub const WORKLOAD_PROGRESSING: &str = "WorkloadProgressing";
    /// Too few pods serve, and it is not getting better.
    pub const WORKLOAD_UNAVAILABLE: &str = "WorkloadUnavailable";
    /// There are no pods, because there is no load.
    pub const SCALED_TO_ZERO: &str = "ScaledToZero";
    /// The first pass is under way.
    pub const PROGRESSING: &str = "Progressing";
    /// The operator leaves the children alone, as asked.
    pub const PAUSED: &str = "Paused";

    /// The spec contradicts itself; the message names the field and the way out.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// An object of that name exists and belongs to somebody else.
    pub const NAME_CONFLICT: &str = "NameConflict";
    /// The API server refused an object for good.
    pub const APPLY_REJECTED: &str = "ApplyRejected";
    /// An object could not be written; it is tried again.
    pub const APPLY_FAILED: &str = "ApplyFailed";
    /// Somebody else changes an object of the operator again and again.
    pub const FIELD_CONFLICT: &str = "FieldConflict";
    /// What the deletion waits for could not be done; it is tried again.
    pub const DELETION_FAILED: &str = "DeletionFailed";

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
    /// The namespace of what is referred to has not consented.
    pub const REF_NOT_PERMITTED: &str = "RefNotPermitted";
    /// The namespace that a pattern runs in does not allow settings of its spec, which are left out.
    pub const SETTINGS_WITHHELD: &str = "SettingsWithheld";
    /// The backend has no address.
    pub const CONNECTION_MISSING: &str = "ConnectionMissing";
    /// Nobody has connected to the backend yet.
    pub const NOT_PROBED: &str = "NotProbed";

    /// Parts of the stack are not ready; the message names them.
    pub const PARTS_NOT_READY: &str = "PartsNotReady";
    /// All parts of the stack are ready.
    pub const ALL_READY: &str = "AllReady";
    /// The spec has none.
    pub const NOT_WANTED: &str = "NotWanted";
    /// It is made when what it depends on is ready.
    pub const WAITING_FOR_DEPENDENCY: &str = "WaitingForDependency";
    /// Something is about to be replaced or lost, and somebody has to agree first.
    pub const APPROVAL_REQUIRED: &str = "ApprovalRequired";
    /// Too few of the running members would be left to agree on anything.
    pub const QUORUM_LOSS_REFUSED: &str = "QuorumLossRefused";
    /// An even number of members survives no more failures than one fewer.
    pub const EVEN_REPLICAS: &str = "EvenReplicas";
    /// Two ports would be the same; one has moved.
    pub const PORT_MOVED: &str = "PortMoved";
    /// The endpoint for traces is that of an old protocol.
    pub const LEGACY_TRACING_ENDPOINT: &str = "LegacyTracingEndpoint";
    /// A pattern cannot be in the namespaces of two backends.
    pub const COLLOCATION_CONFLICT: &str = "CollocationConflict";
    /// No storage class has that name.
    pub const STORAGE_CLASS_NOT_FOUND: &str = "StorageClassNotFound";
    /// The cluster does not serve an optional API.
    pub const API_NOT_INSTALLED: &str = "ApiNotInstalled";

    /// Somebody else scales the same workload.
    pub const SCALER_CONFLICT: &str = "ScalerConflict";
    /// A scaler that the operator has not made.
    pub const FOREIGN_SCALER: &str = "ForeignScaler";
    /// The scaler before has not gone yet.
    pub const HANDING_OVER: &str = "HandingOver";
    /// The cluster has no KEDA.
    pub const KEDA_NOT_INSTALLED: &str = "KedaNotInstalled";
    /// The password that the operator drew for a server is gone, and its data is not.
    pub const CREDENTIALS_LOST: &str = "CredentialsLost";
    /// A Secret that a trigger needs does not exist.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// A Secret that a trigger needs cannot be read.
    pub const SECRET_UNREADABLE: &str = "SecretUnreadable";
    /// The operator does not answer whom the spec wants to ask it.
    pub const OUTLET_CLOSED: &str = "OutletClosed";
    /// Every metric was read.
    pub const METRICS_READ: &str = "MetricsRead";
    /// A metric could not be read: nothing scales down.
    pub const METRICS_UNAVAILABLE: &str = "MetricsUnavailable";
    /// No metric could be read for so long that the fallback applies.
    pub const FALLBACK_ACTIVE: &str = "FallbackActive";
    /// The replicas stay as they are, as asked.
    pub const SCALING_PAUSED: &str = "ScalingPaused";
    /// There is nothing of that name to scale.
    pub const TARGET_NOT_FOUND: &str = "TargetNotFound";
    /// More replicas than that would have nothing to do.
    pub const REPLICAS_CAPPED: &str = "ReplicasCapped";
}

/// Reasons of events, beside the ones above.
pub mod event {
    /// Somebody else had changed an object of ours; it is as it should be again.
    pub const DRIFT_REPAIRED: &str = "DriftRepaired";
    /// An object that is no longer wanted was deleted.
    pub const PRUNED: &str = "Pruned";
    /// A workload was made anew, because the change did not fit in place.
    pub const WORKLOAD_REPLACED: &str = "WorkloadReplaced";
    /// Volumes are growing to the new size.
    pub const VOLUMES_GROWN: &str = "VolumesGrown";
    /// The object is gone, and its volumes are still there.
    pub const VOLUMES_RETAINED: &str = "VolumesRetained";
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
