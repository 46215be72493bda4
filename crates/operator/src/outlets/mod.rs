//! How others ask the operator for metrics: KEDA over gRPC, autoscalers through the API server.
//!
//! Nothing is remembered between two questions. Each is planned and read anew, so every replica can answer,
//! whoever leads. What cannot be answered is an error and never a zero, on which others would scale down.

mod access;
mod api_service;
mod certificates;
mod external_metrics;
mod external_scaler;
mod front_proxy;
mod identity;
mod keeper;
mod listener;
mod lookup;
mod question;
mod settings;
#[cfg(test)]
mod tests;
mod tls;
mod trouble;

use std::{io, net::SocketAddr};

use prism_plan::scaling;
use tokio::{net::TcpListener, sync::watch};

pub(crate) use keeper::Doors;
pub use settings::{ExternalMetricsConfig, ExternalScalerConfig, OutletConfig, ServiceAddress};

/// Why autoscalers are not answered, unless something else stands in the way.
const NOT_WANTED: &str = "this operator does not answer autoscalers: start it with --external-metrics-bind-address, or remove via: hpa";

/// The outlets, as planners see them.
pub(crate) struct Outlets {
    /// `None` until it is known what is open.
    told: watch::Sender<Option<scaling::Outlets>>,
}

/// An address that cannot be listened on: which one, the flag that names it, and why not.
pub(crate) type Occupied = (SocketAddr, &'static str, io::Error);

impl Outlets {
    /// Takes the addresses. Nobody is let in before [`Doors::serve`].
    pub(crate) async fn bind(config: OutletConfig) -> Result<(Self, Doors), Occupied> {
        let scaler = match config.external_scaler.clone() {
            Some(scaler) => {
                let (listener, address) = bind(scaler.listen, "--external-scaler-bind-address").await?;
                let told = config.scaler_address(&scaler, address);
                Some((listener, address, told))
            }
            None => None,
        };
        let metrics = match config.external_metrics.clone() {
            Some(metrics) => {
                let (listener, address) = bind(metrics.listen, "--external-metrics-bind-address").await?;
                let service = config.metrics_service(&metrics, address);
                Some((listener, address, service))
            }
            None => None,
        };
        let told = (scaler.is_none() && metrics.is_none()).then(closed);
        Ok((Self { told: watch::Sender::new(told) }, Doors { config, scaler, metrics }))
    }

    /// What planners are told of them.
    pub(crate) fn facts(&self) -> scaling::Outlets {
        self.told.borrow().clone().unwrap_or_else(closed)
    }

    /// Waits until it is known what is open: whoever plans earlier would take scalers away that ask here.
    pub(crate) async fn settled(&self) {
        // Cannot fail: the sender lives in `self`.
        let _ = self.told.subscribe().wait_for(Option::is_some).await;
    }

    /// Tells planners; `false` if they know that already.
    fn tell(&self, news: &scaling::Outlets) -> bool {
        self.told.send_if_modified(|told| {
            let is_news = told.as_ref() != Some(news);
            *told = Some(news.clone());
            is_news
        })
    }
}

fn closed() -> scaling::Outlets {
    scaling::Outlets { external_scaler: None, external_metrics_closed: Some(NOT_WANTED.to_owned()) }
}

async fn bind(address: SocketAddr, flag: &'static str) -> Result<(TcpListener, SocketAddr), Occupied> {
    let occupied = |error| (address, flag, error);
    let listener = TcpListener::bind(address).await.map_err(occupied)?;
    let bound = listener.local_addr().map_err(occupied)?;
    Ok((listener, bound))
}
