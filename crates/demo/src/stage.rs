//! How a demo begins and ends, as a program.

use std::process::ExitCode;

use prism_api::condition::Condition;
use prism_rig::OperatorProcess;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Result};

/// As a shell tells an interruption.
const INTERRUPTED: u8 = 130;
/// Lines of the operator's log that a failure shows.
const LOG_LINES: usize = 15;

/// Runs the program `name`, and makes an exit code of how it ended: 0, 1 with a sentence on standard error, or
/// 130 after an interruption.
pub async fn play(name: &str, demo: impl Future<Output = Result<()>>) -> ExitCode {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("{name}: a TLS provider was installed twice");
        return ExitCode::FAILURE;
    }
    match demo.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("\n{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does `work` until its end, or until somebody presses Ctrl-C.
///
/// # Errors
/// As `work`; [`Error::Interrupted`] after SIGINT or SIGTERM.
pub async fn until_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    tokio::select! {
        result = work => result,
        _ = interrupt.recv() => Err(Error::Interrupted),
        _ = terminate.recv() => Err(Error::Interrupted),
    }
}

/// Tells on standard error what the conditions of the object `name`, and the operator, have to say.
pub fn explain(name: &str, conditions: &[Condition], operator: Option<&OperatorProcess>) {
    if !conditions.is_empty() {
        eprintln!("\nConditions of {name}:");
    }
    for condition in conditions {
        let message = &condition.message;
        eprintln!("  {}={} {}: {message}", condition.type_, condition.status, condition.reason);
    }
    if let Some(operator) = operator {
        eprintln!("\nThe end of the operator's log:\n{}", operator.log_tail(LOG_LINES));
    }
}
