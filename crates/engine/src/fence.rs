//! Until when this process may write.
//!
//! The right to write is a time, not a flag: whoever has slept since it was granted finds it gone, in whatever order
//! its tasks wake up. Each write compares it with a clock that goes on while the machine is suspended.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Time since some moment in the past.
pub type Clock = fn() -> Duration;

/// The time since the machine was started, including that in which it was suspended. The monotonic clock, and with it
/// every timer, stands still meanwhile.
#[must_use]
pub fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

/// Longest time between two looks at the clock: a timer does not notice a suspension.
const TICK: Duration = Duration::from_secs(1);

/// The right to write. Clones share it.
#[derive(Clone, Debug)]
pub struct Fence {
    clock: Clock,
    /// `None`: without an end.
    until: Arc<Mutex<Option<Duration>>>,
    fallen: CancellationToken,
}

impl Fence {
    /// The right to write, without an end as long as [`Fence::extend`] sets none.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, until: Arc::default(), fallen: CancellationToken::new() }
    }

    /// The time by this fence's clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        (self.clock)()
    }

    /// From now on writing is allowed until `until`, by this fence's clock.
    pub fn extend(&self, until: Duration) {
        *self.lock() = Some(until);
    }

    /// Whether writing is allowed at this moment. Once it is not, it never is again.
    #[must_use]
    pub fn allows_writes(&self) -> bool {
        if self.lock().is_some_and(|until| until <= self.now()) {
            self.fallen.cancel();
        }
        !self.fallen.is_cancelled()
    }

    /// Ends the right to write.
    pub fn fall(&self) {
        self.fallen.cancel();
    }

    /// Waits until writing is no longer allowed.
    pub async fn fallen(&self) {
        while self.allows_writes() {
            let left = self.lock().map_or(TICK, |until| until.saturating_sub(self.now()));
            self.fallen.run_until_cancelled(sleep(left.min(TICK))).await;
        }
    }

    /// Runs `write` as long as writing is allowed; `None`: it is not, or no longer.
    pub async fn guard<T>(&self, write: impl Future<Output = T>) -> Option<T> {
        if !self.allows_writes() {
            return None;
        }
        self.fallen.run_until_cancelled(write).await
    }

    fn lock(&self) -> MutexGuard<'_, Option<Duration>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        future::pending,
        sync::atomic::{AtomicU64, Ordering},
    };

    #[tokio::test(start_paused = true)]
    async fn after_a_suspension_nothing_is_written_although_no_timer_has_run() {
        static SECONDS: AtomicU64 = AtomicU64::new(100);
        let fence = Fence::new(|| Duration::from_secs(SECONDS.load(Ordering::Relaxed)));
        fence.extend(Duration::from_secs(110));
        assert_eq!(fence.guard(async { "written" }).await, Some("written"));
        // The machine sleeps for a minute: the clock of the fence goes on, that of the timers does not.
        SECONDS.store(160, Ordering::Relaxed);
        assert_eq!(fence.guard(async { "written" }).await, None);
        fence.extend(Duration::from_secs(1000));
        assert!(!fence.allows_writes(), "a right that was lost does not come back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_under_way_is_abandoned_within_a_second_after_a_suspension() {
        static SECONDS: AtomicU64 = AtomicU64::new(100);
        let fence = Fence::new(|| Duration::from_secs(SECONDS.load(Ordering::Relaxed)));
        fence.extend(Duration::from_secs(110));
        let watching = tokio::spawn({
            let fence = fence.clone();
            async move { fence.fallen().await }
        });
        let write = tokio::spawn({
            let fence = fence.clone();
            async move { fence.guard(pending::<()>()).await }
        });
        tokio::task::yield_now().await;
        SECONDS.store(160, Ordering::Relaxed);
        tokio::time::advance(TICK).await;
        assert_eq!(write.await.unwrap(), None);
        watching.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn writing_ends_at_the_deadline_itself() {
        let clock: Clock = || {
            static START: std::sync::OnceLock<tokio::time::Instant> = std::sync::OnceLock::new();
            START.get_or_init(tokio::time::Instant::now).elapsed()
        };
        let fence = Fence::new(clock);
        fence.extend(fence.now() + Duration::from_millis(2500));
        let start = tokio::time::Instant::now();
        fence.fallen().await;
        assert_eq!(start.elapsed(), Duration::from_millis(2500));
    }

    #[test]
    fn the_clock_goes_forward() {
        assert!(since_boot() > Duration::ZERO);
        assert!(since_boot() <= since_boot());
    }
}
