//! How an operator process is set up.

use std::{net::SocketAddr, time::Duration};

use prism_engine::lease::LeaseConfig;
use prism_plan::defaults::Defaults;

use crate::{outlets::OutletConfig, scaling::sources::Trust};

/// Everything that can be set from outside.
#[derive(Clone, Debug)]
pub struct Config {
    /// The only namespace to look at, or all.
    pub namespace: Option<String>,
    /// Where `/healthz`, `/readyz` and `/metrics` are served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The lease to hold while working; without one, this has to be the only process.
    pub lease: Option<LeaseConfig>,
    /// Objects looked at at the same time.
    pub concurrency: usize,
    /// Server-side time limit of a watch request.
    pub watch_timeout: Duration,
    /// Silence after which a watch counts as stuck.
    pub stale_after: Duration,
    /// Time within which the API server has to answer a request, watches apart.
    pub request_timeout: Duration,
    /// Time after which a reconcile is abandoned, and begun again later.
    pub reconcile_timeout: Duration,
    /// Time after which a reconcile that has not ended makes the process count as dead. Longer than the former.
    pub stuck_after: Duration,
    /// Time between two looks at an object about which nothing is heard.
    pub resync: Duration,
    /// What a spec that is silent gets.
    pub defaults: Defaults,
    /// Whose metrics are trusted.
    pub trust: Trust,
    /// How others may ask for metrics.
    pub outlets: OutletConfig,
    /// Which addresses that a spec names are connected to.
    pub dial: prism_dial::Policy,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            namespace: None,
            listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
            lease: None,
            concurrency: 32,
            watch_timeout: Duration::from_secs(290),
            stale_after: Duration::from_secs(150),
            request_timeout: Duration::from_secs(30),
            reconcile_timeout: Duration::from_mins(4),
            stuck_after: Duration::from_mins(5),
            resync: Duration::from_hours(1),
            defaults: Defaults::default(),
            trust: Trust::default(),
            outlets: OutletConfig::default(),
            dial: prism_dial::Policy::default(),
        }
    }
}
