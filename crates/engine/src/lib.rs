//! Operator machinery that knows nothing of any product.
//!
//! An operator gives it what should be ([`child::Child`]), and the engine brings it about with as
//! few requests as possible: none at all when nothing differs. [`ledger::Ledger`] explains how it
//! knows; [`Engine::apply`], [`Engine::prune`] and [`Engine::report`] are the only writes.

mod adopt;
mod apply;
pub mod cache;
pub mod child;
pub mod decode;
pub mod digest;
mod drawn;
pub mod error;
pub mod events;
pub mod fence;
mod field_conflicts;
mod finalizer;
mod foreign;
pub mod health;
pub mod in_flight;
pub mod lease;
pub mod ledger;
pub mod live;
pub mod logging;
pub mod metrics;
pub mod object;
mod overwrite;
mod prune;
pub mod queue;
mod release;
mod report;
mod scale;
pub mod server;
pub mod supervise;
pub mod transport;
pub mod volumes;
pub mod watch;
pub mod worker;

use std::sync::Arc;

use kube::Client;

pub use apply::{Change, Outcome};
pub use error::{Class, Error};
pub use prune::Pruned;
pub use report::{Reported, Urgency};

use crate::{
    events::Events, field_conflicts::FieldConflicts, ledger::Ledger, metrics::Metrics, report::Reports,
};

/// The applier: everything that is written to the cluster goes through here.
pub struct Engine {
    client: Client,
    ledger: Arc<Ledger>,
    metrics: Arc<Metrics>,
    reports: Reports,
    conflicts: FieldConflicts,
    /// Where users are told.
    pub events: Events,
}

impl Engine {
    /// An engine that writes through `client` and remembers in `ledger`.
    #[must_use]
    pub fn new(client: Client, ledger: Arc<Ledger>, metrics: Arc<Metrics>, events: Events) -> Self {
        Self {
            client,
            ledger,
            metrics,
            reports: Reports::default(),
            conflicts: FieldConflicts::default(),
            events,
        }
    }

    /// What is known of the children.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}
