//! What every look at an object can use.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use k8s_openapi::{
    api::{
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Namespace, PersistentVolumeClaim, Service},
        storage::v1::StorageClass,
    },
    jiff::Timestamp,
};
use kube::{ResourceExt, core::DeserializeGuard};
use prism_api::{
    autoscaler::PrismAutoscaler, backend::PrismBackend, cluster::PrismCluster, pattern::PrismPattern,
    stack::PrismStack,
};
use prism_engine::{
    Engine, Error,
    cache::Cache,
    live::Live,
    object::{Kind, ObjectKey},
    queue::{Lane, Queue},
    worker::{Action, Reconcile, jitter},
};
use prism_plan::defaults::Defaults;

use crate::{
    kinds,
    managed::{Managed, reconcile},
    outlets::Outlets,
    scaling::{Looks, secrets::SecretKeys, seen::ScaledObjectView, sources::Sources},
    shortages::Shortages,
    steps::key_of,
};

/// Caches, the engine and the queue.
pub(crate) struct Context {
    pub(crate) engine: Engine,
    pub(crate) queue: Arc<Queue>,
    pub(crate) clusters: Cache<DeserializeGuard<PrismCluster>>,
    pub(crate) stacks: Cache<DeserializeGuard<PrismStack>>,
    pub(crate) patterns: Cache<DeserializeGuard<PrismPattern>>,
    pub(crate) backends: Cache<DeserializeGuard<PrismBackend>>,
    pub(crate) prism_autoscalers: Cache<DeserializeGuard<PrismAutoscaler>>,
    /// Services that say that they are those of a backend.
    pub(crate) services: Cache<Service>,
    /// Namespaces that have consented to patterns of others.
    pub(crate) namespaces: Cache<Namespace>,
    pub(crate) storage_classes: Cache<StorageClass>,
    /// Claims of the volumes of workloads, also of such as are gone.
    pub(crate) claims: Cache<PersistentVolumeClaim>,
    /// Every `HorizontalPodAutoscaler`, whoever made it.
    pub(crate) autoscalers: Cache<HorizontalPodAutoscaler>,
    /// Every `ScaledObject`, whoever made it.
    pub(crate) scaled_objects: Cache<ScaledObjectView>,
    /// Every `TriggerAuthentication`, whoever made it.
    pub(crate) authentications: Cache<Live>,
    pub(crate) secret_keys: SecretKeys,
    pub(crate) shortages: Shortages,
    pub(crate) sources: Sources,
    pub(crate) looks: Looks,
    pub(crate) outlets: Outlets,
    /// Pods of members that vote.
    pub(crate) pods: Cache<Live>,
    pub(crate) optional: OptionalKinds,
    /// The only namespace to look at, if not all.
    pub(crate) scope: Option<String>,
    pub(crate) defaults: Defaults,
    pub(crate) resync: Duration,
}

/// Optional kinds that the cluster serves now.
#[derive(Default)]
pub(crate) struct OptionalKinds(RwLock<HashSet<Kind>>);

impl OptionalKinds {
    pub(crate) fn is_served(&self, kind: Kind) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&kind)
    }

    /// The kind is served from now on; `false` if it was before.
    pub(crate) fn begin(&self, kind: Kind) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(kind)
    }

    pub(crate) fn end(&self, kind: Kind) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&kind);
    }
}

impl Context {
    /// Enqueues the custom resources in `cache` that `is_meant` picks.
    pub(crate) fn enqueue<K: Managed>(
        &self,
        cache: &Cache<DeserializeGuard<K>>,
        lane: Lane,
        is_meant: impl Fn(&DeserializeGuard<K>) -> bool,
    ) {
        for object in cache.find(is_meant) {
            self.queue.add(key_of(K::KIND, object.as_ref()), lane);
        }
    }

    /// Nothing to do until something happens, or until the slow resync.
    pub(crate) fn rest(&self) -> Action {
        Action::After(jitter(self.resync), Lane::Resync)
    }

    /// The same, or until the plan changes by itself.
    pub(crate) fn rest_until(&self, change: Option<Timestamp>) -> Action {
        let wait = change.map(|change| change.duration_since(Timestamp::now()));
        let wait = wait.map(|wait| Duration::try_from(wait).unwrap_or_default() + Duration::from_secs(1));
        match wait {
            Some(wait) if wait < self.resync => Action::After(wait, Lane::Child),
            _ => self.rest(),
        }
    }

    /// Drops what is remembered of an object that is gone. Its children follow it by their owner
    /// references.
    pub(crate) fn forget(&self, key: &ObjectKey) -> Action {
        self.engine.ledger().drop_owner(key);
        self.engine.forget_reports(key);
        self.looks.assign(key, Vec::new());
        Action::Await
    }

    pub(crate) fn storage_class_names(&self) -> BTreeSet<String> {
        self.storage_classes.find(|_| true).iter().map(|class| class.name_any()).collect()
    }
}

impl Reconcile for Context {
    async fn reconcile(&self, key: &ObjectKey, lane: Lane) -> Result<Action, Error> {
        const CLUSTER: Kind = kinds::PRISM_CLUSTER;
        const STACK: Kind = kinds::PRISM_STACK;
        const PATTERN: Kind = kinds::PRISM_PATTERN;
        const BACKEND: Kind = kinds::PRISM_BACKEND;
        const AUTOSCALER: Kind = kinds::PRISM_AUTOSCALER;
        match key.kind {
            CLUSTER => Box::pin(reconcile::<PrismCluster>(self, key, lane)).await,
            STACK => Box::pin(reconcile::<PrismStack>(self, key, lane)).await,
            PATTERN => Box::pin(reconcile::<PrismPattern>(self, key, lane)).await,
            BACKEND => Box::pin(reconcile::<PrismBackend>(self, key, lane)).await,
            AUTOSCALER => Box::pin(reconcile::<PrismAutoscaler>(self, key, lane)).await,
            _ => Ok(Action::Await),
        }
    }
}
