//! What can go wrong in a benchmark.

use std::io;
use std::path::PathBuf;

use prism_testbed::TimedOut;

/// The benchmark's result.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Testbed(#[from] prism_testbed::Error),
    #[error(transparent)]
    Rig(#[from] prism_rig::Error),
    #[error("the cluster refuses: {0}")]
    Cluster(#[from] kube::Error),
    #[error("{0}")]
    Late(#[from] TimedOut),
    #[error("{0} is not JSON: {1}")]
    Json(&'static str, #[source] serde_json::Error),
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the audit log shows no {0}: there is nothing to measure")]
    NothingSeen(&'static str),
    #[error("{failed} of {all} replayed requests were refused, the first: {first}")]
    Refused { failed: usize, all: usize, first: String },
    #[error("interrupted")]
    Interrupted,
}
