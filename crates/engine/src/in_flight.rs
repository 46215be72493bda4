//! Which objects are being reconciled, and since when.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::object::ObjectKey;

/// The reconciles under way. One that does not end although its time is over blocks its worker, or the whole
/// process, and nothing but a restart helps.
#[derive(Debug)]
pub struct InFlight {
    limit: Duration,
    since: Mutex<HashMap<ObjectKey, Instant>>,
}

/// Keeps an object in the register; dropping it takes the object out.
#[derive(Debug)]
pub struct Entry<'a> {
    register: &'a InFlight,
    key: ObjectKey,
}

impl InFlight {
    /// A register of reconciles; one that takes longer than `limit` hangs.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit, since: Mutex::default() }
    }

    /// A reconcile of `key` begins.
    #[must_use]
    pub fn begin(&self, key: &ObjectKey) -> Entry<'_> {
        self.lock().insert(key.clone(), Instant::now());
        Entry { register: self, key: key.clone() }
    }

    /// One sentence for each reconcile that hangs; empty: none does.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let since = self.lock();
        let ages = since.iter().map(|(key, since)| (key, since.elapsed()));
        let mut complaints: Vec<_> = ages
            .filter(|(_, age)| *age > self.limit)
            .map(|(key, age)| format!("reconcile of {key} has not ended for {} s", age.as_secs()))
            .collect();
        complaints.sort();
        complaints
    }

    /// Each update is one insert or removal: a panic in between leaves whole entries behind.
    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.register.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Kind, KindInfo};

    const PARENT: Kind = Kind(&KindInfo::new("example.io", "v1", "Parent", "parents"));

    #[tokio::test(start_paused = true)]
    async fn a_reconcile_that_hangs_is_told_by_its_object() {
        let register = InFlight::new(Duration::from_mins(5));
        let (slow, quick) = (ObjectKey::new(PARENT, "ns", "slow"), ObjectKey::new(PARENT, "ns", "quick"));
        let entry = register.begin(&slow);
        drop(register.begin(&quick));
        tokio::time::advance(Duration::from_mins(5)).await;
        assert!(register.complaints().is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(register.complaints(), ["reconcile of Parent ns/slow has not ended for 301 s"]);
        drop(entry);
        assert!(register.complaints().is_empty());
    }
}
