//! What every look at an object can use.

use std::{sync::Arc, time::Duration};

use kube::core::DeserializeGuard;
use prism_api::{backend::PrismBackend, pattern::PrismPattern};
use prism_engine::{
    Engine, Error,
    cache::Cache,
    object::{Kind, ObjectKey},
    queue::{Lane, Queue},
    worker::{Action, Reconcile, jitter},
};
use prism_plan::defaults::Defaults;

use crate::{kinds, pattern};

/// Caches, the engine and the queue.
pub(crate) struct Context {
    pub(crate) engine: Engine,
    pub(crate) queue: Arc<Queue>,
    pub(crate) patterns: Cache<DeserializeGuard<PrismPattern>>,
    pub(crate) backends: Cache<DeserializeGuard<PrismBackend>>,
    pub(crate) defaults: Defaults,
    pub(crate) resync: Duration,
}

impl Context {
    /// Nothing to do until something happens, or until the slow resync.
    pub(crate) fn rest(&self) -> Action {
        Action::After(jitter(self.resync), Lane::Resync)
    }

    /// Drops what is remembered of an object that is gone. Its children follow it by their owner
    /// references.
    pub(crate) fn forget(&self, key: &ObjectKey) -> Action {
        self.engine.ledger().drop_owner(key);
        self.engine.forget_reports(key);
        Action::Await
    }
}

impl Reconcile for Context {
    async fn reconcile(&self, key: &ObjectKey, lane: Lane) -> Result<Action, Error> {
        const PATTERN: Kind = kinds::PRISM_PATTERN;
        match key.kind {
            PATTERN => pattern::reconcile(self, key, lane).await,
            _ => Ok(Action::Await),
        }
    }
}
