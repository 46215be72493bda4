//! Names that are part of the API: the group, field managers and finalizers.

/// API group of every custom resource.
pub const GROUP: &str = "prism.io";

/// Field manager under which the operator applies everything it owns.
pub const FIELD_MANAGER: &str = "prism-operator";

/// What the names of the operator's metrics begin with.
pub const METRICS_PREFIX: &str = "prism_operator";

/// Field manager that holds `spec.replicas` while one scaler hands over to another.
pub const REPLICAS_FIELD_MANAGER: &str = "prism-operator-replicas";

/// Finalizer on a `PrismStack`: its patterns and backends may live in other namespaces, where
/// owner references do not reach.
pub const STACK_FINALIZER: &str = "prism.io/stack";

/// Finalizer on a `PrismPattern` that has left objects behind in a namespace it does not live in.
pub const PATTERN_FINALIZER: &str = "prism.io/pattern";

/// Finalizer on a `PrismNamespace`: the tenant is revoked on the proxy before the object goes.
pub const NAMESPACE_FINALIZER: &str = "prism.io/namespace";

/// Value of `app.kubernetes.io/managed-by` on everything the operator makes.
pub const MANAGED_BY: &str = "prism-operator";

/// Longest name that fits a DNS label, and so a Service.
pub const MAX_LABEL_LENGTH: usize = 63;
