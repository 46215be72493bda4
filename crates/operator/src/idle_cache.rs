//! A cache of bounded size, from which entries that nobody uses are evicted.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// Values by key: at most `capacity`, and none that has not been used for `idle`.
pub(crate) struct IdleCache<K, V> {
    capacity: usize,
    idle: Duration,
    /// With the time of their last use.
    entries: HashMap<K, (Instant, V)>,
}

impl<K: Clone + Eq + Hash, V> IdleCache<K, V> {
    /// An empty cache of `capacity` values, each of which stays until it has not been used for `idle`.
    pub(crate) fn new(capacity: usize, idle: Duration) -> Self {
        Self { capacity, idle, entries: HashMap::new() }
    }

    /// The value of `key`. Counts as a use.
    pub(crate) fn get(&mut self, key: &K, now: Instant) -> Option<&V> {
        let (used, value) = self.entries.get_mut(key)?;
        *used = now;
        Some(value)
    }

    /// Inserts `value`. A cache that is full evicts the least recently used value.
    pub(crate) fn insert(&mut self, key: K, value: V, now: Instant) {
        self.evict_idle(now);
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&key) {
            let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.entries.remove(&oldest);
            }
        }
        self.entries.insert(key, (now, value));
    }

    /// Evicts the values that have not been used for too long.
    pub(crate) fn evict_idle(&mut self, now: Instant) {
        self.entries.retain(|_, (used, _)| now.saturating_duration_since(*used) < self.idle);
    }

    /// Forgets the value of `key`.
    pub(crate) fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// All entries. Does not count as a use.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, (_, value))| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_mins(10);

    fn keys(cache: &IdleCache<u32, ()>) -> Vec<u32> {
        let mut keys: Vec<_> = cache.iter().map(|(key, ())| *key).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn a_full_cache_evicts_the_least_recently_used() {
        let (mut cache, start) = (IdleCache::new(3, IDLE), Instant::now());
        let at = |second| start + Duration::from_secs(second);
        for key in 0..3 {
            cache.insert(key, (), at(u64::from(key)));
        }
        cache.get(&0, at(3));
        cache.insert(3, (), at(4));
        assert_eq!(keys(&cache), [0, 2, 3]);
        cache.insert(2, (), at(5));
        assert_eq!(keys(&cache), [0, 2, 3]);
        for key in 4..1000 {
            cache.insert(key, (), at(6));
        }
        assert_eq!(cache.iter().count(), 3);
    }

    #[test]
    fn what_nobody_uses_is_evicted() {
        let (mut cache, start) = (IdleCache::new(3, IDLE), Instant::now());
        cache.insert(1, (), start);
        cache.insert(2, (), start);
        cache.get(&1, start + IDLE / 2);
        cache.evict_idle(start + IDLE);
        assert_eq!(keys(&cache), [1]);
    }
}
