//! The children of a pattern.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Service, ServiceAccount},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::resolved::ResolvedPattern;

/// Everything that a pattern may consist of. Destructure it without `..`: then a child that is
/// added here and forgotten elsewhere does not compile.
#[derive(Clone, Debug, PartialEq)]
pub struct Children {
    /// Identity of the pods.
    pub service_account: Option<ServiceAccount>,
    /// Settings of the runner.
    pub config: Option<ConfigMap>,
    /// What runs the pods.
    pub workload: Workload,
    /// How the pods are reached.
    pub service: Service,
    /// How each pod of a `StatefulSet` is reached.
    pub headless: Option<Service>,
    /// How many pods drains may take.
    pub budget: Option<PodDisruptionBudget>,
    /// What scales the workload.
    pub scaler: Option<HorizontalPodAutoscaler>,
}

/// What runs the pods. Boxed: these are the largest types of Kubernetes.
#[derive(Clone, Debug, PartialEq)]
pub enum Workload {
    /// Interchangeable pods.
    Deployment(Box<Deployment>),
    /// Pods with an identity.
    StatefulSet(Box<StatefulSet>),
}

/// Metadata of a child named `name`.
pub(super) fn metadata(pattern: &ResolvedPattern, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(pattern.namespace.clone()),
        labels: Some(pattern.labels.clone()),
        owner_references: Some(vec![pattern.owner_reference()]),
        ..ObjectMeta::default()
    }
}
