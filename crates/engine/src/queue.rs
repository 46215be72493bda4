//! Which object to look at next.
//!
//! kube's own scheduler has one lane. Here an edit by a user overtakes everything else, the news of
//! a child overtakes reports, and a resync never delays either; each object is looked at by one
//! worker at a time, and waits for at most [`PATIENCE`] behind busier lanes.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::object::ObjectKey;

/// After this time at the head of its lane an object overtakes the lanes before it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Why an object is looked at; the order is the precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// A user created, changed or deleted it.
    Edit,
    /// A child or a reference of it changed.
    Child,
    /// Its status is behind.
    Report,
    /// Nothing happened: start of the process, or the slow resync.
    Resync,
}

const LANES: [Lane; 4] = [Lane::Edit, Lane::Child, Lane::Report, Lane::Resync];

/// Objects waiting for a worker. All methods take `&self`.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    lanes: [VecDeque<(ObjectKey, Instant)>; LANES.len()],
    /// The lane in which an object waits; entries of other lanes are stale.
    waiting: HashMap<ObjectKey, Lane>,
    /// Objects to look at later, by due time.
    delayed: BTreeMap<(Instant, u64), (ObjectKey, Lane)>,
    delayed_by_key: HashMap<ObjectKey, (Instant, u64)>,
    sequence: u64,
    active: HashSet<ObjectKey>,
    /// Objects that were added while a worker had them.
    again: HashMap<ObjectKey, Lane>,
}

impl Queue {
    /// Asks for a look at `key` as soon as its lane allows.
    pub fn add(&self, key: ObjectKey, lane: Lane) {
        self.lock().add(key, lane);
        self.changed.notify_one();
    }

    /// Asks for a look at `key` after `delay`. The earliest such wish of an object counts.
    pub fn add_after(&self, key: ObjectKey, lane: Lane, delay: Duration) {
        self.lock().delay(key, lane, Instant::now() + delay);
        self.changed.notify_one();
    }

    /// Waits for the next object. The caller must hand it back with [`Queue::done`].
    pub async fn next(&self) -> (ObjectKey, Lane) {
        loop {
            let due = {
                let mut state = self.lock();
                let now = Instant::now();
                state.promote(now);
                if let Some(next) = state.take(now) {
                    if state.has_waiting() {
                        self.changed.notify_one();
                    }
                    return next;
                }
                state.delayed.keys().next().map(|(due, _)| *due)
            };
            match due {
                Some(due) => tokio::select! {
                    () = sleep_until(due) => {}
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    /// Gives `key` back; it may be handed out again from now on.
    pub fn done(&self, key: &ObjectKey) {
        let mut state = self.lock();
        state.active.remove(key);
        if let Some(lane) = state.again.remove(key) {
            state.add(key.clone(), lane);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Whether users or children wait for a worker.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.lock().waiting.values().any(|lane| *lane < Lane::Report)
    }

    /// Objects waiting for a worker now, those that are due later left out.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, key: ObjectKey, lane: Lane) {
        if self.active.contains(&key) {
            let again = self.again.entry(key).or_insert(lane);
            *again = lane.min(*again);
            return;
        }
        match self.waiting.get(&key) {
            Some(waiting) if *waiting <= lane => {}
            _ => {
                self.waiting.insert(key.clone(), lane);
                self.lanes[lane as usize].push_back((key, Instant::now()));
            }
        }
    }

    fn delay(&mut self, key: ObjectKey, lane: Lane, due: Instant) {
        if let Some(known) = self.delayed_by_key.get(&key) {
            if known.0 <= due {
                return;
            }
            self.delayed.remove(known);
        }
        self.sequence += 1;
        self.delayed_by_key.insert(key.clone(), (due, self.sequence));
        self.delayed.insert((due, self.sequence), (key, lane));
    }

    /// Moves what is due into its lane.
    fn promote(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            let (key, lane) = entry.remove();
            self.delayed_by_key.remove(&key);
            self.add(key, lane);
        }
    }

    fn take(&mut self, now: Instant) -> Option<(ObjectKey, Lane)> {
        for lane in LANES {
            self.drop_stale(lane);
        }
        let heads = LANES.into_iter().filter_map(|lane| Some((lane, self.lanes[lane as usize].front()?.1)));
        let overdue = heads
            .clone()
            .filter(|(_, since)| now.duration_since(*since) >= PATIENCE)
            .min_by_key(|head| head.1);
        let (lane, _) = overdue.or_else(|| heads.clone().next())?;
        let (key, _) = self.lanes[lane as usize].pop_front()?;
        self.waiting.remove(&key);
        self.active.insert(key.clone());
        Some((key, lane))
    }

    /// Entries at the head of `lane` whose object has moved to a better lane or is done.
    fn drop_stale(&mut self, lane: Lane) {
        let queue = &mut self.lanes[lane as usize];
        while queue.front().is_some_and(|(key, _)| self.waiting.get(key) != Some(&lane)) {
            queue.pop_front();
        }
    }

    fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Kind, KindInfo};

    const PARENT: Kind = Kind(&KindInfo::new("example.io", "v1", "Parent", "parents"));

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(PARENT, "ns", name)
    }

    #[tokio::test]
    async fn an_edit_overtakes_a_thousand_resyncs() {
        let queue = Queue::default();
        (0..1000).for_each(|n| queue.add(key(&n.to_string()), Lane::Resync));
        queue.add(key("edited"), Lane::Edit);
        assert_eq!(queue.next().await, (key("edited"), Lane::Edit));
    }

    #[tokio::test]
    async fn an_object_that_waits_already_moves_up_and_is_handed_out_once() {
        let queue = Queue::default();
        queue.add(key("a"), Lane::Resync);
        queue.add(key("b"), Lane::Child);
        queue.add(key("a"), Lane::Edit);
        assert_eq!(queue.next().await, (key("a"), Lane::Edit));
        assert_eq!(queue.next().await, (key("b"), Lane::Child));
        assert_eq!(queue.depth(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_added_while_a_worker_has_it_comes_back_afterwards() {
        let queue = Queue::default();
        queue.add(key("a"), Lane::Edit);
        queue.next().await;
        queue.add(key("a"), Lane::Child);
        let second = tokio::time::timeout(Duration::from_secs(1), queue.next()).await;
        assert!(second.is_err(), "one worker at a time");
        queue.done(&key("a"));
        assert_eq!(queue.next().await, (key("a"), Lane::Child));
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_wish_counts() {
        let queue = Queue::default();
        queue.add_after(key("a"), Lane::Report, Duration::from_secs(5));
        queue.add_after(key("a"), Lane::Resync, Duration::from_mins(1));
        queue.add_after(key("b"), Lane::Resync, Duration::from_secs(1));
        let start = Instant::now();
        assert_eq!(queue.next().await, (key("b"), Lane::Resync));
        assert_eq!(queue.next().await, (key("a"), Lane::Report));
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_starves() {
        let queue = Queue::default();
        queue.add(key("slow"), Lane::Resync);
        tokio::time::advance(PATIENCE).await;
        queue.add(key("edited"), Lane::Edit);
        assert_eq!(queue.next().await.0, key("slow"));
    }
}
