//! What every look at an object can use.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
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
use tokio::sync::watch;

use crate::{
    kinds,
    managed::{Managed, reconcile},
    outlets::Outlets,
    scaling::{Looks, secrets::SecretKeys, seen::ScaledObjectView, sources::Sources},
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

/// What is known of a kind that a cluster may or may not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its objects are seen.
    Served,
    /// It does not exist here, or not in the version that is wanted: which ones there are, if that is known.
    Absent(Option<String>),
    /// Its objects cannot be seen, though there may be some: why.
    Hidden(String),
}

/// Optional kinds, and how they stand as far as they have been tried.
#[derive(Default)]
pub(crate) struct OptionalKinds(watch::Sender<HashMap<Kind, Standing>>);

impl OptionalKinds {
    pub(crate) fn is_served(&self, kind: Kind) -> bool {
        self.0.borrow().get(&kind) == Some(&Standing::Served)
    }

    /// Whether there may be objects of the kind that nobody here sees: then nothing is concluded from that.
    pub(crate) fn is_hidden(&self, kind: Kind) -> bool {
        matches!(self.0.borrow().get(&kind), Some(Standing::Hidden(_)))
    }

    /// How the kind stands from now on; `false` if it did before.
    pub(crate) fn set(&self, kind: Kind, standing: Standing) -> bool {
        self.0.send_if_modified(|known| known.insert(kind, standing.clone()) != Some(standing))
    }

    /// Waits until each has been tried once: whoever plans earlier would leave out what is there.
    pub(crate) async fn tried(&self) {
        let all =
            |known: &HashMap<Kind, Standing>| kinds::OPTIONAL.iter().all(|kind| known.contains_key(kind));
        // Cannot fail: the sender lives in `self`.
        let _ = self.0.subscribe().wait_for(all).await;
    }

    /// Why kinds are not served, where more is to be said than that nobody has installed them.
    pub(crate) fn obstacles(&self) -> BTreeMap<&'static str, String> {
        let why = |standing: &Standing| match standing {
            Standing::Served | Standing::Absent(None) => None,
            Standing::Absent(Some(why)) | Standing::Hidden(why) => Some(why.clone()),
        };
        self.0.borrow().iter().filter_map(|(kind, standing)| Some((kind.name, why(standing)?))).collect()
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

    /// `None`: nobody knows, as the operator does not see them.
    pub(crate) fn storage_class_names(&self) -> Option<BTreeSet<String>> {
        let classes = &self.storage_classes;
        classes.is_filled().then(|| classes.find(|_| true).iter().map(|class| class.name_any()).collect())
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
