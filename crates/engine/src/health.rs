//! Whether this process is alive, and whether it sees the cluster.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// The pulse of every watch.
#[derive(Debug)]
pub struct Health {
    stale_after: Duration,
    pulses: Mutex<BTreeMap<String, Arc<Pulse>>>,
}

/// Signs of life of one watch.
#[derive(Debug)]
pub struct Pulse {
    name: String,
    synced: watch::Sender<bool>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When bytes, or an answer, last came from the API server: a quiet watch still gets a
    /// bookmark about every minute, a stuck one gets nothing.
    heard: Instant,
    failure: Option<String>,
}

impl Health {
    /// A register of watches; one that has heard nothing for `stale_after` counts as stuck.
    #[must_use]
    pub fn new(stale_after: Duration) -> Self {
        Self { stale_after, pulses: Mutex::default() }
    }

    /// The pulse of the watch of the resource `plural`, or of `plural?selector` where one resource is
    /// watched twice; registered at the first call.
    pub fn pulse(&self, plural: &str) -> Arc<Pulse> {
        let mut pulses = self.lock();
        pulses.entry(plural.to_owned()).or_insert_with(|| Arc::new(Pulse::new(plural))).clone()
    }

    /// Forgets a watch that has ended because the cluster no longer serves its kind.
    pub fn forget(&self, plural: &str) {
        self.lock().remove(plural);
    }

    /// The pulse of a registered watch.
    #[must_use]
    pub fn find(&self, plural: &str) -> Option<Arc<Pulse>> {
        self.lock().get(plural).cloned()
    }

    /// Waits until every registered watch has its initial list.
    pub async fn synced(&self) {
        let next = || self.lock().values().find(|pulse| !*pulse.synced.borrow()).cloned();
        // One after the other, as a watch that has synced may have told of others to start.
        while let Some(pulse) = next() {
            // Cannot fail: the sender lives in the pulse itself.
            let _ = pulse.synced.subscribe().wait_for(|is_synced| *is_synced).await;
        }
    }

    /// What keeps this process from being ready, one sentence for each watch; empty: ready.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.lock().values().filter_map(|pulse| pulse.complaint(self.stale_after)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Pulse>>> {
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pulse {
    fn new(name: &str) -> Self {
        let state = State { heard: Instant::now(), failure: None };
        Self { name: name.to_owned(), synced: watch::Sender::new(false), state: Mutex::new(state) }
    }

    /// The resource that is watched.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The initial list is complete.
    pub fn synced(&self) {
        self.synced.send_replace(true);
    }

    /// Bytes of a successful answer arrived.
    pub fn beat(&self) {
        let mut state = self.lock();
        state.heard = Instant::now();
        state.failure = None;
    }

    /// The watch broke and will be tried again.
    pub fn failed(&self, why: String) {
        self.lock().failure = Some(why);
    }

    /// Whether the initial list is complete.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    fn complaint(&self, stale_after: Duration) -> Option<String> {
        let state = self.lock();
        let silent = state.heard.elapsed();
        let cause = state.failure.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
        if !self.is_synced() {
            Some(format!("watch of {} has not synced yet{cause}", self.name))
        } else if silent > stale_after {
            Some(format!("watch of {} is stuck: nothing heard for {} s{cause}", self.name, silent.as_secs()))
        } else {
            None
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_quiet_watch_is_healthy_and_a_silent_one_is_stuck() {
        let health = Health::new(Duration::from_secs(150));
        let pulse = health.pulse("deployments");
        assert_eq!(health.complaints(), ["watch of deployments has not synced yet"]);
        pulse.synced();
        for _ in 0..5 {
            tokio::time::advance(Duration::from_mins(1)).await;
            pulse.beat();
        }
        assert!(health.complaints().is_empty());
        tokio::time::advance(Duration::from_secs(151)).await;
        assert_eq!(health.complaints(), ["watch of deployments is stuck: nothing heard for 151 s"]);
    }
}
