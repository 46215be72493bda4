//! A cluster in a folder: everything about it is found there, from any process.

use std::fmt::Write;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Client, Config};
use serde::{Deserialize, Serialize};

use crate::audit::AuditLog;
use crate::certs::Pki;
use crate::component::{Component, log_of};
use crate::error::{Error, Result, io};
use crate::flags::audit_log;
use crate::folder::{Lock, clear};
use crate::kubeconfig;
use crate::process::{kill_all, recorded, register};
use crate::programs::Programs;
use crate::progress::Progress;
use crate::start::{Starter, answers};

/// How to run a cluster.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Let HPAs look every 3 s, and scale down after 5 s instead of 5 min.
    pub hpa_fast: bool,
    /// Definitions that are there before the controller manager starts, as in a cluster that has had them for long.
    pub definitions: Vec<CustomResourceDefinition>,
    /// The `testbed` executable; when absent, `$PRISM_TESTBED` or the program that is running.
    pub testbed: Option<PathBuf>,
}

impl Options {
    pub(crate) fn testbed(&self) -> Result<PathBuf> {
        let own =
            || std::env::current_exe().ok().filter(|path| path.file_stem().is_some_and(|s| s == "testbed"));
        self.testbed
            .clone()
            .or_else(|| std::env::var_os("PRISM_TESTBED").map(PathBuf::from))
            .or_else(own)
            .ok_or(Error::NoTestbedProgram)
    }
}

/// What [`Cluster::up`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A healthy cluster ran already; nothing was done.
    AlreadyRunning,
    /// The cluster was started.
    Started,
    /// Leftovers of a run that crashed were cleared away, then the cluster was started.
    Recovered,
}

/// One process of a cluster.
#[derive(Debug, Clone)]
pub struct ComponentState {
    /// Its name, as in `kube-apiserver`.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// Whether it runs.
    pub is_alive: bool,
    /// Its log.
    pub log: PathBuf,
}

/// A cluster, running or not, by its folder.
#[derive(Debug, Clone)]
pub struct Cluster {
    folder: PathBuf,
    facts: Facts,
}

/// What a running cluster writes down for other processes.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Facts {
    server: String,
    version: String,
}

impl Cluster {
    /// Sees to it that a cluster runs from `folder`, and goes on running when this process ends.
    ///
    /// Does nothing when a healthy one does. What a crashed run left is ended and removed first.
    ///
    /// # Errors
    /// [`Error::ForeignFolder`] when the folder holds anything else; any error of the start, after
    /// which no process is left.
    pub async fn up(
        folder: &Path,
        programs: &Programs,
        options: &Options,
        progress: &Progress,
    ) -> Result<(Self, Start)> {
        fs::create_dir_all(folder).map_err(io("create", folder))?;
        let folder = folder.canonicalize().map_err(io("find", folder))?;
        let _lock = Lock::take(&folder)?;
        if let Ok(cluster) = Self::attach(&folder)
            && cluster.is_healthy().await
        {
            return Ok((cluster, Start::AlreadyRunning));
        }
        let start = if clear(&folder)? { Start::Recovered } else { Start::Started };
        let (cluster, _) = Self::start(&folder, programs, options, progress).await?;
        Ok((cluster, start))
    }

    /// The cluster that runs from `folder`, started by whatever process.
    ///
    /// # Errors
    /// [`Error::NoCluster`].
    pub fn attach(folder: &Path) -> Result<Self> {
        let no_cluster = || Error::NoCluster(folder.to_owned());
        let folder = folder.canonicalize().map_err(|_| no_cluster())?;
        let path = folder.join("cluster.json");
        let text = fs::read(&path).map_err(|_| no_cluster())?;
        let facts = serde_json::from_slice(&text)
            .map_err(|error| Error::Malformed { path, reason: error.to_string() })?;
        Ok(Self { folder, facts })
    }

    /// Ends the cluster in `folder` and removes the folder. `false` when there was nothing to end.
    ///
    /// # Errors
    /// [`Error::ForeignFolder`] when the folder holds anything else.
    pub fn down(folder: &Path) -> Result<bool> {
        let Ok(folder) = folder.canonicalize() else {
            return Ok(false);
        };
        let _lock = Lock::take(&folder)?;
        clear(&folder)?;
        fs::remove_dir_all(&folder).map_err(io("remove", &folder))?;
        Ok(true)
    }

    /// Starts a cluster in an empty folder; on failure, ends what it started.
    pub(crate) async fn start(
        folder: &Path,
        programs: &Programs,
        options: &Options,
        progress: &Progress,
    ) -> Result<(Self, Vec<Component>)> {
        let path = register(folder);
        File::create(&path).map_err(io("create", path))?;
        let starter = Starter {
            folder,
            programs,
            options,
            progress,
            testbed: options.testbed()?,
            running: Mutex::default(),
        };
        if let Err(error) = starter.start().await {
            kill_all(folder)?;
            return Err(error);
        }
        let components = starter.running.into_inner().unwrap_or_else(PoisonError::into_inner);
        let cluster = Self::record(folder, programs).await?;
        progress.step("the cluster is ready");
        Ok((cluster, components))
    }

    /// Writes down that the cluster is ready, last of all.
    async fn record(folder: &Path, programs: &Programs) -> Result<Self> {
        let kubectl = folder.join("kubectl");
        let script = format!(
            "#!/bin/sh\nKUBECONFIG='{}' exec '{}' kubectl \"$@\"\n",
            folder.join("kubeconfig").display(),
            programs.controlplane().display()
        );
        fs::write(&kubectl, script).map_err(io("write", &kubectl))?;
        fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).map_err(io("protect", &kubectl))?;

        let config = kubeconfig::load(&folder.join("kubeconfig")).await?;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let facts = Facts { server, version: programs.version().to_owned() };
        let path = folder.join("cluster.json");
        let text = serde_json::to_string_pretty(&facts)
            .map_err(|error| Error::Malformed { path: path.clone(), reason: error.to_string() })?;
        fs::write(&path, text).map_err(io("write", &path))?;
        Ok(Self { folder: folder.to_owned(), facts })
    }

    /// Folder of the cluster, absolute.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// URL of the API server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.facts.server
    }

    /// Kubernetes version, as in `v1.35.4`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.facts.version
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// The administrator's configuration.
    pub async fn config(&self) -> Result<Config> {
        kubeconfig::load(&self.kubeconfig()).await
    }

    /// A client of the administrator.
    pub async fn client(&self) -> Result<Client> {
        Ok(Client::try_from(self.config().await?)?)
    }

    /// Issues an identity and returns its kubeconfig: `user` is its name in RBAC and in the audit log,
    /// `groups` are at most two. Members of [`AUDITED_GROUP`](crate::AUDITED_GROUP) have the bodies of
    /// their requests logged; members of `system:masters` may do anything. Two calls for one user
    /// return the same path, the second with the second's groups.
    pub fn kubeconfig_for(&self, user: &str, groups: &[&str]) -> Result<PathBuf> {
        let pki = Pki::of(&self.folder);
        let identity = pki.client(user, groups)?;
        let path = self.folder.join("identities").join(format!("{}.kubeconfig", file_name_of(user)));
        kubeconfig::write(&path, self.server(), &pki, user, &identity)?;
        Ok(path)
    }

    /// Configuration of an identity of [`Cluster::kubeconfig_for`].
    pub async fn config_for(&self, user: &str, groups: &[&str]) -> Result<Config> {
        kubeconfig::load(&self.kubeconfig_for(user, groups)?).await
    }

    /// The PEM certificate of the authority that signs the API server's certificate and all clients.
    pub fn authority(&self) -> Result<String> {
        Pki::of(&self.folder).authority()
    }

    /// A serving certificate for `localhost` and 127.0.0.1, signed by [`Cluster::authority`]: the paths
    /// of the PEM files of certificate and key. For webhooks and aggregated APIs under test.
    #[must_use]
    pub fn serving_certificate(&self) -> (PathBuf, PathBuf) {
        let pki = Pki::of(&self.folder);
        (pki.path("serving.crt"), pki.path("serving.key"))
    }

    /// The audit log.
    pub fn audit(&self) -> Result<AuditLog> {
        AuditLog::open(&audit_log(&self.folder))
    }

    /// The processes of the cluster.
    #[must_use]
    pub fn components(&self) -> Vec<ComponentState> {
        recorded(&self.folder)
            .into_iter()
            .map(|process| ComponentState {
                is_alive: process.is_alive(),
                log: log_of(&self.folder, &process.component),
                pid: process.pid,
                name: process.component,
            })
            .collect()
    }

    /// Whether all processes run and the API server is ready.
    pub async fn is_healthy(&self) -> bool {
        let is_ready = async {
            let config = self.config().await.map_err(|error| error.to_string())?;
            answers(config, "/readyz").await
        };
        self.components().iter().all(|component| component.is_alive)
            && matches!(tokio::time::timeout(Duration::from_secs(5), is_ready).await, Ok(Ok(())))
    }
}

/// A user's name without what file names do not hold; different users stay different.
fn file_name_of(user: &str) -> String {
    let mut name = String::new();
    for byte in user.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => name.push(char::from(byte)),
            other => {
                // Writing to a string cannot fail.
                let _ = write!(name, "_{other:02x}");
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_users_become_names_of_files() {
        assert_eq!(file_name_of("system:serviceaccount:a/b"), "system_3aserviceaccount_3aa_2fb");
    }
}
