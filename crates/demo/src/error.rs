//! What can go wrong in a demo, and what to do about it.

use std::io;

use prism_testbed::TimedOut;

/// The demo's result.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the demo did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Testbed(#[from] prism_testbed::Error),
    #[error(transparent)]
    Rig(#[from] prism_rig::Error),
    #[error("the cluster refuses: {0}")]
    Cluster(#[from] kube::Error),
    #[error("KUBECONFIG={path} cannot be used: {source}; unset it to demo on a local cluster")]
    Kubeconfig {
        path: String,
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    #[error("{server} does not answer: {reason}; is the cluster up, and KUBECONFIG the right one?")]
    Unreachable { server: String, reason: String },
    #[error("signals cannot be received: {0}")]
    Signals(#[source] io::Error),
    #[error("the sample cannot be read: {0}")]
    Sample(#[from] serde_saphyr::Error),
    #[error("{0}")]
    Late(#[from] TimedOut),
    #[error("interrupted")]
    Interrupted,
}
