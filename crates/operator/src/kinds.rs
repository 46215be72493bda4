//! Every kind that the operator touches.

use prism_engine::object::{Kind, KindInfo};

/// The group of all custom resources.
const GROUP: &str = "prism.io";

pub(crate) const PRISM_CLUSTER: Kind =
    Kind(&KindInfo::new(GROUP, "v1alpha1", "PrismCluster", "prismclusters"));
pub(crate) const PRISM_STACK: Kind = Kind(&KindInfo::new(GROUP, "v1alpha1", "PrismStack", "prismstacks"));
pub(crate) const PRISM_PATTERN: Kind =
    Kind(&KindInfo::new(GROUP, "v1alpha1", "PrismPattern", "prismpatterns"));
pub(crate) const PRISM_BACKEND: Kind =
    Kind(&KindInfo::new(GROUP, "v1alpha1", "PrismBackend", "prismbackends"));

pub(crate) const PRISM_AUTOSCALER: Kind =
    Kind(&KindInfo::new(GROUP, "v1alpha1", "PrismAutoscaler", "prismautoscalers"));

pub(crate) const SERVICE_ACCOUNT: Kind = Kind(&KindInfo::new("", "v1", "ServiceAccount", "serviceaccounts"));
pub(crate) const CONFIG_MAP: Kind = Kind(&KindInfo::new("", "v1", "ConfigMap", "configmaps"));
pub(crate) const SECRET: Kind = Kind(&KindInfo::new("", "v1", "Secret", "secrets"));
pub(crate) const SERVICE: Kind = Kind(&KindInfo::new("", "v1", "Service", "services"));
pub(crate) const ROLE: Kind = Kind(&KindInfo::new("rbac.authorization.k8s.io", "v1", "Role", "roles"));
pub(crate) const ROLE_BINDING: Kind =
    Kind(&KindInfo::new("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"));
pub(crate) const DEPLOYMENT: Kind =
    Kind(&KindInfo::new("apps", "v1", "Deployment", "deployments").workload());
pub(crate) const STATEFUL_SET: Kind =
    Kind(&KindInfo::new("apps", "v1", "StatefulSet", "statefulsets").workload());
pub(crate) const BUDGET: Kind =
    Kind(&KindInfo::new("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"));
pub(crate) const AUTOSCALER: Kind =
    Kind(&KindInfo::new("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"));
pub(crate) const INGRESS: Kind = Kind(&KindInfo::new("networking.k8s.io", "v1", "Ingress", "ingresses"));

pub(crate) const SERVICE_MONITOR: Kind =
    Kind(&KindInfo::new("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"));
pub(crate) const POD_MONITOR: Kind =
    Kind(&KindInfo::new("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors"));
pub(crate) const PROMETHEUS_RULE: Kind =
    Kind(&KindInfo::new("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"));
pub(crate) const CERTIFICATE: Kind =
    Kind(&KindInfo::new("cert-manager.io", "v1", "Certificate", "certificates"));
pub(crate) const GRPC_ROUTE: Kind =
    Kind(&KindInfo::new("gateway.networking.k8s.io", "v1", "GRPCRoute", "grpcroutes"));

pub(crate) const SCALED_OBJECT: Kind =
    Kind(&KindInfo::new("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"));
pub(crate) const TRIGGER_AUTHENTICATION: Kind =
    Kind(&KindInfo::new("keda.sh", "v1alpha1", "TriggerAuthentication", "triggerauthentications"));

/// Pods of members that vote: nobody's children here, and watched for their readiness.
pub(crate) const POD: Kind = Kind(&KindInfo::new("", "v1", "Pod", "pods").workload());

/// Objects that have children.
pub(crate) const OWNERS: [Kind; 5] =
    [PRISM_CLUSTER, PRISM_STACK, PRISM_PATTERN, PRISM_BACKEND, PRISM_AUTOSCALER];

/// Kinds of children that every cluster serves: each has one watch.
pub(crate) const CHILDREN: [Kind; 11] = [
    SERVICE_ACCOUNT,
    CONFIG_MAP,
    SECRET,
    SERVICE,
    ROLE,
    ROLE_BINDING,
    DEPLOYMENT,
    STATEFUL_SET,
    BUDGET,
    AUTOSCALER,
    INGRESS,
];

/// Kinds of children that a cluster serves if somebody has installed them.
pub(crate) const OPTIONAL: [Kind; 7] = [
    SERVICE_MONITOR,
    POD_MONITOR,
    PROMETHEUS_RULE,
    CERTIFICATE,
    GRPC_ROUTE,
    SCALED_OBJECT,
    TRIGGER_AUTHENTICATION,
];

/// Kinds that change the replicas of workloads.
pub(crate) const SCALERS: [Kind; 2] = [AUTOSCALER, SCALED_OBJECT];

/// Kinds that an inventory may name.
pub(crate) fn all() -> impl Iterator<Item = Kind> {
    OWNERS.into_iter().chain(CHILDREN).chain(OPTIONAL)
}
