//! The way in through a Gateway.

use super::{Edge, encryption};
use crate::invalid::Invalid;
use crate::types::{GrpcBackendRef, GrpcRoute, GrpcRouteRule, GrpcRouteSpec, ParentRef};

/// What helps where there are no routes.
pub(super) const REMEDY: &str =
    "install the Gateway API, or remove spec.ingress.gateway to get an Ingress in its place";

/// A route of every call from the Gateway to the proxy.
pub(super) fn build(edge: &Edge) -> Option<GrpcRoute> {
    let wish = edge.way_in()?;
    let gateway = wish.gateway.as_ref()?;
    let mut metadata = edge.metadata(edge.way_in_name());
    metadata.annotations = (!wish.annotations.is_empty()).then(|| wish.annotations.clone());
    let parent = ParentRef {
        name: gateway.name.clone(),
        namespace: gateway.namespace.clone(),
        section_name: gateway.section_name.clone(),
    };
    let proxy = GrpcBackendRef { name: edge.proxy_service.to_owned(), port: edge.proxy_port };
    let spec = GrpcRouteSpec {
        parent_refs: vec![parent],
        hostnames: wish.host.iter().cloned().collect(),
        rules: vec![GrpcRouteRule { backend_refs: vec![proxy] }],
    };
    Some(GrpcRoute::new(metadata, spec))
}

/// A route has no say in how its listener is encrypted.
pub(super) fn check(edge: &Edge) -> Result<(), Invalid> {
    let Some(wish) = edge.way_in().filter(|wish| wish.gateway.is_some()) else { return Ok(()) };
    if encryption(wish).is_some() {
        return Err(Invalid::new(
            "spec.ingress.tls",
            "with spec.ingress.gateway, encryption is up to the listener of the Gateway: \
             configure it there, and remove this block",
        ));
    }
    Ok(())
}
