//! The children of a program.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{Service, ServiceAccount},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::Program;
use crate::scaling::Scalers;

/// Everything that surrounds a program. Destructure it without `..`: then a child that is
/// added here and forgotten elsewhere does not compile.
#[derive(Clone, Debug, PartialEq)]
pub struct Children {
    /// Identity of the pods.
    pub service_account: Option<ServiceAccount>,
    /// What runs the pods.
    pub workload: Workload,
    /// How the pods are reached.
    pub service: Service,
    /// How each pod of a `StatefulSet` is reached.
    pub headless: Option<Service>,
    /// How many pods drains may take.
    pub budget: Option<PodDisruptionBudget>,
    /// What scales the workload.
    pub scalers: Scalers,
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
pub(crate) fn metadata(program: &Program, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(program.namespace.clone()),
        labels: Some(program.labels.clone()),
        owner_references: Some(vec![program.owner.clone()]),
        ..ObjectMeta::default()
    }
}
