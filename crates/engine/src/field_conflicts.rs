//! Conflicts over fields: somebody changes, or deletes, what the operator has written, again and again.
//!
//! A child that is changed by somebody else is repaired at once. Two controllers that both do so would write
//! as fast as watches deliver. So the same body is written at once a few times only, after that once in
//! [`PAUSE`], and its owner is told who the other one is.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

use crate::{Engine, digest::Digest, error::Error, object::ObjectKey};

/// Writes of one body, none later than [`PAUSE`] after the one before, that make a conflict.
const TOLERATED: u32 = 8;
/// Time between two writes of a body over which there is a conflict. No longer than the time after which an object that is
/// stalled is looked at again, so that each such look may write.
const PAUSE: Duration = Duration::from_secs(45);
/// A conflict is over when nobody has changed anything for this long after a write. Shorter than the time after which
/// an object that is stalled is looked at again.
const QUIET: Duration = Duration::from_secs(40);
/// Entries beyond which those that are old are dropped.
const ROOM: usize = 1024;

/// What is remembered of the latest writes.
#[derive(Debug, Default)]
pub(crate) struct FieldConflicts {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    conflicts: HashMap<ObjectKey, Conflict>,
    room: usize,
}

#[derive(Debug)]
struct Conflict {
    wanted: Digest,
    writes: u32,
    last: Instant,
    /// Who had written last before the operator did, as far as that is known.
    manager: Option<String>,
}

impl FieldConflicts {
    /// Whether `wanted` may be written to `key` now.
    pub(crate) fn is_due(&self, key: &ObjectKey, wanted: Digest, now: Instant) -> bool {
        let inner = self.lock();
        inner.of(key, wanted).is_none_or(|conflict| now.saturating_duration_since(conflict.last) >= PAUSE)
    }

    /// Takes in that `wanted` was written to `key`, to which the field manager `other` had written last.
    pub(crate) fn written(&self, key: &ObjectKey, wanted: Digest, other: Option<String>, now: Instant) {
        let mut inner = self.lock();
        inner.make_room(now);
        let fresh = Conflict { wanted, writes: 0, last: now, manager: None };
        let conflict = inner.conflicts.entry(key.clone()).or_insert(fresh);
        let is_next = conflict.wanted == wanted
            && (conflict.writes >= TOLERATED || now.saturating_duration_since(conflict.last) <= PAUSE);
        *conflict = Conflict {
            wanted,
            writes: if is_next { conflict.writes + 1 } else { 1 },
            last: now,
            manager: other.or_else(|| conflict.manager.take()),
        };
    }

    /// Whether there is a conflict over `key`, which is as it is `wanted` or is not.
    ///
    /// # Errors
    /// [`Error::FieldConflict`]. One that is over is forgotten.
    pub(crate) fn check(
        &self,
        key: &ObjectKey,
        wanted: Digest,
        is_as_wanted: bool,
        now: Instant,
    ) -> Result<(), Error> {
        let mut inner = self.lock();
        let Some(conflict) = inner.of(key, wanted) else { return Ok(()) };
        if is_as_wanted && now.saturating_duration_since(conflict.last) >= QUIET {
            inner.conflicts.remove(key);
            return Ok(());
        }
        Err(Error::FieldConflict { key: key.clone(), manager: conflict.manager.clone() })
    }

    /// Whether the next write of `wanted` makes, or goes on with, a conflict.
    pub(crate) fn is_close(&self, key: &ObjectKey, wanted: Digest) -> bool {
        let inner = self.lock();
        inner.conflicts.get(key).is_some_and(|known| known.wanted == wanted && known.writes + 1 >= TOLERATED)
    }

    /// Each update is one insert or removal: a panic in between leaves whole entries behind.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn of(&self, key: &ObjectKey, wanted: Digest) -> Option<&Conflict> {
        self.conflicts.get(key).filter(|known| known.wanted == wanted && known.writes >= TOLERATED)
    }

    fn make_room(&mut self, now: Instant) {
        if self.conflicts.len() >= self.room.max(ROOM) {
            self.conflicts.retain(|_, known| now.saturating_duration_since(known.last) <= PAUSE * 3);
            self.room = self.conflicts.len() * 2;
        }
    }
}

impl Engine {
    /// The field manager that wrote to `key` last, the operator and status updates apart. `None`: the object is not there,
    /// or cannot be read.
    pub(crate) async fn last_writer(&self, key: &ObjectKey) -> Option<String> {
        let found = self.api(key).get_metadata_opt(&key.name).await;
        let found =
            found.inspect_err(|error| tracing::warn!(%key, %error, "Cannot tell who else writes")).ok()?;
        let entries = found?.metadata.managed_fields.unwrap_or_default();
        let is_other = |entry: &&ManagedFieldsEntry| {
            entry.subresource.is_none() && entry.manager.as_deref() != Some(self.ledger.manager())
        };
        let latest =
            entries.iter().filter(is_other).max_by_key(|entry| entry.time.as_ref().map(|time| time.0));
        latest?.manager.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::{Kind, KindInfo};

    const CHILD: Kind = Kind(&KindInfo::new("example.io", "v1", "Child", "children"));

    struct Dispute {
        conflicts: FieldConflicts,
        key: ObjectKey,
        now: Instant,
    }

    impl Dispute {
        fn begin() -> Self {
            let (conflicts, key) = (FieldConflicts::default(), ObjectKey::new(CHILD, "ns", "c"));
            Self { conflicts, key, now: Instant::now() }
        }

        /// Writes if that is due; returns whether it was.
        fn write(&mut self, body: &str, after: Duration) -> bool {
            self.now += after;
            let wanted = Digest::of(&json!(body));
            let is_due = self.conflicts.is_due(&self.key, wanted, self.now);
            if is_due {
                self.conflicts.written(&self.key, wanted, Some("rival".to_owned()), self.now);
            }
            is_due
        }

        fn is_on(&self, body: &str, is_as_wanted: bool) -> bool {
            self.conflicts.check(&self.key, Digest::of(&json!(body)), is_as_wanted, self.now).is_err()
        }
    }

    #[test]
    fn a_body_that_others_change_is_written_now_and_then_until_it_stays() {
        let mut dispute = Dispute::begin();
        let quick = Duration::from_millis(50);
        let writes = (0..400).filter(|_| dispute.write("one", quick)).count();
        assert_eq!(writes, 8, "in 20 s");
        assert!(dispute.is_on("one", false));
        let writes = (0..180).filter(|_| dispute.write("one", Duration::from_secs(1))).count();
        assert_eq!(writes, 4, "in three minutes");
        assert!(dispute.is_on("one", true), "it may go on at once");
        dispute.now += QUIET;
        assert!(!dispute.is_on("one", true), "it is over");
        assert!(dispute.write("one", quick) && !dispute.is_on("one", true));
    }

    #[test]
    fn another_body_is_written_at_once() {
        let mut dispute = Dispute::begin();
        while dispute.write("one", Duration::ZERO) {}
        assert!(dispute.write("two", Duration::ZERO));
        assert!(!dispute.is_on("two", false));
    }

    #[test]
    fn changes_that_are_far_apart_are_no_conflict() {
        let mut dispute = Dispute::begin();
        assert!((0..100).all(|_| dispute.write("one", PAUSE + Duration::from_secs(1))));
        assert!(!dispute.is_on("one", false));
    }

    #[test]
    fn what_is_long_ago_is_dropped() {
        let mut dispute = Dispute::begin();
        for count in 0..5000 {
            dispute.key = ObjectKey::new(CHILD, "ns", &count.to_string());
            dispute.write("one", Duration::from_secs(1));
        }
        assert!(dispute.conflicts.lock().conflicts.len() <= ROOM);
    }
}
