//! Writing status: only when it differs, and no more often than it matters.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    Engine,
    digest::Digest,
    error::Error,
    object::{ObjectKey, Owner},
    queue::PATIENCE,
};

/// How long a report may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// A condition, the inventory or the observed generation differs.
    Now,
    /// The same as `Now`, while other objects still wait for their children.
    Busy,
    /// Only counts and messages differ: a rollout is on its way.
    Progress,
}

impl Urgency {
    fn patience(self) -> Duration {
        match self {
            Self::Now => Duration::ZERO,
            Self::Busy => PATIENCE,
            Self::Progress => Duration::from_secs(5),
        }
    }
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// The status in the cluster says it already.
    Unchanged,
    /// It was written.
    Written,
    /// It is to be tried again after this time; until then newer news may replace it.
    Later(Duration),
}

/// Status writes of this process that its own watch may not have shown yet.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    inner: Mutex<HashMap<ObjectKey, Report>>,
}

#[derive(Debug, Default)]
struct Report {
    /// Resource version and fingerprint of the last write.
    written: Option<(u64, Digest)>,
    /// When the first report that is still held back was due.
    held_since: Option<Instant>,
}

impl Engine {
    /// Brings the status of `owner` to `status`.
    ///
    /// `cached` is the status, and the resource version, that the caller's watch shows.
    pub async fn report(
        &self,
        owner: &Owner,
        cached: (u64, &Value),
        status: &Value,
        urgency: Urgency,
    ) -> Result<Reported, Error> {
        let digest = Digest::of(status);
        if self.reports.current(&owner.key, cached) == digest {
            self.reports.release(&owner.key);
            return Ok(Reported::Unchanged);
        }
        if let Some(wait) = self.reports.hold(&owner.key, urgency) {
            return Ok(Reported::Later(wait));
        }
        let body = json!({
            "apiVersion": owner.key.kind.api_version(),
            "kind": owner.key.kind.name,
            "metadata": {"name": &*owner.key.name, "uid": &*owner.uid},
            "status": status,
        });
        let params = PatchParams::apply(self.ledger.manager()).force();
        let answer = self.api(&owner.key).patch_status(&owner.key.name, &params, &Patch::Apply(&body)).await;
        let live = answer.map_err(|error| Error::of_write(&owner.key, &error))?;
        self.reports.written(&owner.key, live.version(), digest);
        Ok(Reported::Written)
    }

    /// Whether the watch shows, at `version`, nothing newer than our own last report.
    #[must_use]
    pub fn is_own_report(&self, owner: &ObjectKey, version: u64) -> bool {
        self.reports
            .lock()
            .get(owner)
            .and_then(|report| report.written)
            .is_some_and(|(own, _)| own >= version)
    }

    /// Drops what is remembered of an object that is gone.
    pub fn forget_reports(&self, owner: &ObjectKey) {
        self.reports.lock().remove(owner);
    }
}

impl Reports {
    /// Fingerprint of the newest status known.
    fn current(&self, owner: &ObjectKey, (version, status): (u64, &Value)) -> Digest {
        let written = self.lock().get(owner).and_then(|report| report.written);
        match written {
            Some((own, digest)) if own > version => digest,
            _ => Digest::of(status),
        }
    }

    /// How much longer to hold the report back, if at all.
    fn hold(&self, owner: &ObjectKey, urgency: Urgency) -> Option<Duration> {
        let mut reports = self.lock();
        let report = reports.entry(owner.clone()).or_default();
        let since = *report.held_since.get_or_insert_with(Instant::now);
        urgency.patience().checked_sub(since.elapsed()).filter(|wait| !wait.is_zero())
    }

    fn release(&self, owner: &ObjectKey) {
        if let Some(report) = self.lock().get_mut(owner) {
            report.held_since = None;
        }
    }

    fn written(&self, owner: &ObjectKey, version: u64, digest: Digest) {
        self.lock().insert(owner.clone(), Report { written: Some((version, digest)), held_since: None });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Report>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Kind, KindInfo};

    const PARENT: Kind = Kind(&KindInfo::new("example.io", "v1", "Parent", "parents"));

    fn key() -> ObjectKey {
        ObjectKey::new(PARENT, "ns", "p")
    }

    #[tokio::test(start_paused = true)]
    async fn progress_waits_and_news_does_not() {
        let reports = Reports::default();
        assert_eq!(reports.hold(&key(), Urgency::Progress), Some(Duration::from_secs(5)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(reports.hold(&key(), Urgency::Progress), Some(Duration::from_secs(3)));
        assert_eq!(reports.hold(&key(), Urgency::Now), None);
    }

    #[tokio::test(start_paused = true)]
    async fn holding_back_again_and_again_does_not_hold_back_for_ever() {
        let reports = Reports::default();
        for _ in 0..10 {
            reports.hold(&key(), Urgency::Busy);
            tokio::time::advance(PATIENCE / 10).await;
        }
        assert_eq!(reports.hold(&key(), Urgency::Busy), None);
    }

    #[test]
    fn our_own_write_counts_until_the_watch_is_past_it() {
        let reports = Reports::default();
        let (old, new) = (json!({"n": 1}), json!({"n": 2}));
        reports.written(&key(), 7, Digest::of(&new));
        assert_eq!(reports.current(&key(), (6, &old)), Digest::of(&new));
        assert_eq!(reports.current(&key(), (8, &old)), Digest::of(&old));
    }
}
