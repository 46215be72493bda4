//! Which keys Secrets have: never what is in them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use prism_api::autoscaling::{AuthenticationKind, AuthenticationRef, Trigger};
use prism_engine::Error;

/// Secrets that `triggers` may get their credentials from.
pub(crate) fn secrets_of<'a>(triggers: impl Iterator<Item = &'a Trigger>) -> BTreeSet<String> {
    let references = triggers.filter_map(|trigger| trigger.authentication_ref.as_ref());
    let may_be_secret =
        |reference: &&AuthenticationRef| matches!(reference.kind, None | Some(AuthenticationKind::Secret));
    references.filter(may_be_secret).map(|reference| reference.name.clone()).collect()
}

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(30);

/// By namespace and name: when the API server was asked, and what it said.
type Known = HashMap<(String, String), (Instant, Option<BTreeSet<String>>)>;

/// Keys of the Secrets that triggers name.
pub(crate) struct SecretKeys {
    client: Client,
    known: Mutex<Known>,
}

impl SecretKeys {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// Asks the API server for the keys of `secrets` in `namespace`, where that was not done lately.
    pub(crate) async fn refresh(&self, namespace: &str, secrets: &BTreeSet<String>) -> Result<(), Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        for name in secrets {
            let place = (namespace.to_owned(), name.clone());
            if self.lock().get(&place).is_some_and(|(at, keys)| keys.is_some() && at.elapsed() < FRESH) {
                continue;
            }
            let found = api.get_opt(name).await;
            let found = found.map_err(|error| {
                Error::Unavailable(format!("Secret {name}: {}", prism_engine::error::describe(&error)))
            })?;
            let keys = found.map(|secret| secret.data.unwrap_or_default().into_keys().collect());
            self.lock().insert(place, (Instant::now(), keys));
        }
        Ok(())
    }

    /// What is known of the Secrets of `namespace`.
    pub(crate) fn of(&self, namespace: &str) -> BTreeMap<String, Option<BTreeSet<String>>> {
        let known = self.lock();
        let here = known.iter().filter(|((place, _), _)| place == namespace);
        here.map(|((_, name), (_, keys))| (name.clone(), keys.clone())).collect()
    }

    /// Each update is one insert: a panic in between leaves whole entries behind.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
