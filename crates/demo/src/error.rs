//! What can go wrong in a demo, and what to do about it.

use std::io;

use prism_testbed::TimedOut;

/// A demo's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a demo did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The local cluster cannot be had.
    #[error(transparent)]
    Testbed(#[from] prism_testbed::Error),
    /// The operator does not run.
    #[error(transparent)]
    Rig(#[from] prism_rig::Error),
    /// The API server refused, or could not be reached.
    #[error("the cluster refuses: {0}")]
    Cluster(#[from] kube::Error),
    /// `$KUBECONFIG` leads nowhere.
    #[error("KUBECONFIG={path} cannot be used: {source}; unset it to demo on a local cluster")]
    Kubeconfig {
        /// Its value.
        path: String,
        /// Why not.
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    /// The cluster of `$KUBECONFIG` is not there.
    #[error("{server} does not answer: {reason}; is the cluster up, and KUBECONFIG the right one?")]
    Unreachable {
        /// Its URL.
        server: String,
        /// Why not.
        reason: String,
    },
    /// The system does not let the program handle signals.
    #[error("signals cannot be received: {0}")]
    Signals(#[source] io::Error),
    /// The sample is no YAML, or not of its kind.
    #[error("the sample cannot be read: {0}")]
    Sample(#[from] serde_saphyr::Error),
    /// Something did not come about in time.
    #[error("{0}")]
    Late(#[from] TimedOut),
    /// The admin does not serve.
    #[error(transparent)]
    Admin(#[from] prism_admin::Error),
    /// The admin cannot be given an identity.
    #[error("no certificate for the admin: {0}")]
    Certificate(#[from] rcgen::Error),
    /// Certificates cannot be handed to the operator.
    #[error("the certificate of the admin cannot be written: {0}")]
    Trust(#[source] io::Error),
    /// The admin cannot be connected to.
    #[error("the admin cannot be connected to: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The admin refused what a worker reported.
    #[error("the admin does not take a report: {0}")]
    Report(#[source] Box<tonic::Status>),
    /// The consumer has had one replica all the time.
    #[error("the load has come and gone, and the consumer has stayed as it was: {message}")]
    NotScaled {
        /// What its status says about scaling.
        message: String,
    },
    /// The consumer has more replicas than it should have by now.
    #[error(
        "{seconds} s after the load was gone the consumer has {replicas} replicas, and not {fewest} as it should: {message}"
    )]
    NotBack {
        /// Time since the end of the load.
        seconds: u64,
        /// Replicas now.
        replicas: i32,
        /// Replicas it should have.
        fewest: i32,
        /// What its status says about scaling.
        message: String,
    },
    /// Somebody pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}
