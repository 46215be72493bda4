//! Routes of the Gateway API.

use serde::Serialize;

use super::{Definition, Object};

/// A route of gRPC calls from a Gateway to a Service.
pub type GrpcRoute = Object<GrpcRouteSpec>;

/// Where calls come from and where they go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrpcRouteSpec {
    /// Gateways that the route attaches to.
    pub parent_refs: Vec<ParentRef>,
    /// Hosts it is for; all of the listener if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<String>,
    /// Where calls go.
    pub rules: Vec<GrpcRouteRule>,
}

/// A Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// Name of the Gateway.
    pub name: String,
    /// Its namespace; that of the route if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the listener; all that fit if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

/// A rule without matches, which is for every call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrpcRouteRule {
    /// Services that calls go to.
    pub backend_refs: Vec<GrpcBackendRef>,
}

/// A Service in the namespace of the route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GrpcBackendRef {
    /// Name of the Service.
    pub name: String,
    /// Its port.
    pub port: i32,
}

impl Definition for GrpcRouteSpec {
    const GROUP: &'static str = "gateway.networking.k8s.io";
    const VERSION: &'static str = "v1";
    const API_VERSION: &'static str = "gateway.networking.k8s.io/v1";
    const KIND: &'static str = "GRPCRoute";
    const PLURAL: &'static str = "grpcroutes";
}
