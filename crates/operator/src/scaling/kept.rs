//! What is kept for a while.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// Values by key: so many at the most, and none that has not been used for a while.
pub(crate) struct Kept<K, V> {
    most: usize,
    idle: Duration,
    /// With the time of their last use.
    entries: HashMap<K, (Instant, V)>,
}

impl<K: Clone + Eq + Hash, V> Kept<K, V> {
    /// Keeps `most` values, each until it has not been used for `idle`.
    pub(crate) fn new(most: usize, idle: Duration) -> Self {
        Self { most, idle, entries: HashMap::new() }
    }

    /// The value of `key`, which is used by this.
    pub(crate) fn get(&mut self, key: &K, now: Instant) -> Option<&V> {
        let (used, value) = self.entries.get_mut(key)?;
        *used = now;
        Some(value)
    }

    /// Keeps `value`, at the cost of the one that has not been used for longest.
    pub(crate) fn insert(&mut self, key: K, value: V, now: Instant) {
        self.let_go(now);
        if self.entries.len() >= self.most && !self.entries.contains_key(&key) {
            let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.entries.remove(&oldest);
            }
        }
        self.entries.insert(key, (now, value));
    }

    /// Lets go of what has not been used for a while.
    pub(crate) fn let_go(&mut self, now: Instant) {
        self.entries.retain(|_, (used, _)| now.saturating_duration_since(*used) < self.idle);
    }

    /// All of them, without using any.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, (_, value))| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_mins(10);

    fn keys(kept: &Kept<u32, ()>) -> Vec<u32> {
        let mut keys: Vec<_> = kept.iter().map(|(key, ())| *key).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn there_are_never_more_than_the_most_and_the_least_used_goes() {
        let (mut kept, start) = (Kept::new(3, IDLE), Instant::now());
        let at = |second| start + Duration::from_secs(second);
        for key in 0..3 {
            kept.insert(key, (), at(u64::from(key)));
        }
        kept.get(&0, at(3));
        kept.insert(3, (), at(4));
        assert_eq!(keys(&kept), [0, 2, 3]);
        kept.insert(2, (), at(5));
        assert_eq!(keys(&kept), [0, 2, 3]);
        for key in 4..1000 {
            kept.insert(key, (), at(6));
        }
        assert_eq!(kept.iter().count(), 3);
    }

    #[test]
    fn what_nobody_uses_does_not_stay() {
        let (mut kept, start) = (Kept::new(3, IDLE), Instant::now());
        kept.insert(1, (), start);
        kept.insert(2, (), start);
        kept.get(&1, start + IDLE / 2);
        kept.let_go(start + IDLE);
        assert_eq!(keys(&kept), [1]);
    }
}
