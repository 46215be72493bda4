//! What can go wrong with a cluster of our own, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every way in which the testbed fails. Shown as a sentence, also by `unwrap`.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `go` is not on the PATH.
    #[error(
        "Go is not installed, or not on the PATH: it builds the control plane, once. Install Go {needed} or newer"
    )]
    GoMissing {
        /// Version that the pinned modules ask for.
        needed: String,
    },
    /// `go` is there, and cannot build the pinned modules.
    #[error("this Go is too old: the control plane needs Go {needed} or newer ({detail})")]
    GoTooOld {
        /// Version that the pinned modules ask for.
        needed: String,
        /// What `go` said about it.
        detail: String,
    },
    /// `go build` failed.
    #[error("building {program} failed:\n{tail}")]
    Build {
        /// Program that was being built.
        program: &'static str,
        /// Last lines that `go` printed.
        tail: String,
    },
    /// A program that the machine should have is missing.
    #[error("{program} is not installed, or not on the PATH: Debian's package {package} brings it")]
    ProgramMissing {
        /// Program.
        program: &'static str,
        /// Package of Debian that it is part of.
        package: &'static str,
    },
    /// Maven could not fetch what `cluster/kafka` pins, or fetched something else.
    #[error("cannot fetch the Kafka that cluster/kafka pins: see that mvn reaches Maven Central:\n{reason}")]
    KafkaOutOfReach {
        /// What Maven said, or which file is not what it was.
        reason: String,
    },
    /// A broker, or a program that talks to one, refused.
    #[error("{program} cannot {action}: {reason}")]
    Broker {
        /// Who refused.
        program: &'static str,
        /// Verb and object: what was to be done.
        action: String,
        /// What it said.
        reason: String,
    },
    /// Neither `PRISM_CACHE`, `XDG_CACHE_HOME` nor `HOME` says where to keep the programs.
    #[error("no folder to keep the built programs in: set PRISM_CACHE")]
    NoCacheFolder,
    /// `go` could not fetch what `cluster/definitions`, or for KEDA `cluster/keda`, pins.
    #[error(
        "cannot fetch the definitions of third-party APIs: see that go reaches a module proxy (GOPROXY) \
         with what the modules under cluster pin, then run `testbed build`:\n{tail}"
    )]
    DefinitionsOutOfReach {
        /// Last lines that `go` printed.
        tail: String,
    },
    /// A pinned module does not have a definition where it is expected.
    #[error(
        "no usable definition in {} ({reason}): pin another version of {module} in \
         the go.mod under cluster, or correct the name of the file in crates/testbed/src/definitions.rs",
        path.display()
    )]
    NoDefinition {
        /// Where it was expected.
        path: PathBuf,
        /// Go module that should carry it.
        module: &'static str,
        /// What is there instead.
        reason: String,
    },
    /// Reading, writing or starting something on this machine failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// Verb: what was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make the certificate of {name}: {source}")]
    Certificate {
        /// Whose certificate.
        name: String,
        /// Cause.
        source: rcgen::Error,
    },
    /// A client certificate of ours names two groups at most.
    #[error("an identity has at most two groups, {user} was to have {count}: bind roles to the user instead")]
    TooManyGroups {
        /// User of the identity.
        user: String,
        /// Number of groups asked for.
        count: usize,
    },
    /// A component ended while it was being waited for.
    #[error("{component} ended at start ({status}); the end of its log:\n{tail}")]
    ComponentDied {
        /// Component.
        component: String,
        /// How it ended.
        status: ExitStatus,
        /// Last lines of its log.
        tail: String,
    },
    /// Something did not become ready in time.
    #[error("{what} was not ready within {seconds} s: {last}")]
    NotReady {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
        /// What was the matter when the wait ended; for a component with the end of its log.
        last: String,
    },
    /// The folder holds something else; the testbed will not empty it.
    #[error("{} is not empty and holds no cluster of the testbed: choose another --dir", .0.display())]
    ForeignFolder(PathBuf),
    /// There is no cluster in the folder.
    #[error("no cluster runs from {}: start one with `testbed up`", .0.display())]
    NoCluster(PathBuf),
    /// Tests that need a cluster were run without one.
    #[error("this test needs a cluster of its own: run make test")]
    NotUnderTestbed,
    /// The `testbed` program, which guards clusters and runs the volumes loop, was not found.
    #[error("cannot find the testbed program: build it and name it in PRISM_TESTBED")]
    NoTestbedProgram,
    /// Processes of a cluster survived SIGKILL.
    #[error("these processes could not be ended: {0}")]
    Unkillable(String),
    /// The API server refused or could not be reached.
    #[error("the cluster refused: {0}")]
    Kube(#[source] Box<kube::Error>),
    /// A kubeconfig is unusable.
    #[error("unusable kubeconfig: {0}")]
    Kubeconfig(#[source] Box<kube::config::KubeconfigError>),
    /// A file of the cluster could not be understood.
    #[error("cannot understand {}: {reason}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<kube::Error> for Error {
    fn from(source: kube::Error) -> Self {
        Self::Kube(Box::new(source))
    }
}

impl From<kube::config::KubeconfigError> for Error {
    fn from(source: kube::config::KubeconfigError) -> Self {
        Self::Kubeconfig(Box::new(source))
    }
}

/// Turns an I/O error into a sentence about `path`: `.map_err(io("read", path))`.
pub(crate) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io { action, path: path.as_ref().to_owned(), source }
}
