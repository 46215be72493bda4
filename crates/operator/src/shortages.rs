//! Why the pods of a `StatefulSet` are not made: a quota, the Pod Security of the namespace, an account that is missing.
//!
//! A Deployment says so in a condition. A `StatefulSet` has none, and its controller tells in events alone. A watch of
//! events would carry those of the whole cluster, so they are asked for instead: of a workload that has had fewer pods
//! than it wants for a while, by its UID and their reason, a few of them, and once a minute while that lasts.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Event;
use kube::{Api, Client, api::ListParams};
use prism_engine::{
    error::describe,
    object::{ObjectKey, Owner},
    queue::Lane,
};

use crate::{context::Context, idle_cache::IdleCache, kinds};

/// How long pods may take to be made before anybody asks.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer is good for.
const FRESH: Duration = Duration::from_mins(1);
/// How long a workload is remembered that nobody looks at any more.
const IDLE: Duration = Duration::from_mins(10);
/// Workloads that are remembered.
const CAPACITY: usize = 4096;
/// Events that are read of one.
const EVENTS: u32 = 10;
/// Reason of the events by which the controllers of workloads tell.
const REASON: &str = "FailedCreate";
/// Letters of an event that are shown.
const LONGEST: usize = 512;

/// A workload that is short of pods.
struct Shortage {
    since: Instant,
    asked: Option<Instant>,
    why: Option<String>,
}

/// What is known of workloads that are short of pods.
pub(crate) struct Shortages {
    client: Client,
    known: Mutex<IdleCache<ObjectKey, Shortage>>,
}

impl Shortages {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, known: Mutex::new(IdleCache::new(CAPACITY, IDLE)) }
    }

    /// Looks which workloads of `owner` are short of pods, and asks why where that is due.
    pub(crate) async fn refresh(&self, ctx: &Context, owner: &Owner) {
        for (key, seen) in ctx.engine.ledger().children(owner) {
            let Some(workload) = seen.workload.filter(|_| key.kind == kinds::STATEFUL_SET) else { continue };
            if !workload.is_observed || workload.replicas >= workload.desired {
                self.lock().remove(&key);
                continue;
            }
            match self.is_due(&key, Instant::now()) {
                Ok(()) => {
                    let why = self.ask(&key, &seen.uid).await;
                    self.note(&key, why, Instant::now());
                    ctx.queue.add_after(owner.key.clone(), Lane::Child, FRESH);
                }
                Err(Some(wait)) => ctx.queue.add_after(owner.key.clone(), Lane::Child, wait),
                Err(None) => {}
            }
        }
    }

    /// Why the pods of the workload are not made, as far as that is known.
    pub(crate) fn of(&self, key: &ObjectKey) -> Option<String> {
        self.lock().get(key, Instant::now()).and_then(|shortage| shortage.why.clone())
    }

    /// Evicts what nobody looks at any more.
    pub(crate) fn evict_idle(&self, now: Instant) {
        self.lock().evict_idle(now);
    }

    /// Whether it is time to ask; if not, and nobody else looks then, when to come back.
    fn is_due(&self, key: &ObjectKey, now: Instant) -> Result<(), Option<Duration>> {
        let mut known = self.lock();
        let Some(Shortage { since, asked, .. }) = known.get(key, now) else {
            known.insert(key.clone(), Shortage { since: now, asked: None, why: None }, now);
            return Err(Some(PATIENCE));
        };
        let is_due = match asked {
            None => now.saturating_duration_since(*since) >= PATIENCE,
            Some(asked) => now.saturating_duration_since(*asked) >= FRESH,
        };
        if is_due { Ok(()) } else { Err(None) }
    }

    fn note(&self, key: &ObjectKey, why: Option<String>, now: Instant) {
        let mut known = self.lock();
        let since = known.get(key, now).map_or(now, |shortage| shortage.since);
        known.insert(key.clone(), Shortage { since, asked: Some(now), why }, now);
    }

    /// What the newest event says.
    async fn ask(&self, key: &ObjectKey, uid: &str) -> Option<String> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &key.namespace);
        let params =
            ListParams::default().fields(&format!("involvedObject.uid={uid},reason={REASON}")).limit(EVENTS);
        match api.list(&params).await {
            Ok(events) => {
                let newest = events.items.into_iter().max_by_key(|event| {
                    event
                        .last_timestamp
                        .as_ref()
                        .map(|time| time.0)
                        .or(event.event_time.as_ref().map(|time| time.0))
                });
                newest?.message.map(|message| message.chars().take(LONGEST).collect())
            }
            Err(error) => {
                let error = describe(&error);
                tracing::warn!(object = &*key.name, %error, "Events could not be read");
                None
            }
        }
    }

    /// Each update is whole in itself: a panic in between leaves whole entries behind.
    fn lock(&self) -> MutexGuard<'_, IdleCache<ObjectKey, Shortage>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
