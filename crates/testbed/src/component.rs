//! One child process of a cluster: started with a log of its own, watched until it is ready.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Error, Result, io};
use crate::process::{self, MARK, Process};

/// Any component is ready within this time, or something is wrong.
const READY_TIMEOUT: Duration = Duration::from_secs(90);
/// Pause between two questions to a component that offers no event to wait for.
const PROBE_EVERY: Duration = Duration::from_millis(40);
/// Lines of a log that an error shows.
const TAIL_LINES: usize = 15;
/// A component that was asked to end is left to the guard after this time.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a component that lost its port to somebody else gets another.
const PORT_ATTEMPTS: usize = 5;

/// What to run.
#[derive(Default)]
pub(crate) struct Program {
    /// Name of the component and of its log.
    pub(crate) name: &'static str,
    /// Executable.
    pub(crate) executable: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// What its environment has beside ours.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Id of the user to run as, for a program that refuses to be root; when absent, ours.
    pub(crate) user: Option<u32>,
}

/// A running component. Dropping it leaves the process alone: whoever owns its folder ends it.
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
        let mut command = Command::new(&program.executable);
        if let Some(user) = program.user {
            command.uid(user).gid(user);
        }
        let child = command
            .args(&program.arguments)
            .env(MARK, folder)
            .env_remove("KUBECONFIG")
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
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

    /// Ends the process as a crash would, and returns when it is gone.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill().map_err(io("end", self.name))?;
        self.child.wait().map(drop).map_err(io("end", self.name))
    }

    /// Asks the process to end, and gives it a moment to do so.
    pub(crate) fn end(&mut self, signal: Signal) {
        let deadline = Instant::now() + END_TIMEOUT;
        // Not waited for yet, so its id is still its own.
        let pid = self.check().ok().and_then(|()| Pid::from_raw(i32::try_from(self.child.id()).ok()?));
        if pid.is_some_and(|pid| kill_process(pid, signal).is_ok()) {
            while self.check().is_ok() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Id of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it died because somebody else took its port in the meantime.
    fn lost_its_port(&mut self) -> bool {
        let log = fs::read_to_string(&self.log).unwrap_or_default().to_lowercase();
        self.check().is_err() && log.contains("address already in use")
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        // Takes note if the process has been ended, so that no zombie stays; how it ended says nothing.
        let _ = self.child.try_wait();
    }
}

/// Starts a program on free ports and waits for it; takes other ports when somebody was quicker.
pub(crate) async fn launch<const N: usize>(
    folder: &Path,
    program: impl Fn([u16; N]) -> Program,
    is_ready: impl AsyncFn([u16; N]) -> Result<(), String>,
) -> Result<(Component, [u16; N])> {
    let mut attempts_left = PORT_ATTEMPTS;
    loop {
        attempts_left -= 1;
        let ports = free_ports()?;
        let mut component = Component::spawn(folder, &program(ports))?;
        match component.until_ready(async || is_ready(ports).await).await {
            // Whoever took the port may be what has answered.
            Ok(()) | Err(_) if attempts_left > 0 && component.lost_its_port() => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok((component, ports)),
        }
    }
}

/// Where ports are looked for: below the range from which the system itself takes ports for connections, which
/// a port that is free now may be taken by before a component listens on it.
const PORTS: Range<u32> = 10_000..30_000;

/// Ports of loopback that are free right now. None is given out twice by this process; nobody promises that
/// no other process takes them.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    static GIVEN: OnceLock<AtomicU32> = OnceLock::new();
    // Processes begin at different places.
    let given = GIVEN.get_or_init(|| AtomicU32::new(std::process::id().wrapping_mul(499)));
    let free = || {
        let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        for _ in PORTS {
            let next = PORTS.start + given.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start);
            listener = TcpListener::bind((Ipv4Addr::LOCALHOST, u16::try_from(next).unwrap_or_default()));
            if listener.is_ok() {
                break;
            }
        }
        listener?.local_addr()
    };
    let mut ports = [0; N];
    for port in &mut ports {
        *port = free().map_err(io("open a port of", "127.0.0.1"))?.port();
    }
    Ok(ports)
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
