//! Names that are part of the API: the group, field managers and finalizers.

/// Field manager under which the operator applies everything it owns.
pub const FIELD_MANAGER: &str = "prism-operator";

/// What the names of the operator's metrics begin with.
pub const METRICS_PREFIX: &str = "prism_operator";

/// Value of `app.kubernetes.io/managed-by` on everything the operator makes.
pub const MANAGED_BY: &str = "prism-operator";

/// Finalizer of objects that have children in other namespaces, or an order in which to go.
pub const FINALIZER: &str = "prism.io/cleanup";

/// Prefix of the group's labels and annotations.
pub const LABEL_PREFIX: &str = "prism.io/";
