//! `bench`: how close the operator comes to bare server-side apply. Runs under `testbed run`.
//!
//! A first operator makes all children while the audit log keeps the bodies of its requests. The same
//! requests are then replayed by this program over bare connections, with no operator running, in
//! namespaces where the same custom resources exist, so that owner references hold: that is the best
//! the API server can do. Operators that start from nothing are measured in turn with it.
//!
//! With `--scaled-objects`, the patterns are scaled by KEDA, and what is compared is how their
//! `ScaledObject`s come about: see `scaled_objects`.

mod bed;
mod calm;
mod capture;
mod error;
mod figures;
mod machine;
mod patterns;
mod product;
mod raw;
mod report;
mod scaled_objects;
mod usage;

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::bed::Bed;
use crate::error::{Error, Result};
use crate::patterns::Patterns;
use crate::report::Report;

/// As a shell tells an interruption.
const INTERRUPTED: u8 = 130;

/// Measures the operator against bare server-side apply.
#[derive(Parser, Clone, Debug)]
#[command(version)]
struct Arguments {
    /// Custom resources.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    patterns: u32,
    /// How often both are measured, in turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Numbers of connections among which the best for bare apply is looked for.
    #[arg(long, value_delimiter = ',', default_values_t = [4, 8, 16, 32, 64])]
    connections: Vec<usize>,
    /// How long, after everything is settled, writes are counted.
    #[arg(long, default_value_t = 120)]
    quiet_seconds: u64,
    /// Instead: how long so many scalers of KEDA take. Its definitions are installed, and KEDA is not there.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    scaled_objects: Option<u32>,
    /// A real KEDA as well, and how long it takes for its part; needs redis-server.
    #[arg(long, requires = "scaled_objects")]
    keda: bool,
    /// More arguments of `prism-operator run`.
    #[arg(last = true)]
    operator: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("bench: a TLS provider was installed twice");
        return ExitCode::FAILURE;
    }
    match Box::pin(until_interrupted(&arguments)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("\nbench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn until_interrupted(arguments: &Arguments) -> Result<()> {
    let signals = |source| Error::Io { action: "listen to", path: "signals".into(), source };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(signals)?;
    tokio::select! {
        result = run(arguments) => result,
        _ = interrupt.recv() => Err(Error::Interrupted),
        _ = terminate.recv() => Err(Error::Interrupted),
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    if let Some(count) = arguments.scaled_objects {
        return Box::pin(scaled_objects::run(arguments, count)).await;
    }
    let mut bed = Bed::prepare(arguments, Patterns::with_autoscaler(arguments.patterns)).await?;
    let captured = capture::requests(&mut bed).await?;
    let mut report = Report::new(&bed, captured.requests.len());

    for &connections in &arguments.connections {
        report.sweep.push(raw::measure(&mut bed, &captured, connections, "sweep", false).await?);
    }
    let best = report.best_connections();
    for round in 1..=arguments.rounds {
        let is_last = round == arguments.rounds;
        let label = format!("round {round} of {}", arguments.rounds);
        report.raw.push(raw::measure(&mut bed, &captured, best, &label, is_last).await?);
        let quiet = is_last.then_some(arguments.quiet_seconds);
        report.operator.push(product::measure(&mut bed, captured.requests.len(), &label, quiet).await?);
    }
    println!("\n{report}");
    println!("\nAll figures: {}", report.save()?.display());
    Ok(())
}
