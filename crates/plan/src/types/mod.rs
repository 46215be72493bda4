//! Objects whose definitions others install, with the fields that the planner writes and no more.
//!
//! What is left out belongs to the defaults of the definitions. Crates with the whole of them would
//! bring thousands of fields for a dozen that are used.

mod cert_manager;
mod gateway;
mod keda;
mod monitoring;

use k8s_openapi::{
    Metadata, NamespaceResourceScope, Resource, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Serialize;

pub use cert_manager::{Certificate, CertificateSpec, Issuer};
pub use gateway::{GrpcBackendRef, GrpcRoute, GrpcRouteRule, GrpcRouteSpec, ParentRef};
pub use keda::{
    Advanced, AutoscalerConfig, ConfigMapTarget, KedaAuthenticationRef, KedaFallback, KedaTrigger,
    ScaleTarget, ScaledObject, ScaledObjectSpec, SecretTarget, TriggerAuthentication,
    TriggerAuthenticationSpec,
};
pub use monitoring::{
    Alert, NamespaceSelector, PodEndpoint, PodMonitor, PodMonitorSpec, PrometheusRule, PrometheusRuleSpec,
    RuleGroup, ServiceEndpoint, ServiceMonitor, ServiceMonitorSpec,
};

/// The kind that a spec makes an object of.
pub trait Definition {
    /// API group.
    const GROUP: &'static str;
    /// API version without the group.
    const VERSION: &'static str;
    /// API group and version.
    const API_VERSION: &'static str;
    /// Kind in singular camel case.
    const KIND: &'static str;
    /// Resource name in the URL.
    const PLURAL: &'static str;
}

/// An object with the spec `S`. It is a resource to `k8s-openapi`, and so to kube as well.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Object<S> {
    /// API group and version.
    pub api_version: &'static str,
    /// Kind in singular camel case.
    pub kind: &'static str,
    /// Name, labels, owner.
    pub metadata: ObjectMeta,
    /// What the object should be.
    pub spec: S,
}

impl<S: Definition> Object<S> {
    /// An object of the kind that belongs to `spec`.
    #[must_use]
    pub fn new(metadata: ObjectMeta, spec: S) -> Self {
        Self { api_version: S::API_VERSION, kind: S::KIND, metadata, spec }
    }

    /// Name of the object; empty if it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }
}

impl<S: Definition> Resource for Object<S> {
    const API_VERSION: &'static str = S::API_VERSION;
    const GROUP: &'static str = S::GROUP;
    const KIND: &'static str = S::KIND;
    const VERSION: &'static str = S::VERSION;
    const URL_PATH_SEGMENT: &'static str = S::PLURAL;
    type Scope = NamespaceResourceScope;
}

impl<S: Definition> Metadata for Object<S> {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &Self::Ty {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut Self::Ty {
        &mut self.metadata
    }
}
