//! The operator as a child process of the demo.

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

use crate::error::{Error, Result};
use crate::install;
use crate::place::{NAMESPACE, Place, sibling};
use crate::steps::Note;

/// The operator sees the cluster within this time.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// After it was asked to stop, it has this time.
const STOP_TIMEOUT: Duration = Duration::from_secs(12);
/// Lines of its log that a failure shows.
const TAIL_LINES: usize = 15;

/// An operator that looks at the demo's namespace alone.
pub(crate) struct Operator {
    program: PathBuf,
    kubeconfig: String,
    log: NamedTempFile,
    child: Option<Child>,
}

impl Operator {
    /// One that does not run yet.
    pub(crate) fn prepare(place: &Place) -> Result<Self> {
        let log = NamedTempFile::with_prefix("prism-operator-").map_err(|source| Error::Io {
            action: "create a file in",
            path: std::env::temp_dir(),
            source,
        })?;
        Ok(Self {
            program: sibling("prism-operator")?,
            kubeconfig: place.kubeconfig.clone(),
            log,
            child: None,
        })
    }

    /// Starts it, and waits until it is ready.
    pub(crate) async fn start(&mut self, note: &Note) -> Result<()> {
        let port = free_port().map_err(io("open a port of", Path::new("127.0.0.1")))?;
        let output = |log: &File| log.try_clone().map_err(io("open", self.log.path()));
        let child = Command::new(&self.program)
            .args(["run", "--watch-namespace", NAMESPACE, "--bind-address", &format!("127.0.0.1:{port}")])
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null())
            .stdout(output(self.log.as_file())?)
            .stderr(output(self.log.as_file())?)
            // Ctrl-C reaches the demo alone, which then stops the operator.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(io("start", &self.program))?;
        self.child = Some(child);
        let url = format!("http://127.0.0.1:{port}").parse::<http::Uri>();
        let mut config = Config::new(url.map_err(|error| kube::Error::HttpError(error.into()))?);
        config.default_retry = false;
        let client = Client::try_from(config)?;
        let ready = eventually("the operator is ready", READY_TIMEOUT, async || {
            let request =
                http::Request::get("/readyz").body(Vec::new()).map_err(|error| error.to_string())?;
            let answer = client.request_text(request).await;
            answer.map(drop).map_err(|error| {
                note.set(&error.to_string());
                error.to_string()
            })
        });
        self.watched(async { Ok(ready.await?) }).await
    }

    /// Does `work`, and fails if the operator ends before.
    pub(crate) async fn watched<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(child) = &mut self.child else {
            return work.await;
        };
        tokio::select! {
            result = work => result,
            status = child.wait() => Err(Error::OperatorEnded(status.map_err(io("watch", &self.program))?)),
        }
    }

    /// Tells on standard error what the pattern and the operator have to say.
    pub(crate) async fn explain(&self, place: &Place) {
        if let Some(pattern) = install::look(place).await {
            eprintln!("\nConditions of {}:", install::PATTERN);
            for condition in install::conditions(&pattern) {
                let message = &condition.message;
                eprintln!("  {}={} {}: {message}", condition.type_, condition.status, condition.reason);
            }
        }
        let text = fs::read_to_string(self.log.path()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        if !lines.is_empty() {
            eprintln!("\nThe end of the operator's log:");
            lines[lines.len().saturating_sub(TAIL_LINES)..].iter().for_each(|line| eprintln!("  {line}"));
        }
    }

    /// Asks it to stop, and sees to it. `false` when it did not run.
    pub(crate) async fn stop(mut self) -> bool {
        let Some(mut child) = self.child.take() else {
            return false;
        };
        let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let Some(pid) = pid else { return false };
        // Both fail only if it has ended by itself, which is as good.
        let _ = kill_process(pid, Signal::TERM);
        if tokio::time::timeout(STOP_TIMEOUT, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
        true
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}
