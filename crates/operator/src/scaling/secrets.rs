//! Which keys Secrets have: never what is in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use prism_api::autoscaling::{AuthenticationKind, AuthenticationRef, Trigger};
use prism_engine::error::describe;
use prism_plan::scaling::SecretFacts;

use crate::idle_cache::IdleCache;

/// Secrets that `triggers` may get their credentials from.
pub(crate) fn secrets_of<'a>(triggers: impl Iterator<Item = &'a Trigger>) -> BTreeSet<String> {
    let references = triggers.filter_map(|trigger| trigger.authentication_ref.as_ref());
    let may_be_secret =
        |reference: &&AuthenticationRef| matches!(reference.kind, None | Some(AuthenticationKind::Secret));
    references.filter(may_be_secret).map(|reference| reference.name.clone()).collect()
}

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(30);

/// How long an answer is kept that no pass asks for any more.
const IDLE: Duration = Duration::from_mins(10);
/// Answers that are kept. Each pass asks for its own before it looks at them.
const CAPACITY: usize = 4096;

/// By namespace and name: when the API server was asked, and what it said.
type Known = IdleCache<(String, String), (Instant, SecretFacts)>;

/// Keys of the Secrets that triggers name.
pub(crate) struct SecretKeys {
    client: Client,
    known: Mutex<Known>,
}

impl SecretKeys {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, known: Mutex::new(IdleCache::new(CAPACITY, IDLE)) }
    }

    /// Asks the API server for the keys of `secrets` in `namespace`, where that was not done lately with success.
    pub(crate) async fn refresh(&self, namespace: &str, secrets: &BTreeSet<String>) {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        for name in secrets {
            let place = (namespace.to_owned(), name.clone());
            let is_fresh = |(at, facts): &(Instant, SecretFacts)| {
                matches!(facts, SecretFacts::Keys(_)) && at.elapsed() < FRESH
            };
            if self.lock().get(&place, Instant::now()).is_some_and(is_fresh) {
                continue;
            }
            let facts = match api.get_opt(name).await {
                Ok(Some(secret)) => SecretFacts::Keys(secret.data.unwrap_or_default().into_keys().collect()),
                Ok(None) => SecretFacts::Absent,
                Err(error) => SecretFacts::Unreadable(describe(&error)),
            };
            let now = Instant::now();
            self.lock().insert(place, (now, facts), now);
        }
    }

    /// What is known of the Secrets of `namespace`.
    pub(crate) fn of(&self, namespace: &str) -> BTreeMap<String, SecretFacts> {
        let known = self.lock();
        let here = known.iter().filter(|((place, _), _)| place == namespace);
        here.map(|((_, name), (_, facts))| (name.clone(), facts.clone())).collect()
    }

    /// Evicts answers that no pass asks for any more.
    pub(crate) fn evict_idle(&self, now: Instant) {
        self.lock().evict_idle(now);
    }

    /// Each update is whole in itself: a panic in between leaves whole entries behind.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
