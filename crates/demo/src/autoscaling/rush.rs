//! The load comes and goes, and the consumer with it.

use std::collections::VecDeque;
use std::time::Duration;

use prism_demo::{Error, Result};
use prism_rig::Note;
use prism_testbed::eventually;
use tokio::sync::watch;
use tokio::time::{Instant, interval};

use crate::load;
use crate::orders::Story;
use crate::queue::{Count, Queue};
use crate::screen::{Flow, Tally, line, summary};

/// Replicas before and after.
const FEWEST_REPLICAS: i32 = 1;
/// Time in which everything that waits should be done: the target in the manifest.
const TARGET: Duration = Duration::from_secs(10);
/// Once the load is gone, the consumer is back at its fewest replicas within this time.
const BACK_TIMEOUT: Duration = Duration::from_secs(45);
/// Time between two looks at the queue.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// So many looks apart are those that rates are taken from.
const LOOKS_FOR_A_RATE: usize = 3;

/// Waits until the first worker works.
pub(crate) async fn first_worker(
    size: watch::Receiver<usize>,
    timeout: Duration,
    story: watch::Receiver<Story>,
    note: &Note,
) -> Result<()> {
    let works = eventually("the first pod is ready", timeout, async || {
        let message = story.borrow().message();
        note.set(&message);
        if *size.borrow() > 0 { Ok(()) } else { Err(message) }
    });
    Ok(works.await?)
}

/// Lets the load come and go, and shows what that does, until the consumer is back where it was.
///
/// # Errors
/// [`Error::NotScaled`] when the load has changed nothing, [`Error::NotBack`] when the consumer keeps replicas
/// that have nothing to do.
pub(crate) async fn watch(queue: &Queue, mut story: watch::Receiver<Story>, note: &Note) -> Result<String> {
    let shown = async {
        let begun = Instant::now();
        let mut looks = interval(LOOK_EVERY);
        let mut counts: VecDeque<(Instant, Count)> = VecDeque::new();
        let (mut tally, mut said) = (Tally::default(), String::new());
        loop {
            tokio::select! {
                now = looks.tick() => {
                    let count = queue.count();
                    tally.add(count);
                    counts.push_back((now, count));
                    let seen = story.borrow().clone();
                    if let Some((then, before)) = counts.front() {
                        let flow = Flow { before: *before, now: count, apart: now - *then };
                        note.set(&line(&flow, seen.ready(), seen.desired()));
                    }
                    if counts.len() == LOOKS_FOR_A_RATE {
                        counts.pop_front();
                    }
                    if is_over(&seen, now - begun)? {
                        return Ok(summary(&seen, tally, count, now - begun, TARGET));
                    }
                }
                Ok(()) = story.changed() => {
                    let message = story.borrow_and_update().message();
                    if message != said {
                        note.say(&message);
                        said = message;
                    }
                }
            }
        }
    };
    tokio::select! {
        end = shown => end,
        never = load::produce(queue) => match never {},
    }
}

/// Whether the load is gone, and the consumer back where it was.
fn is_over(seen: &Story, elapsed: Duration) -> Result<bool> {
    let Some(since) = elapsed.checked_sub(load::LENGTH) else { return Ok(false) };
    if seen.most <= FEWEST_REPLICAS {
        return Err(Error::NotScaled { message: seen.message() });
    }
    let replicas = seen.desired().max(seen.ready());
    if replicas > FEWEST_REPLICAS && since > BACK_TIMEOUT {
        return Err(Error::NotBack {
            seconds: since.as_secs(),
            replicas,
            fewest: FEWEST_REPLICAS,
            message: seen.message(),
        });
    }
    Ok(replicas == FEWEST_REPLICAS)
}

impl Tally {
    /// One look more at the queue.
    fn add(&mut self, count: Count) {
        self.most_waiting = self.most_waiting.max(count.waiting);
        if count.oldest > TARGET {
            self.over_target += LOOK_EVERY;
        }
    }
}

#[cfg(test)]
mod tests {
    use prism_api::PrismPattern;
    use prism_api::pattern::PrismPatternStatus;

    use super::*;
    use crate::orders::MANIFEST;
    use crate::screen::MOST_REPLICAS;

    fn seen(replicas: i32, most: i32) -> Story {
        let status = PrismPatternStatus {
            desired_replicas: Some(replicas),
            ready_replicas: Some(replicas),
            ..PrismPatternStatus::default()
        };
        Story { status, most, ..Story::default() }
    }

    #[test]
    fn the_demo_is_over_when_the_load_is_gone_and_one_replica_is_left() {
        let after = |seconds: u64| load::LENGTH + Duration::from_secs(seconds);
        assert!(!is_over(&seen(1, 1), load::LENGTH / 2).unwrap());
        assert!(!is_over(&seen(3, 8), after(1)).unwrap());
        assert!(is_over(&seen(1, 8), after(1)).unwrap());
        assert!(matches!(is_over(&seen(3, 8), after(100)), Err(Error::NotBack { replicas: 3, .. })));
        assert!(matches!(is_over(&seen(1, 1), after(1)), Err(Error::NotScaled { .. })));
    }

    #[test]
    fn the_numbers_of_the_demo_are_those_of_its_manifest() {
        let pattern: PrismPattern = serde_saphyr::from_str(MANIFEST).unwrap();
        let block = pattern.spec.autoscaling.unwrap();
        let target = block.metrics[0].admin_metric.clone().unwrap().target.unwrap();
        assert_eq!((block.min_replicas, block.max_replicas), (Some(FEWEST_REPLICAS), Some(MOST_REPLICAS)));
        assert_eq!(target.drain_within, Some(format!("{}s", TARGET.as_secs())));
    }
}
