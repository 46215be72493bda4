//! `testbed`: a real Kubernetes control plane on loopback, from the command line.

mod commands;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use prism_testbed::Options;

/// A real Kubernetes control plane on loopback: no root, no containers.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the control plane and KEDA, once, and fetch the definitions and the Kafka that tests use;
    /// what needs them does it by itself.
    Build,
    /// Start a cluster that stays.
    Up {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        tuning: Tuning,
    },
    /// End that cluster and remove its folder.
    Down {
        #[command(flatten)]
        place: Place,
    },
    /// Run a command with a cluster of its own, which ends with it.
    Run {
        #[command(flatten)]
        tuning: Tuning,
        /// The command and its arguments; it finds KUBECONFIG, `PRISM_TEST_DIR` and `PRISM_AUDIT_LOG`.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Run KEDA beside that cluster until Ctrl-C; what it installs there stays.
    Keda {
        #[command(flatten)]
        place: Place,
    },
    /// Say what runs.
    Status {
        #[command(flatten)]
        place: Place,
    },
    /// Run kubectl against the cluster; where there is none installed, the one that is built in.
    Kubectl {
        #[command(flatten)]
        place: Place,
        /// Arguments of kubectl.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Bind and grow volumes; part of every cluster.
    #[command(hide = true)]
    Volumes {
        /// Kubeconfig of the cluster.
        #[arg(long)]
        kubeconfig: PathBuf,
    },
    /// End a cluster when standard input ends; part of every `run`.
    #[command(hide = true)]
    Guard {
        /// Folder of the cluster.
        #[arg(long)]
        dir: PathBuf,
    },
}

#[derive(Args)]
struct Place {
    /// Folder of the cluster.
    #[arg(long, default_value = ".cluster")]
    dir: PathBuf,
}

#[derive(Args)]
struct Tuning {
    /// Let `HorizontalPodAutoscalers` look every 3 s, and scale down after 5 s instead of 5 min.
    #[arg(long)]
    hpa_fast: bool,
}

impl Tuning {
    fn options(&self) -> Options {
        Options { hpa_fast: self.hpa_fast, testbed: std::env::current_exe().ok(), ..Options::default() }
    }
}

fn main() -> ExitCode {
    // While something starts, its refusals are expected: what matters comes back as an error.
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| "warn,kube_client=off".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let result = match Cli::parse().command {
        Command::Build => commands::build(),
        Command::Up { place, tuning } => commands::up(&place.dir, &tuning.options()),
        Command::Down { place } => commands::down(&place.dir),
        Command::Run { tuning, command } => commands::run(&command, &tuning.options()),
        Command::Keda { place } => commands::keda(&place.dir),
        Command::Status { place } => commands::status(&place.dir),
        Command::Kubectl { place, arguments } => commands::kubectl(&place.dir, &arguments),
        Command::Volumes { kubeconfig } => commands::volumes(&kubeconfig),
        Command::Guard { dir } => prism_testbed::guard(&dir).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("testbed: {error}");
        ExitCode::FAILURE
    })
}
