//! The certificate of the host.

use prism_api::ingress::IssuerKind;

use super::{Edge, encryption, ingress};
use crate::invalid::Invalid;
use crate::types::{Certificate, CertificateSpec, Definition, Issuer};

/// What helps where there are no certificates.
pub(super) const REMEDY: &str = "install cert-manager, or remove spec.ingress.tls.issuerRef and put the certificate \
     into the Secret of spec.ingress.tls.secretName";

/// A certificate named like the Secret that it is written to, if an issuer is named.
pub(super) fn build(edge: &Edge) -> Option<Certificate> {
    let wish = edge.open_ingress()?;
    let tls = encryption(wish)?;
    let issuer = tls.issuer_ref.as_ref()?;
    let host = wish.host.clone()?;
    let secret_name = ingress::secret_name(edge, tls);
    let issuer_ref = Issuer {
        name: issuer.name.clone(),
        kind: kind(issuer.kind.unwrap_or(IssuerKind::Issuer)),
        group: CertificateSpec::GROUP,
    };
    let spec = CertificateSpec { secret_name: secret_name.clone(), dns_names: vec![host], issuer_ref };
    Some(Certificate::new(edge.metadata(secret_name), spec))
}

/// A certificate is for a host.
pub(super) fn check(edge: &Edge) -> Result<(), Invalid> {
    let Some(wish) = edge.open_ingress().filter(|wish| wish.host.is_none()) else { return Ok(()) };
    if encryption(wish).is_some_and(|tls| tls.issuer_ref.is_some()) {
        return Err(Invalid::new(
            "spec.ingress.host",
            "name the host that the certificate is for, or remove spec.ingress.tls.issuerRef",
        ));
    }
    Ok(())
}

const fn kind(kind: IssuerKind) -> &'static str {
    match kind {
        IssuerKind::Issuer => "Issuer",
        IssuerKind::ClusterIssuer => "ClusterIssuer",
    }
}
