//! One child process of a cluster: started with a log of its own, watched until it is ready.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Result, io};
use crate::process::{self, MARK, Process};

/// Any component is ready within this time, or something is wrong.
const READY_TIMEOUT: Duration = Duration::from_secs(90);
/// Pause between two questions to a component that offers no event to wait for.
const PROBE_EVERY: Duration = Duration::from_millis(40);
/// Lines of a log that an error shows.
const TAIL_LINES: usize = 15;

/// What to run.
pub(crate) struct Program {
    /// Name of the component and of its log.
    pub(crate) name: &'static str,
    /// Executable.
    pub(crate) executable: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
}

/// A running component.
pub(crate) struct Component {
    pub(crate) name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Component {
    /// Starts `program` for the cluster in `folder`, in a process group of its own so that Ctrl-C at
    /// the terminal leaves it to us, and writes it down.
    pub(crate) fn spawn(folder: &Path, program: &Program) -> Result<Self> {
        let log = log_of(folder, program.name);
        let output = File::create(&log).map_err(io("create", &log))?;
        let errors = output.try_clone().map_err(io("open", &log))?;
        let child = Command::new(&program.executable)
            .args(&program.arguments)
            .env(MARK, folder)
            .env_remove("KUBECONFIG")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(io("start", &program.executable))?;
        if let Some(process) = Process::running(program.name, child.id()) {
            process::record(folder, &process)?;
        }
        Ok(Self { name: program.name, child, log })
    }

    /// Waits until `probe` succeeds; fails when the process ends first, with the end of its log.
    pub(crate) async fn until_ready(&mut self, probe: impl AsyncFn() -> Result<(), String>) -> Result<()> {
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            let answer = tokio::time::timeout(Duration::from_secs(5), probe()).await;
            let last = match answer {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(reason)) => reason,
                Err(_) => "no answer within 5 s".to_owned(),
            };
            self.check()?;
            if Instant::now() > deadline {
                return Err(Error::NotReady {
                    what: self.name.to_owned(),
                    seconds: READY_TIMEOUT.as_secs(),
                    last: format!("{last}; the end of its log:\n{}", tail(&self.log)),
                });
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }

    /// Fails if the process has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait().map_err(io("watch", &self.log))? {
            Some(status) => {
                Err(Error::ComponentDied { component: self.name.to_owned(), status, tail: tail(&self.log) })
            }
            None => Ok(()),
        }
    }

    /// Takes note that the process has been ended, so that no zombie stays behind.
    pub(crate) fn reap(&mut self) {
        // It was killed: how it ended says nothing.
        let _ = self.child.wait();
    }
}

/// Whether a component died because somebody else took its port in the meantime.
pub(crate) fn lost_its_port(error: &Error) -> bool {
    matches!(error, Error::ComponentDied { tail, .. } if tail.contains("address already in use"))
}

/// Ports of loopback that are free right now: nobody promises that they still are when they are used.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let free = || -> std::io::Result<[u16; N]> {
        let mut held = Vec::with_capacity(N);
        let mut ports = [0; N];
        for port in &mut ports {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            *port = listener.local_addr()?.port();
            held.push(listener);
        }
        Ok(ports)
    };
    free().map_err(io("open a port of", "127.0.0.1"))
}

/// Log of a component of the cluster in `folder`.
pub(crate) fn log_of(folder: &Path, component: &str) -> PathBuf {
    folder.join("logs").join(format!("{component}.log"))
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
