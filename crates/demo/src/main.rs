//! `demo`: a pattern with an autoscaler comes to life, on a local cluster or the one of `$KUBECONFIG`.

mod error;
mod install;
mod next;
mod operator;
mod place;
mod steps;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Result};
use crate::operator::Operator;
use crate::place::Place;
use crate::steps::Steps;

/// As a shell tells an interruption.
const INTERRUPTED: u8 = 130;

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
    let mut operator = Operator::prepare(&place)?;
    let shown = tokio::select! {
        shown = show(&place, &mut operator, &mut steps) => shown,
        _ = interrupt.recv() => Err(Error::Interrupted),
        _ = terminate.recv() => Err(Error::Interrupted),
    };
    if let Err(error) = &shown
        && !matches!(error, Error::Interrupted)
    {
        operator.explain(&place).await;
    }
    let was_running = operator.stop().await;
    if was_running {
        println!("\nThe demo's operator is stopped; the pattern and its pods go on.");
    }
    shown?;
    next::print(&place);
    Ok(())
}

/// Everything the user came to see.
async fn show(place: &Place, operator: &mut Operator, steps: &mut Steps) -> Result<()> {
    steps.step("custom resource definitions", async |_| install::definitions(place).await).await?;
    steps.step("namespace", async |_| install::namespace(place).await).await?;
    steps.step("operator", async |note| operator.start(note).await).await?;
    steps.step("pattern applied", async |_| install::pattern(place).await).await?;
    let pattern =
        steps.step("pattern ready", async |note| operator.watched(install::ready(place, note)).await).await?;
    println!("\n{}", tree::of(place, &pattern).await?);
    println!("\n{}", steps.summary());
    Ok(())
}
