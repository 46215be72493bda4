//! One function for each command of `testbed`.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use prism_testbed::{
    Cluster, Error, Keda, KedaPrograms, Options, Programs, Progress, Result, ScopedCluster, Start, brokers,
    definitions,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// After a signal, the command has this time to end by itself.
const GRACE: Duration = Duration::from_secs(10);

pub(crate) fn build() -> Result<ExitCode> {
    let progress = Progress::stderr();
    let programs = Programs::ensure(&progress)?;
    definitions::fetch(&progress)?;
    let keda = KedaPrograms::ensure(&progress)?;
    brokers::fetch(&progress)?;
    println!("Kubernetes {} and KEDA {} are built", programs.version(), keda.version());
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn up(dir: &Path, options: &Options) -> Result<ExitCode> {
    let programs = Programs::ensure(&Progress::stderr())?;
    let (cluster, start) = runtime()?.block_on(Cluster::up(dir, &programs, options, &Progress::stderr()))?;
    let shown = dir.display();
    match start {
        Start::AlreadyRunning => println!("A healthy cluster runs from {shown} already: nothing to do."),
        Start::Recovered => println!("What an earlier run left in {shown} was cleared away."),
        Start::Started => {}
    }
    println!("Kubernetes {} at {}", cluster.version(), cluster.server());
    println!("  export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("  {shown}/kubectl get nodes");
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn down(dir: &Path) -> Result<ExitCode> {
    if Cluster::down(dir)? {
        println!("The cluster of {} is gone.", dir.display());
    } else {
        println!("There is no cluster in {}.", dir.display());
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn keda(dir: &Path) -> Result<ExitCode> {
    let cluster = Cluster::attach(dir)?;
    let programs = KedaPrograms::ensure(&Progress::stderr())?;
    runtime()?.block_on(async {
        let mut stop = Stop::listen()?;
        let keda = tokio::select! {
            keda = Keda::start(&cluster, &programs) => keda?,
            signal = stop.next() => return Ok(code_of_signal(signal)),
        };
        println!("KEDA {} runs beside the cluster of {}, until Ctrl-C.", programs.version(), dir.display());
        stop.next().await;
        drop(keda);
        Ok(ExitCode::SUCCESS)
    })
}

pub(crate) fn status(dir: &Path) -> Result<ExitCode> {
    let cluster = Cluster::attach(dir)?;
    println!("Kubernetes {} at {}", cluster.version(), cluster.server());
    for component in cluster.components() {
        let state = if component.is_alive { "runs" } else { "DEAD" };
        println!("  {:24} {state}  {:>8}  {}", component.name, component.pid, component.log.display());
    }
    let is_healthy = runtime()?.block_on(cluster.is_healthy());
    println!("{}", if is_healthy { "healthy" } else { "NOT healthy" });
    Ok(if is_healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(crate) fn kubectl(dir: &Path, arguments: &[String]) -> Result<ExitCode> {
    let cluster = Cluster::attach(dir)?;
    let mut command = match installed("kubectl") {
        Some(kubectl) => std::process::Command::new(kubectl),
        None => std::process::Command::new(cluster.folder().join("kubectl")),
    };
    command.args(arguments).env("KUBECONFIG", cluster.kubeconfig());
    // Returns only if it fails.
    let source = command.exec();
    Err(Error::Io { action: "start", path: "kubectl".into(), source })
}

pub(crate) fn volumes(kubeconfig: &Path) -> Result<ExitCode> {
    runtime()?.block_on(async {
        let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Box::pin(prism_testbed::volumes::serve(Client::try_from(config)?)).await;
        Ok(ExitCode::SUCCESS)
    })
}

pub(crate) fn run(command: &[String], options: &Options) -> Result<ExitCode> {
    let programs = Programs::ensure(&Progress::stderr())?;
    runtime()?.block_on(async {
        let mut stop = Stop::listen()?;
        let progress = Progress::stderr();
        let cluster = tokio::select! {
            cluster = ScopedCluster::start(&programs, options, &progress) => cluster?,
            signal = stop.next() => return Ok(code_of_signal(signal)),
        };
        let status = supervise(command, &cluster, options, &mut stop).await;
        cluster.stop();
        status.map(exit_code)
    })
}

/// Runs the command to its end, or to ours: a signal to us is passed on to it.
async fn supervise(
    command: &[String],
    cluster: &ScopedCluster,
    options: &Options,
    stop: &mut Stop,
) -> Result<ExitStatus> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(ExitStatus::default());
    };
    let failed = |source| Error::Io { action: "run", path: program.into(), source };
    let mut child = Command::new(program)
        .args(arguments)
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("PRISM_TEST_DIR", cluster.folder())
        .env("PRISM_AUDIT_LOG", cluster.audit()?.path())
        .envs(options.testbed.as_ref().map(|testbed| ("PRISM_TESTBED", testbed)))
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    if let Some(pid) = child.id() {
        cluster.adopt("command", pid)?;
    }
    loop {
        tokio::select! {
            status = child.wait() => return status.map_err(failed),
            signal = stop.next() => {
                pass_on(&child, signal);
                if let Ok(status) = tokio::time::timeout(GRACE, child.wait()).await {
                    return status.map_err(failed);
                }
                child.start_kill().map_err(failed)?;
            }
        }
    }
}

/// The signals that end a program, as a stream.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|source| Error::Io { action: "listen to", path: "signals".into(), source })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hang_up.recv() => Signal::HUP,
        }
    }
}

fn pass_on(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    if let Some(pid) = pid {
        // It may have ended in this moment: then that is what counts.
        let _ = kill_process(pid, signal);
    }
}

/// As a shell tells it: a signal is 128 and its number.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn code_of_signal(signal: Signal) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal.as_raw()).unwrap_or(1))
}

fn installed(program: &str) -> Option<PathBuf> {
    let path: OsString = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Runtime::new().map_err(|source| Error::Io {
        action: "start",
        path: "tokio".into(),
        source,
    })
}
