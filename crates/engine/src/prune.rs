//! Taking away what is no longer wanted.

use kube::api::{DeleteParams, Preconditions, PropagationPolicy};

use crate::{
    Engine,
    error::{Error, has_code},
    object::{ObjectKey, Owner},
};

/// What a pass took away.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Children that were deleted.
    pub deleted: Vec<ObjectKey>,
    /// Children that could not be.
    pub failed: Vec<(ObjectKey, Error)>,
}

impl Pruned {
    fn note(&mut self, key: ObjectKey, is_deleted: Result<bool, Error>) {
        match is_deleted {
            Ok(true) => self.deleted.push(key),
            Ok(false) => {}
            Err(error) => self.failed.push((key, error)),
        }
    }
}

impl Engine {
    /// Deletes the children of `owner` that `is_wanted` does not want; one that fails holds up no other.
    ///
    /// Candidates are what the watches show and what an earlier pass `remembered`; only what
    /// carries the owner's UID is touched.
    pub async fn prune(
        &self,
        owner: &Owner,
        remembered: &[ObjectKey],
        is_wanted: impl Fn(&ObjectKey) -> bool,
    ) -> Pruned {
        let mut pruned = Pruned::default();
        for (key, seen) in self.ledger.children(owner) {
            if !is_wanted(&key) && !seen.is_deleting {
                let deletion = self.delete(&key, &seen.uid, PropagationPolicy::Background).await;
                pruned.note(key, deletion.map(|()| true));
            }
        }
        for key in remembered.iter().filter(|key| !is_wanted(key) && self.ledger.get(key).is_none()) {
            pruned.note(key.clone(), self.find_hidden(owner, key).await);
        }
        pruned
    }

    /// Deletes a workload and leaves its pods and volumes, for its successor to adopt. `false`: that
    /// is under way already.
    pub async fn orphan(&self, key: &ObjectKey) -> Result<bool, Error> {
        match self.ledger.get(key) {
            Some(seen) if !seen.is_deleting => {
                self.delete(key, &seen.uid, PropagationPolicy::Orphan).await.map(|()| true)
            }
            _ => Ok(false),
        }
    }

    /// Deletes a child and waits for what belongs to it, in the foreground: until all of that is gone,
    /// the ledger goes on to show it.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn dismiss(&self, key: &ObjectKey) -> Result<(), Error> {
        match self.ledger.get(key) {
            Some(seen) if !seen.is_deleting => {
                self.delete(key, &seen.uid, PropagationPolicy::Foreground).await
            }
            _ => Ok(()),
        }
    }

    /// Deletes a remembered child that no watch shows, because somebody took its label away.
    async fn find_hidden(&self, owner: &Owner, key: &ObjectKey) -> Result<bool, Error> {
        // Remembered once, and known to be gone since: the inventory still names it until the
        // next report, which must not cost a look at each pass.
        if self.ledger.applied(key).is_none() {
            return Ok(false);
        }
        let found = self.api(key).get_metadata_opt(&key.name).await;
        let found = found.map_err(|error| Error::of_write(key, &error))?;
        let references = found.iter().flat_map(|found| found.metadata.owner_references.iter().flatten());
        let annotations = found.as_ref().and_then(|found| found.metadata.annotations.as_ref());
        let is_ours = references.into_iter().any(|reference| *reference.uid == *owner.uid)
            || annotations.and_then(|all| all.get(self.ledger.mark())) == Some(&owner.to_mark());
        if let Some(uid) = found.as_ref().and_then(|found| found.metadata.uid.as_deref()).filter(|_| is_ours)
        {
            self.delete(key, uid, PropagationPolicy::Background).await?;
        }
        self.ledger.gone(key);
        Ok(is_ours)
    }

    async fn delete(&self, key: &ObjectKey, uid: &str, policy: PropagationPolicy) -> Result<(), Error> {
        let params = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() }
            .preconditions(Preconditions { uid: Some(uid.to_owned()), resource_version: None });
        match self.api(key).delete(&key.name, &params).await {
            Ok(answer) => {
                match answer.left() {
                    Some(live) => drop(self.ledger.record(key, &live)),
                    None => self.ledger.gone(key),
                }
                self.metrics.deleted(key.kind);
                tracing::info!(kind = key.kind.name, object = &*key.name, "Deleted {}", key.kind);
                Ok(())
            }
            Err(error) if has_code(&error, 404) || has_code(&error, 409) => Ok(()),
            Err(error) => Err(Error::of_write(key, &error)),
        }
    }
}
