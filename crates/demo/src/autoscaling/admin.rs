//! The admin: takes the workers' reports, and answers the operator, over TLS.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use prism_admin::{Admin, Tls};
use prism_demo::{Error, Result};
use prism_proto::prism::metrics::v1::ingest_client::IngestClient;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::NamedTempFile;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

/// Workers come and go within seconds here: those that are gone are soon forgotten.
const RETENTION: Duration = Duration::from_secs(1);

/// An admin in this process, and what its clients need.
pub(crate) struct DemoAdmin {
    admin: Admin,
    authority: String,
    /// The authority again, for the operator.
    file: NamedTempFile,
}

impl DemoAdmin {
    /// Starts an admin on a free port of this machine, with a certificate of an authority of its own.
    pub(crate) async fn start() -> Result<Self> {
        let (authority, certificate, key) = identity()?;
        let mut file = NamedTempFile::with_prefix("prism-authority-").map_err(Error::Trust)?;
        file.write_all(authority.as_bytes()).map_err(Error::Trust)?;
        let admin =
            Admin::builder().tls(Tls::from_pem(certificate, key)).retention(RETENTION).start().await?;
        Ok(Self { admin, authority, file })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// File with the certificate of its authority, PEM.
    pub(crate) fn authority_file(&self) -> &Path {
        self.file.path()
    }

    /// A client for those who measure.
    pub(crate) fn ingest(&self) -> Result<IngestClient<Channel>> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.authority));
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address()))?.tls_config(tls)?;
        Ok(IngestClient::new(endpoint.connect_lazy()))
    }

    /// Ends it.
    pub(crate) async fn stop(self) -> Result<()> {
        Ok(self.admin.stop().await?)
    }
}

/// Certificate of an authority, and certificate and key of a server on loopback: PEM.
fn identity() -> Result<(String, String, String)> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "authority of a demo");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let server = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let certificate = server.signed_by(&key, &authority)?;
    Ok((authority.pem(), certificate.pem(), key.serialize_pem()))
}
