//! `demo`: a pattern with an autoscaler comes to life, on a local cluster or the one of `$KUBECONFIG`.

mod error;
mod install;
mod next;
mod place;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use prism_rig::{Note, OperatorProcess, Steps, install_definitions};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Result};
use crate::place::{NAMESPACE, Place};

/// As a shell tells an interruption.
const INTERRUPTED: u8 = 130;
/// Lines of the operator's log that a failure shows.
const LOG_LINES: usize = 15;

/// Shows a pattern with an autoscaler come to life.
///
/// Acts on the cluster of $KUBECONFIG; where that is not set, on a local one, which is started if need
/// be and stays.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Folder of the local cluster.
    #[arg(long, default_value = ".cluster")]
    dir: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("demo: a TLS provider was installed twice");
        return ExitCode::FAILURE;
    }
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("\ndemo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let mut steps = Steps::default();
    let place = Place::find(&arguments.dir, &mut steps).await?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut operator = None;
    let shown = tokio::select! {
        shown = show(&place, &mut operator, &mut steps) => shown,
        _ = interrupt.recv() => Err(Error::Interrupted),
        _ = terminate.recv() => Err(Error::Interrupted),
    };
    if let Err(error) = &shown
        && !matches!(error, Error::Interrupted)
    {
        explain(&place, operator.as_ref()).await;
    }
    if let Some(operator) = operator {
        operator.stop().await;
        println!("\nThe demo's operator is stopped; the pattern and its pods go on.");
    }
    shown?;
    next::print(&place);
    Ok(())
}

/// Everything the user came to see.
async fn show(place: &Place, operator: &mut Option<OperatorProcess>, steps: &mut Steps) -> Result<()> {
    let definitions = async |_: &Note| install_definitions(&place.client, install::MANAGER).await;
    steps.step("custom resource definitions", definitions).await?;
    steps.step("namespace", async |_| install::namespace(place).await).await?;
    let operator =
        operator.insert(OperatorProcess::start(&place.kubeconfig, &["--watch-namespace", NAMESPACE])?);
    steps.step("operator", async |note| operator.ready(note).await).await?;
    steps.step("pattern applied", async |_| install::pattern(place).await).await?;
    let ready = async |note: &Note| operator.watched(install::ready(place, note)).await;
    let pattern = steps.step("pattern ready", ready).await?;
    println!("\n{}", tree::of(place, &pattern).await?);
    println!("\n{}", steps.summary());
    Ok(())
}

/// Tells on standard error what the pattern and the operator have to say.
async fn explain(place: &Place, operator: Option<&OperatorProcess>) {
    if let Some(pattern) = install::look(place).await {
        eprintln!("\nConditions of {}:", install::PATTERN);
        for condition in install::conditions(&pattern) {
            let message = &condition.message;
            eprintln!("  {}={} {}: {message}", condition.type_, condition.status, condition.reason);
        }
    }
    if let Some(operator) = operator {
        eprintln!("\nThe end of the operator's log:\n{}", operator.log_tail(LOG_LINES));
    }
}
