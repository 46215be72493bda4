//! Whether this process sees the cluster.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::runtime::watcher;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use tokio::{sync::watch, time::Instant};

use crate::error::describe;

/// The pulse of every watch.
#[derive(Debug)]
pub struct Health {
    stale_after: Duration,
    pulses: Mutex<BTreeMap<String, Arc<Pulse>>>,
    changes: Arc<watch::Sender<()>>,
}

/// Signs of life of one watch.
#[derive(Debug)]
pub struct Pulse {
    name: String,
    is_required: bool,
    state: Mutex<State>,
    changes: Arc<watch::Sender<()>>,
}

#[derive(Debug)]
struct State {
    /// When bytes, or an answer, last came from the API server: a quiet watch still gets a
    /// bookmark about every minute, a stuck one gets nothing.
    heard: Instant,
    is_synced: bool,
    failure: Option<Failure>,
    /// Since when no answer has been of use.
    failing_since: Option<Instant>,
}

/// Why the last request of a watch failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Status code of the API server's answer, if there was one.
    pub code: Option<u16>,
    /// What to say about it.
    pub text: String,
    /// Whether an answer had begun well: then the beginning of the next one proves nothing.
    pub is_broken_answer: bool,
}

impl Health {
    /// A register of watches; one that has heard nothing for `stale_after` counts as stuck.
    #[must_use]
    pub fn new(stale_after: Duration) -> Self {
        Self { stale_after, pulses: Mutex::default(), changes: Arc::new(watch::Sender::new(())) }
    }

    /// The pulse of the watch of the resource `plural`, or of `plural?selector` where one resource is
    /// watched twice; registered at the first call. This process is of no use without it.
    pub fn pulse(&self, plural: &str) -> Arc<Pulse> {
        self.register(plural, true)
    }

    /// The same for a watch that this process can do without.
    pub fn optional(&self, plural: &str) -> Arc<Pulse> {
        self.register(plural, false)
    }

    fn register(&self, plural: &str, is_required: bool) -> Arc<Pulse> {
        let mut pulses = self.lock();
        let new = || Arc::new(Pulse::new(plural, is_required, self.changes.clone()));
        pulses.entry(plural.to_owned()).or_insert_with(new).clone()
    }

    /// Forgets a watch that has ended because the cluster no longer serves its kind.
    pub fn forget(&self, plural: &str) {
        self.lock().remove(plural);
        self.changes.send_replace(());
    }

    /// The pulse of a registered watch.
    #[must_use]
    pub fn find(&self, plural: &str) -> Option<Arc<Pulse>> {
        self.lock().get(plural).cloned()
    }

    /// Waits until every registered watch has its initial list, or, if it is optional, has at least been tried.
    pub async fn synced(&self) {
        let mut changes = self.changes.subscribe();
        // Asked anew after each change: one that has synced may have told of others to start, and one that is waited
        // for may be forgotten.
        while !self.lock().values().all(|pulse| pulse.is_settled()) {
            // Cannot fail: the sender lives in `self`.
            let _ = changes.changed().await;
        }
    }

    /// What keeps this process from being ready, one sentence for each watch; empty: ready.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.lock().values().filter_map(|pulse| pulse.complaint(self.stale_after)).collect()
    }

    /// Told of whatever changes about any watch.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Each watch, and whether it has its initial list and its last request did not fail.
    fn watches(&self) -> Vec<(String, bool)> {
        self.lock().values().map(|pulse| (pulse.name.clone(), pulse.is_up())).collect()
    }

    /// Each update is one insert or removal: a panic in between leaves whole entries behind.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Pulse>>> {
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pulse {
    fn new(name: &str, is_required: bool, changes: Arc<watch::Sender<()>>) -> Self {
        Self { name: name.to_owned(), is_required, state: Mutex::new(State::new()), changes }
    }

    /// The resource that is watched.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The initial list is complete.
    pub fn synced(&self) {
        self.lock().is_synced = true;
        self.changes.send_replace(());
    }

    /// Bytes of a successful answer arrived.
    pub fn beat(&self) {
        let mut state = self.lock();
        state.heard = Instant::now();
        if state.failure.as_ref().is_some_and(|failure| !failure.is_broken_answer) {
            state.recover();
            self.changes.send_replace(());
        }
    }

    /// An answer was of use.
    pub fn proved(&self) {
        let mut state = self.lock();
        if state.failure.is_some() {
            state.recover();
            self.changes.send_replace(());
        }
    }

    /// The watch broke and will be tried again.
    pub fn failed(&self, failure: Failure) {
        let mut state = self.lock();
        state.failing_since.get_or_insert_with(Instant::now);
        state.failure = Some(failure);
        self.changes.send_replace(());
    }

    /// The watch begins from its initial list.
    pub fn restarted(&self) {
        *self.lock() = State::new();
    }

    /// Whether the initial list is complete.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.lock().is_synced
    }

    /// Why the last request failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.lock().failure.clone()
    }

    fn is_settled(&self) -> bool {
        let state = self.lock();
        state.is_synced || (!self.is_required && state.failure.is_some())
    }

    fn is_up(&self) -> bool {
        let state = self.lock();
        state.is_synced && state.failure.is_none()
    }

    fn complaint(&self, stale_after: Duration) -> Option<String> {
        let state = self.lock();
        let silent = state.heard.elapsed();
        let cause = state.failure.as_ref().map(|failure| format!(": {}", failure.text)).unwrap_or_default();
        if !self.is_required {
            None
        } else if !state.is_synced {
            Some(format!("watch of {} has not synced yet{cause}", self.name))
        } else if state.failure.as_ref().is_some_and(Failure::is_refusal) {
            Some(format!("watch of {} is refused{cause}", self.name))
        } else if state.failing_since.is_some_and(|since| since.elapsed() > stale_after) {
            Some(format!("watch of {} fails{cause}", self.name))
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

impl State {
    fn new() -> Self {
        Self { heard: Instant::now(), is_synced: false, failure: None, failing_since: None }
    }

    fn recover(&mut self) {
        self.failure = None;
        self.failing_since = None;
    }
}

impl Failure {
    /// Whether the API server does not serve the kind, or not to us. That passes only when somebody changes it.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self.code, Some(403 | 404))
    }
}

impl From<&watcher::Error> for Failure {
    fn from(error: &watcher::Error) -> Self {
        let (code, is_broken_answer) = match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => match error {
                kube::Error::Api(status) => (Some(status.code), false),
                // Nobody has answered at all.
                kube::Error::Service(_) => (None, false),
                _ => (None, true),
            },
            watcher::Error::WatchError(status) => (Some(status.code), true),
            watcher::Error::NoResourceVersion => (None, true),
        };
        let text = match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            | watcher::Error::WatchFailed(kube::Error::Api(status))
            | watcher::Error::WatchError(status) => format!("{} ({})", status.message, status.code),
            _ => describe(error),
        };
        Self { code, text, is_broken_answer }
    }
}

/// A gauge for each watch, read when somebody scrapes.
pub struct WatchGauge {
    /// Where the watches are registered.
    pub health: Arc<Health>,
    /// Name of the gauge, such as `example_watch_up`.
    pub name: String,
}

impl fmt::Debug for WatchGauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchGauge")
    }
}

impl Collector for WatchGauge {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "1 while a watch has its initial list, and its last request did not fail";
        let mut family = encoder.encode_descriptor(&self.name, help, None, MetricType::Gauge)?;
        for (watch, is_up) in self.health.watches() {
            ConstGauge::new(i64::from(is_up)).encode(family.encode_family(&[("watch", watch)])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Failure {
        Failure { code: Some(403), text: "forbidden".to_owned(), is_broken_answer: false }
    }

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

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_is_refused_is_told_at_once() {
        let health = Health::new(Duration::from_secs(150));
        let pulse = health.pulse("deployments");
        pulse.synced();
        pulse.failed(refused());
        assert_eq!(health.complaints(), ["watch of deployments is refused: forbidden"]);
        pulse.beat();
        assert!(health.complaints().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_whose_answers_begin_well_and_are_of_no_use_fails() {
        let health = Health::new(Duration::from_secs(150));
        let pulse = health.pulse("deployments");
        pulse.synced();
        for _ in 0..6 {
            pulse.beat();
            pulse.failed(Failure { code: None, text: "garbage".to_owned(), is_broken_answer: true });
            tokio::time::advance(Duration::from_secs(30)).await;
        }
        assert_eq!(health.complaints(), ["watch of deployments fails: garbage"]);
        pulse.beat();
        pulse.proved();
        assert!(health.complaints().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_an_optional_watch_that_was_tried_or_for_one_that_is_forgotten() {
        let health = Arc::new(Health::new(Duration::from_secs(150)));
        let (optional, _) = (health.optional("grpcroutes"), health.pulse("certificates"));
        let waiting = tokio::spawn({
            let health = health.clone();
            async move { health.synced().await }
        });
        tokio::task::yield_now().await;
        optional.failed(refused());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "the other one is still waited for");
        health.forget("certificates");
        waiting.await.unwrap();
        assert!(health.complaints().is_empty(), "an optional watch is no reason for not being ready");
    }
}
