//! What can go wrong while setting up.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use prism_testbed::TimedOut;

/// A result of setting up.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused, or could not be reached.
    #[error("the cluster refuses: {0}")]
    Cluster(#[from] kube::Error),
    /// A program of this checkout has not been built.
    #[error("{0} is not there: cargo build --workspace makes it")]
    NotBuilt(PathBuf),
    /// A file or process is out of reach.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The operator is gone before it was asked to stop.
    #[error("the operator ended: {0}")]
    OperatorEnded(ExitStatus),
    /// The local control plane does not do its part.
    #[error("{0}")]
    Testbed(#[from] prism_testbed::Error),
    /// Something did not come about in time.
    #[error("{0}")]
    Late(#[from] TimedOut),
}

pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}
