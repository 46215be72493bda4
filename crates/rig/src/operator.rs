//! The operator as a child process.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kube::{Client, Config};
use prism_testbed::eventually;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

use crate::error::{Error, Result, io};
use crate::steps::Note;

/// The operator sees the cluster, and an earlier holder's lease runs out, within this time.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// After it was asked to stop, it has this time.
const STOP_TIMEOUT: Duration = Duration::from_secs(12);

/// A program of the same build as this one.
pub fn sibling(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(io("find", Path::new("this program")))?;
    let path = own.with_file_name(name);
    if path.is_file() { Ok(path) } else { Err(Error::NotBuilt(path)) }
}

/// A running operator of the same build as this program. Ends with this value at the latest.
pub struct OperatorProcess {
    program: PathBuf,
    child: Child,
    endpoints: Client,
    log: NamedTempFile,
}

impl OperatorProcess {
    /// Starts an operator on the cluster of `kubeconfig`, with more `arguments` of `prism-operator run`.
    pub fn start(kubeconfig: &str, arguments: &[&str]) -> Result<Self> {
        let program = sibling("prism-operator")?;
        let temporary = std::env::temp_dir();
        let log =
            NamedTempFile::with_prefix("prism-operator-").map_err(io("create a file in", &temporary))?;
        let output = |log: &NamedTempFile| log.as_file().try_clone().map_err(io("open", log.path()));
        let (output, errors): (File, File) = (output(&log)?, output(&log)?);
        let port = free_port().map_err(io("open a port of", Path::new("127.0.0.1")))?;
        let child = Command::new(&program)
            .args(["run", "--bind-address", &format!("127.0.0.1:{port}")])
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C reaches its parent alone, which then stops it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(io("start", &program))?;
        let url = format!("http://127.0.0.1:{port}").parse::<http::Uri>();
        let mut config = Config::new(url.map_err(|error| kube::Error::HttpError(error.into()))?);
        config.default_retry = false;
        let endpoints = Client::try_from(config)?;
        Ok(Self { program, child, endpoints, log })
    }

    /// Waits until it sees the cluster.
    pub async fn ready(&mut self, note: &Note) -> Result<()> {
        let endpoints = self.endpoints.clone();
        let ready = eventually("the operator is ready", READY_TIMEOUT, async || {
            get(&endpoints, "/readyz").await.map(drop).inspect_err(|reason| note.set(reason))
        });
        self.watched(async { Ok(ready.await?) }).await
    }

    /// Waits until it holds the lease, and so acts.
    pub async fn leads(&mut self, note: &Note) -> Result<()> {
        let endpoints = self.endpoints.clone();
        let leads = eventually("the operator holds the lease", READY_TIMEOUT, async || {
            let metrics = get(&endpoints, "/metrics").await?;
            let leads = metrics.lines().any(|line| line == "prism_operator_leader 1");
            let reason = "another operator holds it";
            note.set(reason);
            if leads { Ok(()) } else { Err(reason.to_owned()) }
        });
        self.watched(async { Ok(leads.await?) }).await
    }

    /// Sum over all labels of one of its metrics; 0 while it does not answer.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = get(&self.endpoints, "/metrics").await.unwrap_or_default();
        text.lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Its process, as long as it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Does `work`, and fails if the operator ends before.
    pub async fn watched<T, E: From<Error>>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            result = work => result,
            status = self.child.wait() => {
                let status = status.map_err(io("watch", &self.program))?;
                Err(Error::OperatorEnded(status).into())
            }
        }
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let text = fs::read_to_string(self.log.path()).unwrap_or_default();
        let all: Vec<_> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Asks it to stop, and sees to it.
    pub async fn stop(mut self) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            // It may have ended in this moment, which is as good.
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            // Nothing is left to be done if even this fails; dropping tries once more.
            let _ = self.child.kill().await;
        }
    }
}

async fn get(endpoints: &Client, path: &str) -> Result<String, String> {
    let request = http::Request::get(path).body(Vec::new()).map_err(|error| error.to_string())?;
    endpoints.request_text(request).await.map_err(|error| error.to_string())
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
