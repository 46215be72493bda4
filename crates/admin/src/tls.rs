//! How connections are secured.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::Error;

/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The server's certificate and key, and whose clients it lets in. Has no `Debug`, for the key's sake.
#[derive(Clone)]
pub struct Tls {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_authority: Option<Vec<u8>>,
}

impl Tls {
    /// A certificate, with those that lead to its authority, and its private key; both PEM.
    pub fn from_pem(certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self { certificate: certificate.into(), key: key.into(), client_authority: None }
    }

    /// Reads certificate and key, and the client authority if there is one, from PEM files.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub async fn read(
        certificate: &Path,
        key: &Path,
        client_authority: Option<&Path>,
    ) -> Result<Self, Error> {
        let tls = Self::from_pem(read(certificate).await?, read(key).await?);
        match client_authority {
            Some(path) => Ok(tls.client_authority(read(path).await?)),
            None => Ok(tls),
        }
    }

    /// Lets in only clients with a certificate of one of these authorities (PEM): mutual TLS.
    #[must_use]
    pub fn client_authority(mut self, certificates: impl Into<Vec<u8>>) -> Self {
        self.client_authority = Some(certificates.into());
        self
    }

    pub(crate) fn server_config(&self) -> ServerTlsConfig {
        let identity = Identity::from_pem(&self.certificate, &self.key);
        let config = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE);
        match &self.client_authority {
            Some(certificates) => config.client_ca_root(Certificate::from_pem(certificates)),
            None => config,
        }
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, Error> {
    tokio::fs::read(path).await.map_err(|source| Error::Read { path: PathBuf::from(path), source })
}
