//! The workers that empty the queue.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    error::{Class, Error},
    metrics::Metrics,
    object::ObjectKey,
    queue::{Lane, Queue},
};

/// First wait after a failure; doubled by each further one.
const BACKOFF_FLOOR: Duration = Duration::from_millis(200);
/// Longest wait after failures, and between two looks at what only its user can mend.
const BACKOFF_CEILING: Duration = Duration::from_mins(1);

/// When to look at an object again, events apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Not before something happens.
    Await,
    /// After this time, in this lane.
    After(Duration, Lane),
    /// Rarely: only its user, or somebody else's object, can mend it.
    Stalled,
}

/// Looks at one object: reads nothing but caches, writes what differs.
pub trait Reconcile: Send + Sync + 'static {
    /// One look at `key`, which waited in `lane`.
    fn reconcile(&self, key: &ObjectKey, lane: Lane) -> impl Future<Output = Result<Action, Error>> + Send;
}

/// Runs `concurrency` workers until `shutdown`; a look that has begun is finished first.
pub async fn run(
    reconciler: Arc<impl Reconcile>,
    queue: Arc<Queue>,
    metrics: Arc<Metrics>,
    concurrency: usize,
    shutdown: CancellationToken,
) {
    let backoff = Arc::new(Backoff::default());
    let mut workers = JoinSet::new();
    for _ in 0..concurrency {
        let (reconciler, queue, metrics) = (reconciler.clone(), queue.clone(), metrics.clone());
        let (backoff, shutdown) = (backoff.clone(), shutdown.clone());
        workers.spawn(async move {
            while let Some((key, lane)) = shutdown.run_until_cancelled(queue.next()).await {
                look(&reconciler, &queue, &metrics, &backoff, key, lane).await;
            }
        });
    }
    workers.join_all().await;
}

async fn look(
    reconciler: &Arc<impl Reconcile>,
    queue: &Queue,
    metrics: &Metrics,
    backoff: &Backoff,
    key: ObjectKey,
    lane: Lane,
) {
    let started = Instant::now();
    let span = tracing::info_span!(
        "reconcile",
        controller = %key.kind.name.to_lowercase(),
        namespace = %key.namespace,
        name = %key.name,
        reconcile_id = %format!("{:08x}", random() >> 32),
    );
    // A task of its own: a bug that panics costs this look, not the worker.
    let task = tokio::spawn({
        let (reconciler, key) = (reconciler.clone(), key.clone());
        async move { reconciler.reconcile(&key, lane).await }.instrument(span.clone())
    });
    let result =
        task.await.unwrap_or_else(|panic| Err(Error::Unavailable(format!("reconcile panicked: {panic}"))));
    metrics.reconciled(key.kind, started.elapsed(), result.is_ok());
    let action = result.unwrap_or_else(|error| {
        span.in_scope(|| tracing::warn!(%error, "Reconcile failed"));
        match error.class() {
            Class::Wait => Action::Await,
            Class::Stalled => Action::Stalled,
            Class::Retry => Action::After(backoff.next(&key), Lane::Child),
        }
    });
    if !matches!(action, Action::After(_, Lane::Child)) {
        backoff.reset(&key);
    }
    match action {
        Action::Await => {}
        Action::After(delay, lane) => queue.add_after(key.clone(), lane, delay),
        Action::Stalled => queue.add_after(key.clone(), Lane::Resync, jitter(BACKOFF_CEILING)),
    }
    queue.done(&key);
}

/// Failures in a row, object by object.
#[derive(Debug, Default)]
struct Backoff {
    failures: Mutex<HashMap<ObjectKey, u32>>,
}

impl Backoff {
    fn next(&self, key: &ObjectKey) -> Duration {
        let mut failures = self.lock();
        let count = failures.entry(key.clone()).or_default();
        let wait = BACKOFF_FLOOR.saturating_mul(1 << (*count).min(16)).min(BACKOFF_CEILING);
        *count += 1;
        jitter(wait)
    }

    fn reset(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Between 75 % and 125 % of `wait`, so that what failed together does not come back together.
#[must_use]
pub fn jitter(wait: Duration) -> Duration {
    let share = f64::from(u32::try_from(random() >> 32).unwrap_or_default()) / f64::from(u32::MAX);
    wait.mul_f64(0.75 + share / 2.0)
}

/// The standard library seeds each hasher at random: good enough for jitter and log ids.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Kind, KindInfo};

    const PARENT: Kind = Kind(&KindInfo::new("example.io", "v1", "Parent", "parents"));

    #[test]
    fn waits_grow_to_a_ceiling_and_start_again_after_success() {
        let backoff = Backoff::default();
        let key = ObjectKey::new(PARENT, "ns", "p");
        let waits: Vec<_> = (0..20).map(|_| backoff.next(&key)).collect();
        assert!(waits[0] <= BACKOFF_FLOOR.mul_f64(1.25));
        assert!(waits[19] >= BACKOFF_CEILING.mul_f64(0.75) && waits[19] <= BACKOFF_CEILING.mul_f64(1.25));
        backoff.reset(&key);
        assert!(backoff.next(&key) <= BACKOFF_FLOOR.mul_f64(1.25));
    }
}
