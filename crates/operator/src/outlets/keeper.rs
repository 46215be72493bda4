//! Opens the outlets, and keeps them open: certificates, and the claim to the group of the API.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::future::OptionFuture;
use kube::{Client, Resource};
use prism_api::autoscaling::{Autoscaling, Via};
use prism_engine::{
    health::Health,
    object::{Kind, ObjectKey},
    queue::Lane,
};
use prism_plan::scaling;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    access::Access,
    api_service::Registration,
    certificates::Certificates,
    external_metrics::{self, Desk},
    external_scaler,
    front_proxy::FrontProxy,
    identity::Identity,
    settings::{OutletConfig, ServiceAddress},
    tls::{Terms, terms},
    trouble::Trouble,
};
use crate::{context::Context, kinds};

/// Time between two looks at what the outlets depend on.
const INTERVAL: Duration = Duration::from_mins(1);
/// The same while an outlet is closed, and what it waits for may have come.
const WHILE_CLOSED: Duration = Duration::from_secs(10);
/// The same while nothing is known yet, and the operator waits.
const IMPATIENCE: Duration = Duration::from_secs(2);
/// An API server that has not answered by then does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The addresses that are taken, and what they are for.
pub(crate) struct Doors {
    pub(super) config: OutletConfig,
    /// Where KEDA is listened to, and what it is told.
    pub(super) scaler: Option<(TcpListener, SocketAddr, String)>,
    /// Where the API server is listened to, and what it is told.
    pub(super) metrics: Option<(TcpListener, SocketAddr, ServiceAddress)>,
}

/// What is kept for KEDA.
struct Scaler {
    address: String,
    terms: watch::Sender<Terms>,
}

/// What is kept for autoscalers.
struct Metrics {
    registration: Registration,
    terms: watch::Sender<Terms>,
    front_proxy: watch::Sender<Option<FrontProxy>>,
}

/// Looks again and again at what the outlets depend on.
struct Keeper {
    client: Client,
    certificates: Certificates,
    scaler: Option<Scaler>,
    metrics: Option<Metrics>,
}

impl Doors {
    /// Where KEDA is listened to.
    pub(crate) fn external_scaler(&self) -> Option<SocketAddr> {
        self.scaler.as_ref().map(|(_, address, _)| *address)
    }

    /// Where the API server is listened to.
    pub(crate) fn external_metrics(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address, _)| *address)
    }

    /// Whether anybody may come in at all.
    pub(crate) fn are_wanted(&self) -> bool {
        self.scaler.is_some() || self.metrics.is_some()
    }

    /// Answers until `shutdown`, from when the caches are filled.
    pub(crate) async fn serve(
        self,
        ctx: Arc<Context>,
        client: Client,
        health: Arc<Health>,
        shutdown: CancellationToken,
    ) {
        let Self { config, scaler, metrics } = self;
        if shutdown.run_until_cancelled(health.synced()).await.is_none() {
            return;
        }
        let certificates = Certificates::new(client.clone(), &config.namespace, config.names());
        let mut keeper = Keeper { client: client.clone(), certificates, scaler: None, metrics: None };
        let scaler = scaler.map(|(listener, _, address)| {
            let (sender, terms) = watch::channel(None);
            keeper.scaler = Some(Scaler { address, terms: sender });
            external_scaler::serve(listener, terms, ctx.clone(), shutdown.clone())
        });
        let metrics = metrics.map(|(listener, _, service)| {
            let (sender, terms) = watch::channel(None);
            let (proxy, front_proxy) = watch::channel(None);
            let registration = Registration::new(client.clone(), service);
            keeper.metrics = Some(Metrics { registration, terms: sender, front_proxy: proxy });
            let desk = Desk { catalogue: ctx.clone(), front_proxy, access: Access::new(client) };
            external_metrics::serve(listener, terms, desk, shutdown.clone())
        });
        let keeping = shutdown.run_until_cancelled(keeper.keep(&ctx));
        tokio::join!(keeping, OptionFuture::from(scaler), OptionFuture::from(metrics));
    }
}

impl Keeper {
    async fn keep(&self, ctx: &Context) {
        let mut known: Option<scaling::Outlets> = None;
        loop {
            let late = |_| Err(Trouble::Unavailable("the API server does not answer".to_owned()));
            match timeout(PATIENCE, self.look(known.as_ref())).await.unwrap_or_else(late) {
                Ok(news) => {
                    if ctx.outlets.tell(&news) {
                        announce(&news);
                        wake(ctx);
                    }
                    known = Some(news);
                }
                Err(trouble) => tracing::warn!(%trouble, "Outlets stay as they are"),
            }
            sleep(match &known {
                None => IMPATIENCE,
                Some(known) if self.is_open(known) => INTERVAL,
                Some(_) => WHILE_CLOSED,
            })
            .await;
        }
    }

    /// Whether all that is wanted is open.
    fn is_open(&self, known: &scaling::Outlets) -> bool {
        (self.scaler.is_none() || known.external_scaler.is_some())
            && (self.metrics.is_none() || known.external_metrics_closed.is_none())
    }

    /// Looks at everything once.
    ///
    /// # Errors
    /// [`Trouble::Unavailable`]: nothing is to be concluded from it.
    async fn look(&self, known: Option<&scaling::Outlets>) -> Result<scaling::Outlets, Trouble> {
        let identity = match self.certificates.load().await {
            Ok(identity) => identity,
            Err(Trouble::Taken(sentence) | Trouble::Refused(sentence)) => {
                return Ok(self.uncertified(known, sentence));
            }
            Err(trouble) => return Err(trouble),
        };
        let mut news = super::closed();
        if let Some(Scaler { address, terms: sender }) = &self.scaler {
            sender.send_replace(Some(terms(&identity, None, external_scaler::PROTOCOL)?));
            news.external_scaler = Some((address.clone(), identity.authorities.clone()));
        }
        if let Some(metrics) = &self.metrics {
            news.external_metrics_closed = match self.claim(metrics, &identity).await {
                Ok(()) => None,
                Err(Trouble::Taken(sentence)) => {
                    metrics.terms.send_replace(None);
                    Some(sentence)
                }
                Err(Trouble::Refused(sentence)) => {
                    tracing::warn!(
                        sentence,
                        "Autoscalers can be answered by what was known before, if at all"
                    );
                    known.map_or(Some(sentence), |known| known.external_metrics_closed.clone())
                }
                Err(trouble) => return Err(trouble),
            };
        }
        Ok(news)
    }

    /// Without its Secret, what is open stays open, with the certificates of before.
    fn uncertified(&self, known: Option<&scaling::Outlets>, sentence: String) -> scaling::Outlets {
        tracing::warn!(sentence, "The operator cannot have its certificates");
        let closed = || match self.metrics {
            Some(_) => {
                scaling::Outlets { external_metrics_closed: Some(sentence), ..scaling::Outlets::default() }
            }
            None => super::closed(),
        };
        known.cloned().unwrap_or_else(closed)
    }

    /// Opens the outlet of autoscalers, if the API server may be told of it.
    async fn claim(&self, metrics: &Metrics, identity: &Identity) -> Result<(), Trouble> {
        let front_proxy = FrontProxy::read(self.client.clone()).await?;
        let terms = terms(identity, Some(&front_proxy.authorities), external_metrics::PROTOCOL)?;
        metrics.registration.keep(&identity.authorities).await?;
        metrics.front_proxy.send_replace(Some(front_proxy));
        metrics.terms.send_replace(Some(terms));
        Ok(())
    }
}

fn announce(news: &scaling::Outlets) {
    if let Some((address, _)) = &news.external_scaler {
        tracing::info!(address, "KEDA is answered");
    }
    match &news.external_metrics_closed {
        None => tracing::info!("Autoscalers are answered"),
        Some(sentence) => tracing::info!(sentence, "Autoscalers are not answered"),
    }
}

/// Wakes whoever scales by way of an outlet.
fn wake(ctx: &Context) {
    let asks = |via: Option<Via>| matches!(via, Some(Via::Keda | Via::Hpa));
    let is_asked = |block: Option<&Autoscaling>| block.is_some_and(|block| asks(block.via));
    let add = |kind: Kind, metadata: &kube::core::ObjectMeta| {
        let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
        ctx.queue
            .add(ObjectKey::new(kind, namespace.unwrap_or_default(), name.unwrap_or_default()), Lane::Child);
    };
    let patterns =
        ctx.patterns.find(|one| one.0.as_ref().is_ok_and(|one| is_asked(one.spec.autoscaling.as_ref())));
    for pattern in patterns {
        add(kinds::PRISM_PATTERN, pattern.meta());
    }
    let stacks = ctx.stacks.find(|one| {
        let spec = one.0.as_ref().ok().map(|stack| &stack.spec);
        let mut components = spec.into_iter().flat_map(|spec| spec.proxy.iter().chain(&spec.web_console));
        components.any(|component| is_asked(component.autoscaling.as_ref()))
    });
    for stack in stacks {
        add(kinds::PRISM_STACK, stack.meta());
    }
    for autoscaler in ctx.prism_autoscalers.find(|one| one.0.as_ref().is_ok_and(|one| asks(one.spec.via))) {
        add(kinds::PRISM_AUTOSCALER, autoscaler.meta());
    }
}
