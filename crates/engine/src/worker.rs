//! The workers that empty the queue.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    error::{Class, Error},
    in_flight::InFlight,
    metrics::Metrics,
    object::ObjectKey,
    queue::{Lane, Queue},
    supervise::text,
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

/// What workers work on, and how.
#[derive(Clone)]
pub struct Workers {
    /// Objects that wait.
    pub queue: Arc<Queue>,
    /// Where looks are counted.
    pub metrics: Arc<Metrics>,
    /// Where it is noted which looks are under way.
    pub in_flight: Arc<InFlight>,
    /// Objects looked at at the same time.
    pub concurrency: usize,
    /// After this time a look is abandoned, and begun again later.
    pub limit: Duration,
}

/// Runs workers until `shutdown`; a look that has begun is finished first.
pub async fn run(reconciler: Arc<impl Reconcile>, workers: Workers, shutdown: CancellationToken) {
    let backoff = Arc::new(Backoff::default());
    let mut tasks = JoinSet::new();
    for _ in 0..workers.concurrency {
        let (reconciler, workers) = (reconciler.clone(), workers.clone());
        let (backoff, shutdown) = (backoff.clone(), shutdown.clone());
        tasks.spawn(async move {
            while let Some((key, lane)) = shutdown.run_until_cancelled(workers.queue.next()).await {
                look(&reconciler, &workers, &backoff, key, lane).await;
            }
        });
    }
    tasks.join_all().await;
}

async fn look(
    reconciler: &Arc<impl Reconcile>,
    workers: &Workers,
    backoff: &Backoff,
    key: ObjectKey,
    lane: Lane,
) {
    let (started, entry) = (Instant::now(), workers.in_flight.begin(&key));
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
    let result = bounded(task, workers).await;
    drop(entry);
    workers.metrics.reconciled(key.kind, started.elapsed(), result.is_ok());
    let action = match result {
        Ok(action) => {
            backoff.reset(&key);
            action
        }
        Err(error) => {
            span.in_scope(|| tracing::warn!(%error, "Reconcile failed"));
            let class = error.class();
            if class != Class::Retry {
                backoff.reset(&key);
            }
            match class {
                Class::Wait => Action::Await,
                Class::Stalled => Action::Stalled,
                Class::Retry => Action::After(backoff.next(&key), Lane::Child),
            }
        }
    };
    match action {
        Action::Await => {}
        Action::After(delay, lane) => workers.queue.add_after(key.clone(), lane, delay),
        Action::Stalled => {
            workers.queue.add_after(key.clone(), Lane::Resync, jitter(BACKOFF_CEILING));
        }
    }
    workers.queue.done(&key);
}

/// What `task` comes to, within the time that it has.
async fn bounded(mut task: JoinHandle<Result<Action, Error>>, workers: &Workers) -> Result<Action, Error> {
    let ended = timeout(workers.limit, &mut task).await.ok();
    let is_late = ended.is_none();
    let ended = if let Some(ended) = ended {
        ended
    } else {
        // Not before it has ended may anybody else look at the same object.
        task.abort();
        task.await
    };
    match ended {
        Ok(result) => result,
        Err(error) if error.is_panic() => {
            workers.metrics.panicked("reconcile");
            let panic = error.into_panic();
            Err(Error::Unavailable(format!("reconcile panicked: {}", text(&*panic))))
        }
        Err(_) if is_late => {
            let limit = workers.limit.as_secs_f64();
            Err(Error::Unavailable(format!("reconcile took longer than {limit} s, and was abandoned")))
        }
        Err(error) => Err(Error::Unavailable(format!("reconcile did not end: {error}"))),
    }
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

    /// Hangs for an object called `hangs`, panics for one called `panics`.
    struct Faulty;

    impl Reconcile for Faulty {
        async fn reconcile(&self, key: &ObjectKey, _: Lane) -> Result<Action, Error> {
            match &*key.name {
                "hangs" => std::future::pending().await,
                "panics" => panic!("a bug"),
                _ => Ok(Action::Await),
            }
        }
    }

    fn workers(concurrency: usize) -> Workers {
        Workers {
            queue: Arc::default(),
            metrics: Arc::new(Metrics::new("example")),
            in_flight: Arc::new(InFlight::new(Duration::from_secs(5))),
            concurrency,
            limit: Duration::from_secs(10),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_is_told_of_then_abandoned_and_stops_nobody() {
        let (workers, shutdown) = (workers(1), CancellationToken::new());
        let running = tokio::spawn(run(Arc::new(Faulty), workers.clone(), shutdown.clone()));
        for name in ["hangs", "panics", "good"] {
            workers.queue.add(ObjectKey::new(PARENT, "ns", name), Lane::Edit);
        }
        tokio::time::sleep(Duration::from_secs(7)).await;
        assert_eq!(workers.in_flight.complaints(), ["reconcile of Parent ns/hangs has not ended for 7 s"]);
        // Before any backoff after that is over.
        tokio::time::sleep(Duration::from_millis(3100)).await;
        shutdown.cancel();
        running.await.unwrap();
        assert!(workers.in_flight.complaints().is_empty());
        let text = workers.metrics.encode(0).unwrap();
        assert!(text.contains(r#"reconcile_success_total{controller="parent"} 1"#), "{text}");
        assert!(text.contains(r#"task_panics_total{task="reconcile"} 1"#), "{text}");
    }
}
