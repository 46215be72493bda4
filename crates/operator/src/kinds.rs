//! Every kind that the operator touches.

use prism_engine::object::{Kind, KindInfo};

pub(crate) const PRISM_PATTERN: Kind =
    Kind(&KindInfo::new("prism.io", "v1alpha1", "PrismPattern", "prismpatterns"));
pub(crate) const PRISM_BACKEND: Kind =
    Kind(&KindInfo::new("prism.io", "v1alpha1", "PrismBackend", "prismbackends"));

pub(crate) const SERVICE_ACCOUNT: Kind = Kind(&KindInfo::new("", "v1", "ServiceAccount", "serviceaccounts"));
pub(crate) const CONFIG_MAP: Kind = Kind(&KindInfo::new("", "v1", "ConfigMap", "configmaps"));
pub(crate) const SERVICE: Kind = Kind(&KindInfo::new("", "v1", "Service", "services"));
pub(crate) const DEPLOYMENT: Kind =
    Kind(&KindInfo::new("apps", "v1", "Deployment", "deployments").workload());
pub(crate) const STATEFUL_SET: Kind =
    Kind(&KindInfo::new("apps", "v1", "StatefulSet", "statefulsets").workload());
pub(crate) const BUDGET: Kind =
    Kind(&KindInfo::new("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"));
pub(crate) const AUTOSCALER: Kind =
    Kind(&KindInfo::new("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"));

/// Objects that have children.
pub(crate) const OWNERS: [Kind; 1] = [PRISM_PATTERN];

/// Kinds of children: each has one watch.
pub(crate) const CHILDREN: [Kind; 7] =
    [SERVICE_ACCOUNT, CONFIG_MAP, SERVICE, DEPLOYMENT, STATEFUL_SET, BUDGET, AUTOSCALER];
