//! The operator's command line.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use prism_dial::{Policy, Range};
use prism_engine::{lease::LeaseConfig, logging};
use prism_operator::{
    Config, ExternalMetricsConfig, ExternalScalerConfig, Operator, OutletConfig, ServiceAddress, Trust,
};
use prism_plan::{defaults::Defaults, refusals::Refusals};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The Kubernetes operator for Prism, a data access gateway.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the operator against $KUBECONFIG, or the cluster it runs in.
    Run(Box<RunArguments>),
}

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
struct RunArguments {
    /// Level, or filter such as info,kube=debug.
    #[arg(long, env = "LOG_LEVEL", default_value = "info", alias = "zap-log-level")]
    log_level: String,
    /// The only namespace to look at. Default: all.
    #[arg(long, env = "WATCH_NAMESPACE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    watch_namespace: Option<String>,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, default_value = "0.0.0.0:8080")]
    bind_address: SocketAddr,
    /// Whether to hold a lease while working, so that several replicas can run.
    #[arg(long, env = "LEADER_ELECT", default_value_t = true, action = clap::ArgAction::Set)]
    leader_elect: bool,
    /// Namespace of the lease.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    lease_namespace: String,
    /// Seconds without a sign of the holder after which another replica takes over.
    #[arg(long, default_value_t = 15)]
    lease_duration: u64,
    /// Seconds without a renewal after which the holder stops; less than the lease duration.
    #[arg(long, default_value_t = 10)]
    renew_deadline: u64,
    /// Seconds between renewals; less than the renew deadline.
    #[arg(long, default_value_t = 2)]
    retry_period: u64,
    /// Objects looked at at the same time.
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// Server-side time limit of a watch request, in seconds.
    #[arg(long, default_value_t = 290)]
    watch_timeout: u64,
    /// Silence, in seconds, after which /readyz calls a watch stuck.
    #[arg(long, default_value_t = 150)]
    watch_stale_after: u64,
    /// Seconds within which the API server has to answer a request, watches apart.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    request_timeout: u64,
    /// Seconds after which a reconcile is abandoned, and begun again later.
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u64).range(1..))]
    reconcile_timeout: u64,
    /// Seconds after which a reconcile that has not ended makes /healthz fail; longer than the reconcile timeout.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    reconcile_stuck_after: u64,
    /// Registry and path of images that a spec does not name.
    #[arg(long, env = "PRISM_IMAGE_REGISTRY", default_value_t = Defaults::default().image_registry)]
    image_registry: String,
    /// Tag of images that a spec does not name.
    #[arg(long, env = "PRISM_VERSION", default_value_t = Defaults::default().version)]
    image_version: String,
    /// File with certificates in PEM of who signs for admins and for Prometheus, beside those that this machine
    /// knows. With it, an admin whose address has no scheme is spoken to over TLS.
    #[arg(long, env = "ADMIN_CA_FILE")]
    admin_ca_file: Option<PathBuf>,
    /// Where KEDA is answered, with via: keda. Left out, it is not. Whoever reaches it reads metrics.
    #[arg(long)]
    external_scaler_bind_address: Option<SocketAddr>,
    /// Host and port that KEDA is told. Default: the Service prism-operator, and the port of the bind address.
    #[arg(long, requires = "external_scaler_bind_address")]
    external_scaler_address: Option<String>,
    /// Where external.metrics.k8s.io is served, with via: hpa. Left out, it is not: a cluster has one such API,
    /// and KEDA brings its own.
    #[arg(long)]
    external_metrics_bind_address: Option<SocketAddr>,
    /// Service by which the API server reaches it, as NAMESPACE/NAME[:PORT]. Default: prism-operator, and the
    /// port of the bind address.
    #[arg(long, requires = "external_metrics_bind_address")]
    external_metrics_service: Option<ServiceAddress>,
    /// Name in the certificate of both, beside those that are told; may be repeated. Default:
    /// prism-operator.NAMESPACE.svc and localhost.
    #[arg(long)]
    serving_name: Vec<String>,
    /// Refuse podTemplate, privileges, hostPath volumes and host ports in custom resources.
    #[arg(long)]
    refuse_pod_patches: bool,
    /// Refuse service accounts of others, and Secrets that no backend names, in custom resources.
    #[arg(long)]
    refuse_foreign_credentials: bool,
    /// Refuse annotations of an Ingress, and issuers, trigger credentials and gateways of the whole cluster or
    /// of another namespace, in custom resources.
    #[arg(long)]
    refuse_cluster_references: bool,
    /// Range of addresses that a spec may name although they are refused by default: loopback, link-local, metadata
    /// of clouds, multicast, the operator's own. A CIDR or an address; may be repeated.
    #[arg(long, value_name = "CIDR")]
    dial_allow: Vec<Range>,
    /// Range of addresses that the operator never connects to for a spec, whatever --dial-allow says; may be
    /// repeated.
    #[arg(long, value_name = "CIDR")]
    dial_deny: Vec<Range>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { command: Command::Run(arguments) } = Arguments::parse();
    match run(*arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("prism-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: RunArguments) -> Result<(), String> {
    logging::init(&arguments.log_level)?;
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return Err("a TLS provider was installed twice".to_owned());
    }
    let cluster = kube::Config::infer().await.map_err(|error| {
        format!(
            "no cluster to talk to: {error}; set KUBECONFIG, or start a local cluster with `make cluster-up`"
        )
    })?;
    let shutdown = CancellationToken::new();
    stop_on_signal(shutdown.clone())?;
    let operator =
        Operator::start(arguments.config(), cluster, shutdown).await.map_err(|error| error.to_string())?;
    operator.run().await.map_err(|error| error.to_string())
}

impl RunArguments {
    fn config(self) -> Config {
        let seconds = Duration::from_secs;
        let outlets = OutletConfig {
            namespace: self.lease_namespace.clone(),
            serving_names: self.serving_name,
            external_scaler: self
                .external_scaler_bind_address
                .map(|listen| ExternalScalerConfig { listen, address: self.external_scaler_address }),
            external_metrics: self
                .external_metrics_bind_address
                .map(|listen| ExternalMetricsConfig { listen, service: self.external_metrics_service }),
        };
        let lease = self.leader_elect.then(|| LeaseConfig {
            namespace: self.lease_namespace,
            name: "prism-operator".to_owned(),
            identity: identity(),
            duration: seconds(self.lease_duration),
            renew_deadline: seconds(self.renew_deadline),
            retry_period: seconds(self.retry_period),
        });
        Config {
            namespace: self.watch_namespace,
            listen: self.bind_address,
            lease,
            concurrency: self.concurrency.max(1),
            watch_timeout: seconds(self.watch_timeout),
            stale_after: seconds(self.watch_stale_after),
            request_timeout: seconds(self.request_timeout),
            reconcile_timeout: seconds(self.reconcile_timeout),
            stuck_after: seconds(self.reconcile_stuck_after),
            defaults: Defaults {
                image_registry: self.image_registry,
                version: self.image_version,
                refusals: Refusals {
                    pod_patches: self.refuse_pod_patches,
                    foreign_credentials: self.refuse_foreign_credentials,
                    cluster_references: self.refuse_cluster_references,
                },
            },
            outlets,
            trust: Trust { ca_file: self.admin_ca_file },
            dial: Policy { allow: self.dial_allow, deny: self.dial_deny },
            ..Config::default()
        }
    }
}

/// The pod's name where there is one, and in any case different for each process.
fn identity() -> String {
    let host = std::env::var("POD_NAME")
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_else(|_| "local".to_owned());
    let started = k8s_openapi::jiff::Timestamp::now().as_millisecond();
    format!("{host}-{}-{started}", std::process::id())
}

fn stop_on_signal(shutdown: CancellationToken) -> Result<(), String> {
    let mut signals = [SignalKind::terminate(), SignalKind::interrupt()]
        .into_iter()
        .map(|kind| signal(kind).map_err(|error| format!("signals cannot be received: {error}")))
        .collect::<Result<Vec<_>, _>>()?;
    tokio::spawn(async move {
        if let [terminate, interrupt] = signals.as_mut_slice() {
            tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        }
        tracing::info!("Shutting down");
        shutdown.cancel();
    });
    Ok(())
}
