//! The life of an admin inside a process.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use prism_proto::prism::metrics::v1::{ingest_server::IngestServer, metrics_server::MetricsServer};
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{server::NamedService, transport::Server};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    Error, Faults, Store, Tls,
    connection::accept,
    error::sentence,
    metrics::{faulty::Faulty, ingest::Reports, service::Answers},
};

/// How long an instance that no longer reports is remembered, unless the builder says otherwise.
const RETENTION: Duration = Duration::from_mins(10);
/// How long calls that have begun may take to end when the admin stops, unless the builder says otherwise.
const GRACE: Duration = Duration::from_secs(5);
/// Pause between two sweeps of the store.
const SWEEP: Duration = Duration::from_mins(1);
/// Silence after which a client is asked whether it is still there, and how long it may take to say so.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

type MetricsService = MetricsServer<Faulty<Answers>>;
type IngestService = IngestServer<Reports>;

/// How an admin is to serve.
#[must_use]
pub struct Builder {
    listen: SocketAddr,
    transport: Option<Transport>,
    retention: Duration,
    grace: Duration,
    store: Option<Arc<Store>>,
    faults: Faults,
}

enum Transport {
    Tls(Tls),
    Plaintext,
}

/// An admin that serves. When it is dropped it is killed: its connections break.
pub struct Admin {
    address: SocketAddr,
    store: Arc<Store>,
    faults: Faults,
    health: HealthReporter,
    grace: Duration,
    server: JoinHandle<Result<(), Error>>,
    stopping: DropGuard,
    severed: DropGuard,
}

impl Admin {
    /// An admin on a free port of 127.0.0.1, with an empty store and without a fault. How connections are secured
    /// has to be said: [`Builder::tls`] or [`Builder::insecure`].
    pub fn builder() -> Builder {
        Builder {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            transport: None,
            retention: RETENTION,
            grace: GRACE,
            store: None,
            faults: Faults::default(),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it knows.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// How it misbehaves.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Serves until `shutdown`, then stops.
    ///
    /// # Errors
    /// When the server fails earlier.
    pub async fn serve_until(mut self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        tokio::select! {
            ended = &mut self.server => outcome(ended),
            () = shutdown => self.stop().await,
        }
    }

    /// Takes no more connections, ends the streams, and waits for calls that have begun: for five seconds, or the
    /// time of [`Builder::grace`]. Then the port is free.
    ///
    /// # Errors
    /// When the server has failed earlier.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.announce_end().await;
        drop(self.stopping);
        if let Ok(ended) = timeout(self.grace, &mut self.server).await {
            return outcome(ended);
        }
        tracing::warn!("Calls have not ended in time and are broken off");
        drop(self.severed);
        outcome(self.server.await)
    }

    /// Breaks all connections at once and frees the port, as the end of a process does.
    ///
    /// # Errors
    /// When the server has failed earlier.
    pub async fn kill(self) -> Result<(), Error> {
        drop(self.severed);
        drop(self.stopping);
        outcome(self.server.await)
    }

    /// Tells those who watch the health, and ends their streams.
    async fn announce_end(&mut self) {
        for service in ["", MetricsService::NAME, IngestService::NAME] {
            self.health.set_service_status(service, ServingStatus::NotServing).await;
            self.health.clear_service_status(service).await;
        }
    }
}

impl Builder {
    /// Listens on this address; port 0 takes a free one.
    pub fn listen(self, address: SocketAddr) -> Self {
        Self { listen: address, ..self }
    }

    /// Serves TLS.
    pub fn tls(self, tls: Tls) -> Self {
        Self { transport: Some(Transport::Tls(tls)), ..self }
    }

    /// Serves plaintext: whoever reaches the port reads and reports metrics.
    pub fn insecure(self) -> Self {
        Self { transport: Some(Transport::Plaintext), ..self }
    }

    /// How long an instance is remembered after its value has become stale. Default: ten minutes. Means nothing
    /// beside [`Builder::store`].
    pub fn retention(self, retention: Duration) -> Self {
        Self { retention, ..self }
    }

    /// How long [`Admin::stop`] waits for calls that have begun. Default: five seconds.
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Starts with what this store knows, such as that of an admin that was stopped.
    pub fn store(self, store: Arc<Store>) -> Self {
        Self { store: Some(store), ..self }
    }

    /// Misbehaves as this handle says, from the first call on.
    pub fn faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// Listens, and serves from now on.
    ///
    /// # Errors
    /// When nobody said how connections are secured, certificate and key are of no use, or the address is taken.
    pub async fn start(self) -> Result<Admin, Error> {
        let Self { listen, transport, retention, grace, store, faults } = self;
        let (interval, patience) = KEEP_ALIVE;
        let mut builder = Server::builder()
            .http2_keepalive_interval(Some(interval))
            .http2_keepalive_timeout(Some(patience));
        match transport {
            None => return Err(Error::NoTransport),
            Some(Transport::Plaintext) => {}
            Some(Transport::Tls(tls)) => {
                builder =
                    builder.tls_config(tls.server_config()).map_err(|error| Error::Tls(sentence(&error)))?;
            }
        }
        let cannot_listen = |source| Error::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;

        let store = store.unwrap_or_else(|| Arc::new(Store::new(retention)));
        let stopping = CancellationToken::new();
        let severed = CancellationToken::new();
        let answers = Answers { store: store.clone(), stopping: stopping.clone() };
        let faulty = Faulty { inner: answers, faults: faults.clone(), stopping: stopping.clone() };
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<MetricsService>().await;
        health.set_serving::<IngestService>().await;
        let router = builder
            .add_service(health_service)
            .add_service(MetricsServer::new(faulty))
            .add_service(IngestServer::new(Reports(store.clone())));
        let connections = accept(listener, severed.clone());
        let serving = router.serve_with_incoming_shutdown(connections, stopping.clone().cancelled_owned());
        let swept = store.clone();
        let server = tokio::spawn(async move {
            tokio::select! {
                ended = serving => ended.map_err(|error| Error::Serve(sentence(&error))),
                never = sweep(swept) => match never {},
            }
        });
        let (stopping, severed) = (stopping.drop_guard(), severed.drop_guard());
        Ok(Admin { address, store, faults, health, grace, server, stopping, severed })
    }
}

/// Sweeps the store for as long as it is polled.
async fn sweep(store: Arc<Store>) -> Infallible {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        store.sweep(SystemTime::now());
    }
}

fn outcome(ended: Result<Result<(), Error>, tokio::task::JoinError>) -> Result<(), Error> {
    ended.unwrap_or_else(|error| Err(Error::Serve(sentence(&error))))
}
