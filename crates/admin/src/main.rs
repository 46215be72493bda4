//! The admin's command line.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use prism_admin::{Admin, Fault, Faults, Tls};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The reference admin of Prism: keeps the metrics of patterns and tells them over gRPC.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take reports and answer queries until SIGTERM.
    Serve(ServeArguments),
}

#[derive(clap::Args)]
struct ServeArguments {
    /// Level, or filter such as `info,prism_admin=debug`.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    log_level: String,
    /// Address to listen on.
    #[arg(long, default_value = "0.0.0.0")]
    bind_address: IpAddr,
    /// Port to listen on; 0 takes a free one, which the log names.
    #[arg(long, default_value_t = 8981)]
    grpc_port: u16,
    /// File with the server's certificate and those that lead to its authority, PEM.
    #[arg(long, required_unless_present = "insecure", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// File with the private key of the certificate, PEM.
    #[arg(long, required_unless_present = "insecure", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// File with the authorities, PEM, of which a client needs a certificate. Default: anybody is let in.
    #[arg(long, requires = "tls_cert")]
    client_ca: Option<PathBuf>,
    /// Serve plaintext: whoever reaches the port reads and reports metrics.
    #[arg(long, conflicts_with_all = ["tls_cert", "tls_key", "client_ca"])]
    insecure: bool,
    /// Seconds for which an instance is remembered after its value has become stale.
    #[arg(long, default_value_t = 600)]
    retention: u64,
    /// Misbehave on purpose, for a rehearsal: `slow=SECONDS`, `hung`, `wrong=nan|infinite|negative|unit`,
    /// `stale=SECONDS` or `absent=unavailable|not-found`.
    #[arg(long)]
    fault: Option<Fault>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { command: Command::Serve(arguments) } = Arguments::parse();
    match serve(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("prism-admin: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: ServeArguments) -> Result<(), String> {
    start_log(&arguments.log_level)?;
    // Before the port is open, so that no signal that follows its use is missed.
    let stop = stop_signal()?;
    let mut builder = Admin::builder()
        .listen(SocketAddr::new(arguments.bind_address, arguments.grpc_port))
        .retention(Duration::from_secs(arguments.retention));
    builder = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(certificate), Some(key)) => {
            let tls = Tls::read(certificate, key, arguments.client_ca.as_deref()).await;
            builder.tls(tls.map_err(|error| error.to_string())?)
        }
        _ if arguments.insecure => builder.insecure(),
        _ => builder,
    };
    let faults = Faults::default();
    if let Some(fault) = arguments.fault {
        faults.set(fault);
        tracing::warn!(?fault, "Misbehaving on purpose");
    }
    let admin = builder.faults(faults).start().await.map_err(|error| error.to_string())?;
    tracing::info!(address = %admin.address(), is_encrypted = !arguments.insecure, "Serving");
    admin.serve_until(stop).await.map_err(|error| error.to_string())
}

/// Starts logging to standard error, one JSON object a line. `level` is a level or a filter.
fn start_log(level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|error| format!("log level {level:?}: {error}"))?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| error.to_string())
}

/// Ends with the first SIGTERM or SIGINT from now on.
fn stop_signal() -> Result<impl Future<Output = ()>, String> {
    let receive = |kind| signal(kind).map_err(|error| format!("signals cannot be received: {error}"));
    let (mut terminate, mut interrupt) =
        (receive(SignalKind::terminate())?, receive(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        tracing::info!("Shutting down");
    })
}
