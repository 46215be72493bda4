//! The life of an operator process.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderValue;
use kube::Client;
use prism_api::{labels, names};
use prism_engine::{
    Engine,
    cache::Cache,
    events::Events,
    fence::{Fence, since_boot},
    health::{Health, WatchGauge},
    in_flight::InFlight,
    lease::Leadership,
    ledger::{Ledger, Signature},
    metrics::Metrics,
    queue::Queue,
    server::{self, Exposed},
    transport::{self, Limits, Terms},
    watch::Scope,
};
use tokio::{net::TcpListener, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    Config,
    background::Background,
    context::{Context, OptionalKinds},
    gauges::Gauges,
    kinds,
    outlets::{Doors, Outlets},
    scaling::{Looks, secrets::SecretKeys, sources::Sources},
    shortages::Shortages,
    watches::Watches,
    work::Work,
};

/// The operator's name in the API server's logs.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("prism-operator/", env!("CARGO_PKG_VERSION")));

/// Time between two evictions of idle connections and answers.
const EVICT_EVERY: Duration = Duration::from_mins(1);

/// Why the operator stopped, if it was not asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No client can be made of the kubeconfig.
    #[error("the kubeconfig cannot be used: {0}")]
    Client(#[from] kube::Error),
    /// The address of the endpoints is taken or not allowed.
    #[error("cannot listen on {address}: {source}; choose another --bind-address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The address of an outlet is taken or not allowed.
    #[error("cannot listen on {address}: {source}; choose another {flag}")]
    Outlet {
        /// The address.
        address: SocketAddr,
        /// What it is set by.
        flag: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// Certificates that metrics are trusted by cannot be read.
    #[error("{0}")]
    Trust(String),
    /// The times of the lease contradict each other.
    #[error("the lease cannot be held: {0}")]
    Lease(String),
    /// Something that has to run as long as the process does not.
    #[error("{0}: this process is of no use any more")]
    TaskEnded(String),
    /// Another process may act from now on, so this one must not.
    #[error("the lease was lost")]
    LeaseLost,
}

/// An operator that has started to listen and to watch.
pub struct Operator {
    work: Work,
    address: SocketAddr,
    external_scaler: Option<SocketAddr>,
    external_metrics: Option<SocketAddr>,
    client: Client,
    doors: Doors,
    background: Background,
}

impl Operator {
    /// Starts endpoints and watches. Nothing is written before [`Operator::run`].
    ///
    /// # Errors
    /// When the configuration contradicts itself, the kubeconfig cannot be used, or the address is taken.
    pub async fn start(
        config: Config,
        cluster: kube::Config,
        shutdown: CancellationToken,
    ) -> Result<Self, Error> {
        if let Some(lease) = &config.lease {
            lease.check().map_err(Error::Lease)?;
        }
        let metrics = Arc::new(Metrics::new(names::METRICS_PREFIX));
        let health = Arc::new(Health::new(config.stale_after));
        let fence = Fence::new(since_boot);
        let queue = Arc::new(Queue::default());
        let in_flight = Arc::new(InFlight::new(config.stuck_after));
        let terms = Terms {
            limits: Limits { request: config.request_timeout, silence: config.stale_after },
            health: health.clone(),
            metrics: metrics.clone(),
            fence: fence.clone(),
        };
        let client = transport::client(cluster.clone(), AGENT, &terms)?;
        let ledger = Arc::new(Ledger::new(signature()));
        let identity = config.lease.as_ref().map_or(names::FIELD_MANAGER, |lease| &lease.identity);
        let events = Events::new(client.clone(), names::FIELD_MANAGER, identity);
        let occupied = |(address, flag, source)| Error::Outlet { address, flag, source };
        let (outlets, doors) = Outlets::bind(config.outlets.clone()).await.map_err(occupied)?;
        let context = Arc::new(Context {
            engine: Engine::new(client.clone(), ledger, metrics.clone(), events),
            queue: queue.clone(),
            clusters: Cache::default(),
            stacks: Cache::default(),
            patterns: Cache::default(),
            backends: Cache::default(),
            services: Cache::default(),
            namespaces: Cache::default(),
            storage_classes: Cache::default(),
            claims: Cache::default(),
            prism_autoscalers: Cache::default(),
            autoscalers: Cache::default(),
            scaled_objects: Cache::default(),
            authentications: Cache::default(),
            secret_keys: SecretKeys::new(client.clone()),
            shortages: Shortages::new(client.clone()),
            sources: Sources::new(&config.trust, config.dial.clone()).map_err(Error::Trust)?,
            looks: Looks::default(),
            outlets,
            pods: Cache::default(),
            optional: OptionalKinds::default(),
            scope: config.namespace.clone(),
            defaults: config.defaults.clone(),
            resync: config.resync,
        });
        metrics.collect(Box::new(Gauges(context.clone())));
        let name = format!("{}_watch_up", names::METRICS_PREFIX);
        metrics.collect(Box::new(WatchGauge { health: health.clone(), name }));
        let listen = |source| Error::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let scope = Scope { namespace: config.namespace.clone(), timeout: config.watch_timeout };
        let watches = Watches {
            client: client.clone(),
            scope,
            ctx: context.clone(),
            health: health.clone(),
            metrics: metrics.clone(),
            shutdown: shutdown.clone(),
        };
        let mut background = Background::new(metrics.clone(), shutdown.clone());
        watches.start(&mut background);
        let exposed =
            Exposed { health: health.clone(), in_flight: in_flight.clone(), metrics: metrics.clone(), queue };
        let serving = server::serve(listener, exposed, shutdown.clone());
        background.spawn_once("serving the endpoints", async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "Endpoints stopped");
            }
        });
        let (evicting, evicted) = (shutdown.clone(), context.clone());
        background.spawn("eviction", move || evict_idle(evicted.clone(), evicting.clone()));
        // The lease has a client of its own: it must not be fenced by its own loss.
        let leadership = match config.lease.clone() {
            Some(lease) => {
                let unfenced = Terms { fence: Fence::new(since_boot), ..terms };
                Some(Leadership::new(transport::client(cluster, AGENT, &unfenced)?, lease, fence.clone()))
            }
            None => None,
        };
        Ok(Self {
            work: Work { config, context, metrics, health, leadership, fence, in_flight, shutdown },
            address,
            external_scaler: doors.external_scaler(),
            external_metrics: doors.external_metrics(),
            client,
            doors,
            background,
        })
    }

    /// Where the endpoints are served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where KEDA is listened to, if it is.
    #[must_use]
    pub fn external_scaler_address(&self) -> Option<SocketAddr> {
        self.external_scaler
    }

    /// Where the API server is listened to for `external.metrics.k8s.io`, if it is.
    #[must_use]
    pub fn external_metrics_address(&self) -> Option<SocketAddr> {
        self.external_metrics
    }

    /// Waits for the caches and the lease, works until the shutdown, and gives the lease back.
    ///
    /// # Errors
    /// [`Error::LeaseLost`], [`Error::TaskEnded`]: the process has to end at once.
    pub async fn run(self) -> Result<(), Error> {
        let Self { work, address, client, doors, mut background, .. } = self;
        tracing::info!(%address, "Endpoints are served");
        if doors.are_wanted() {
            let serving =
                doors.serve(work.context.clone(), client, work.health.clone(), work.shutdown.clone());
            background.spawn_once("answering for metrics", serving);
        }
        let result = tokio::select! {
            result = work.run() => result,
            ended = background.ended() => Err(Error::TaskEnded(ended)),
        };
        work.metrics.leads(false);
        background.shutdown().await;
        result
    }
}

/// How this operator signs what it makes.
fn signature() -> Signature {
    Signature {
        manager: names::FIELD_MANAGER,
        mark: labels::OWNED_BY,
        stamp: labels::APPLIED,
        finalizer: names::FINALIZER,
        notes: names::LABEL_PREFIX,
        adoption_label: labels::PLAIN_APP,
        adoption_consent: labels::ADOPT,
        owner_kinds: kinds::OWNERS.to_vec(),
    }
}

/// Evicts connections and answers that nobody uses any more, until the shutdown.
async fn evict_idle(context: Arc<Context>, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(sleep(EVICT_EVERY)).await.is_some() {
        let now = Instant::now();
        context.sources.evict_idle(now);
        context.secret_keys.evict_idle(now);
        context.shortages.evict_idle(now);
    }
}
