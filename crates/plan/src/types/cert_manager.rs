//! Certificates of cert-manager.

use serde::Serialize;

use super::{Definition, Object};

/// A certificate that cert-manager writes to a Secret and renews.
pub type Certificate = Object<CertificateSpec>;

/// What a certificate is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSpec {
    /// Secret to write it to.
    pub secret_name: String,
    /// Hosts it is valid for.
    pub dns_names: Vec<String>,
    /// Who signs it.
    pub issuer_ref: Issuer,
}

/// Who signs a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// Name of the issuer.
    pub name: String,
    /// Its kind: Issuer or `ClusterIssuer`.
    pub kind: &'static str,
    /// Its API group.
    pub group: &'static str,
}

impl Definition for CertificateSpec {
    const GROUP: &'static str = "cert-manager.io";
    const VERSION: &'static str = "v1";
    const API_VERSION: &'static str = "cert-manager.io/v1";
    const KIND: &'static str = "Certificate";
    const PLURAL: &'static str = "certificates";
}
