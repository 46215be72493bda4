//! Why an admin does not serve.

use std::{io, net::SocketAddr, path::PathBuf};

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody said how connections are secured.
    #[error("no certificate: set --tls-cert and --tls-key, or --insecure to serve plaintext")]
    NoTransport,
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Certificate, key or client authority are no PEM, or do not belong together.
    #[error("cannot serve TLS with this certificate, key and client authority: {0}")]
    Tls(String),
    /// The address is taken or not allowed.
    #[error("cannot listen on {address}: {source}; choose another --bind-address or --grpc-port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The server ended without being asked to.
    #[error("the server failed: {0}")]
    Serve(String),
}

/// An error and its causes in one sentence; tonic's own message names no cause.
pub(crate) fn sentence(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |sentence, cause| format!("{sentence}: {cause}"))
}
