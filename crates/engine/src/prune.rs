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

    /// Deletes a child of `owner` and waits for what belongs to it, in the foreground: until all of that is gone,
    /// the ledger goes on to show it.
    ///
    /// The child is looked at first: whoever deletes an owner with `--cascade=orphan` has the garbage collector set
    /// its children free meanwhile, and one that is free stays.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn dismiss(&self, owner: &Owner, key: &ObjectKey) -> Result<(), Error> {
        if self.ledger.get(key).is_none_or(|seen| seen.is_deleting) {
            return Ok(());
        }
        let live = match self.api(key).get_opt(&key.name).await {
            Ok(Some(live)) => live,
            Ok(None) => return Ok(()),
            Err(error) => return Err(Error::of_write(key, &error)),
        };
        let seen = self.ledger.record(key, &live);
        if seen.owner.as_ref() != Some(owner) || seen.is_deleting {
            return Ok(());
        }
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Foreground),
            ..DeleteParams::default()
        }
        .preconditions(Preconditions {
            uid: Some(seen.uid.to_string()),
            resource_version: live.metadata.resource_version,
        });
        if self.delete_with(key, &params).await? {
            return Ok(());
        }
        // It has changed in between: the next look sees how.
        Err(Error::Unavailable(format!("{key} changed while it was to be deleted")))
    }

    /// Whether the child `key`, in the incarnation `uid`, says now that it belongs to `owner`; `None` if it is gone,
    /// or on its way.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn belongs_to(&self, owner: &Owner, key: &ObjectKey, uid: &str) -> Result<Option<bool>, Error> {
        if self.ledger.get(key).is_none_or(|seen| *seen.uid != *uid || seen.is_deleting) {
            return Ok(None);
        }
        let found = self.api(key).get_opt(&key.name).await.map_err(|error| Error::of_write(key, &error))?;
        let seen = found.map(|live| self.ledger.record(key, &live));
        let seen = seen.filter(|seen| *seen.uid == *uid && !seen.is_deleting);
        Ok(seen.map(|seen| seen.owner.as_ref() == Some(owner)))
    }

    /// Whether the API server still has `owner`, and nobody has deleted it: a child that has lost its reference to
    /// one that goes was set free on purpose.
    pub(crate) async fn is_alive(&self, owner: &Owner) -> Result<(), Error> {
        let found = self.api(&owner.key).get_metadata_opt(&owner.key.name).await;
        let found = found.map_err(|error| Error::of_write(&owner.key, &error))?;
        let is_alive = found.is_some_and(|found| {
            found.metadata.uid.as_deref() == Some(&*owner.uid) && found.metadata.deletion_timestamp.is_none()
        });
        if is_alive { Ok(()) } else { Err(Error::Terminating { key: owner.key.clone() }) }
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
        self.delete_with(key, &params).await.map(drop)
    }

    /// Whether it was deleted: it may be gone, or another one than `params` are about.
    async fn delete_with(&self, key: &ObjectKey, params: &DeleteParams) -> Result<bool, Error> {
        match self.api(key).delete(&key.name, params).await {
            Ok(answer) => {
                match answer.left() {
                    Some(live) => drop(self.ledger.record(key, &live)),
                    None => self.ledger.gone(key),
                }
                self.metrics.deleted(key.kind);
                tracing::info!(kind = key.kind.name, object = &*key.name, "Deleted {}", key.kind);
                Ok(true)
            }
            Err(error) if has_code(&error, 404) || has_code(&error, 409) => Ok(false),
            Err(error) => Err(Error::of_write(key, &error)),
        }
    }
}
