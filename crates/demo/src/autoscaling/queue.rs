//! A queue: messages arrive, wait, and are taken by workers, each by one of them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Messages in the order of their arrival, and what has become of those before.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    /// When each of the waiting messages arrived.
    waiting: VecDeque<Instant>,
    arrived: usize,
    done: usize,
    longest_wait: Duration,
}

/// How the queue is doing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    /// Messages that wait for a worker.
    pub(crate) waiting: usize,
    /// Messages that have ever arrived.
    pub(crate) arrived: usize,
    /// Messages that workers are through with.
    pub(crate) done: usize,
    /// How long the oldest waiting message has waited.
    pub(crate) oldest: Duration,
    /// How long a message that was taken had waited at most.
    pub(crate) longest_wait: Duration,
}

/// A message in the hands of a worker. Goes back to where it came from if it is dropped before it is done.
pub(crate) struct Delivery<'a> {
    queue: &'a Queue,
    message: Option<Instant>,
}

impl Queue {
    /// So many messages arrive.
    pub(crate) fn put(&self, messages: usize) {
        let now = Instant::now();
        let mut state = self.lock();
        state.waiting.extend(std::iter::repeat_n(now, messages));
        state.arrived += messages;
        drop(state);
        self.news.notify_waiters();
    }

    /// Takes the oldest message, as soon as there is one.
    pub(crate) async fn take(&self) -> Delivery<'_> {
        loop {
            // Made before the look, so that nothing that arrives after it is missed.
            let news = self.news.notified();
            if let Some(delivery) = self.try_take() {
                return delivery;
            }
            news.await;
        }
    }

    fn try_take(&self) -> Option<Delivery<'_>> {
        let mut state = self.lock();
        let message = state.waiting.pop_front()?;
        state.longest_wait = state.longest_wait.max(message.elapsed());
        Some(Delivery { queue: self, message: Some(message) })
    }

    /// How it is doing now.
    pub(crate) fn count(&self) -> Count {
        let state = self.lock();
        Count {
            waiting: state.waiting.len(),
            arrived: state.arrived,
            done: state.done,
            oldest: state.waiting.front().map(Instant::elapsed).unwrap_or_default(),
            longest_wait: state.longest_wait,
        }
    }

    /// No update can panic half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivery<'_> {
    /// The worker is through with the message.
    pub(crate) fn done(mut self) {
        self.message = None;
        self.queue.lock().done += 1;
    }
}

impl Drop for Delivery<'_> {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            self.queue.lock().waiting.push_front(message);
            self.queue.news.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_message_is_done_once_and_by_one_worker() {
        let queue = Queue::default();
        queue.put(1);
        let delivery = queue.take().now_or_never().unwrap();
        assert!(queue.take().now_or_never().is_none(), "two workers have the same message");
        delivery.done();
        let count = queue.count();
        assert_eq!((count.waiting, count.arrived, count.done), (0, 1, 1));
    }

    #[test]
    fn a_worker_that_ends_half_way_leaves_its_message_to_the_next() {
        let queue = Queue::default();
        queue.put(1);
        drop(queue.take().now_or_never().unwrap());
        assert_eq!((queue.count().waiting, queue.count().done), (1, 0));
        assert!(queue.take().now_or_never().is_some());
    }

    #[test]
    fn a_worker_that_waits_gets_what_arrives() {
        let queue = Queue::default();
        let mut take = Box::pin(queue.take());
        assert!(take.as_mut().now_or_never().is_none());
        queue.put(1);
        assert!(take.now_or_never().is_some());
    }
}
