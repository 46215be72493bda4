//! The way in through an ingress controller.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec, IngressTLS, ServiceBackendPort,
};
use prism_api::ingress;

use super::{Edge, encryption};

/// An Ingress that leads every path of the host to the proxy.
pub(super) fn build(edge: &Edge) -> Option<Ingress> {
    let wish = edge.open_ingress()?;
    let mut metadata = edge.metadata(edge.way_in_name());
    metadata.annotations = (!wish.annotations.is_empty()).then(|| wish.annotations.clone());
    Some(Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: wish.class_name.clone(),
            rules: Some(vec![IngressRule {
                host: wish.host.clone(),
                http: Some(HTTPIngressRuleValue { paths: vec![every_path(edge)] }),
            }]),
            tls: encryption(wish).map(|tls| vec![termination(edge, wish, tls)]),
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    })
}

/// Name of the Secret with the certificate.
pub(super) fn secret_name(edge: &Edge, tls: &ingress::IngressTls) -> String {
    tls.secret_name.clone().unwrap_or_else(|| edge.name("-tls"))
}

fn every_path(edge: &Edge) -> HTTPIngressPath {
    HTTPIngressPath {
        path: Some("/".to_owned()),
        path_type: "Prefix".to_owned(),
        backend: IngressBackend {
            service: Some(IngressServiceBackend {
                name: edge.proxy_service.to_owned(),
                port: Some(ServiceBackendPort { number: Some(edge.proxy_port), name: None }),
            }),
            resource: None,
        },
    }
}

fn termination(edge: &Edge, wish: &ingress::IngressSpec, tls: &ingress::IngressTls) -> IngressTLS {
    IngressTLS { hosts: wish.host.clone().map(|host| vec![host]), secret_name: Some(secret_name(edge, tls)) }
}
