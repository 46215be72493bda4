//! The only place that creates and changes children.

use std::time::Instant;

use futures::{StreamExt, future::join_all, stream};
use kube::{
    Api,
    api::{Patch, PatchParams, PropagationPolicy},
    core::response::StatusCause,
};
use serde_json::Value;

use crate::{
    Engine,
    child::{Child, Content, Replicas},
    digest::Digest,
    error::{Error, has_code},
    ledger::Observed,
    live::Live,
    object::{ObjectKey, Owner},
    overwrite::Extent,
};

/// Children of one owner that are written at the same time: an owner of hundreds must not crowd out
/// everybody else.
const CONCURRENT_WRITES: usize = 16;

/// What a pass did to one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing differed: no request was made.
    Unchanged,
    /// It was not there.
    Created,
    /// It is wanted differently from before.
    Updated,
    /// Somebody else had changed what is ours.
    Repaired,
}

/// What a pass over all stages came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Children that were written.
    pub changed: Vec<(ObjectKey, Change)>,
    /// Children that could not be.
    pub failed: Vec<Error>,
}

impl Engine {
    /// Applies the lines of children of `owner` side by side, and each line stage after stage.
    ///
    /// A child that fails holds back the stages after its own in its line, never its neighbours,
    /// and never what already runs.
    pub async fn apply(&self, owner: &Owner, lines: &[Vec<Vec<Child>>]) -> Outcome {
        let outcomes = join_all(lines.iter().map(|stages| self.apply_line(owner, stages))).await;
        outcomes.into_iter().fold(Outcome::default(), |mut all, line| {
            all.changed.extend(line.changed);
            all.failed.extend(line.failed);
            all
        })
    }

    async fn apply_line(&self, owner: &Owner, stages: &[Vec<Child>]) -> Outcome {
        let mut outcome = Outcome::default();
        for stage in stages {
            let writes: Vec<_> = stage.iter().map(|child| self.apply_child(owner, child)).collect();
            let results: Vec<_> = stream::iter(writes).buffered(CONCURRENT_WRITES).collect().await;
            let is_held_up = results
                .iter()
                .any(|result| matches!(result, Err(error) if !matches!(error, Error::FieldConflict { .. })));
            for (child, result) in stage.iter().zip(results) {
                match result {
                    Ok(Change::Unchanged) => {}
                    Ok(change) => outcome.changed.push((child.key.clone(), change)),
                    Err(error) => outcome.failed.push(error),
                }
            }
            if is_held_up {
                break;
            }
        }
        outcome
    }

    async fn apply_child(&self, owner: &Owner, child: &Child) -> Result<Change, Error> {
        let (key, wanted) = (&child.key, child.digest());
        let seen = self.ledger.get(key);
        seen.as_ref().map_or(Ok(()), |seen| claim(owner, key, seen))?;
        let change = match &seen {
            None => Change::Created,
            Some(seen) => self.difference(child, wanted, seen),
        };
        let now = Instant::now();
        if change == Change::Unchanged || !self.conflicts.is_due(key, wanted, now) {
            return self
                .conflicts
                .check(key, wanted, change == Change::Unchanged, now)
                .map(|()| Change::Unchanged);
        }
        if seen.as_ref().is_some_and(|seen| seen.owner.is_none()) {
            self.is_alive(owner).await?;
        }
        let other = if self.conflicts.is_close(key, wanted) { self.last_writer(key).await } else { None };
        let change = match &seen {
            None => self.create(owner, child, wanted).await?,
            Some(seen) => self.update(child, wanted, seen, change).await?,
        };
        self.conflicts.written(key, wanted, other, now);
        self.conflicts.check(key, wanted, false, now).map(|()| change)
    }

    /// Whether, and why, the child needs a write.
    fn difference(&self, child: &Child, wanted: Digest, seen: &Observed) -> Change {
        let Some(applied) = self.ledger.applied(&child.key) else {
            return Change::Updated;
        };
        let lost_replicas = child.owns_replicas() && !seen.ownership.replicas;
        // An earlier process may have applied something else, and died before it could note that.
        let is_of_another_body = seen.stamp.is_some_and(|stamp| stamp != wanted);
        if applied.uid != seen.uid || applied.wanted != wanted || is_of_another_body {
            Change::Updated
        } else if seen.ownership.fields != Some(applied.owned) || lost_replicas || seen.ownership.is_extended
        {
            Change::Repaired
        } else {
            Change::Unchanged
        }
    }

    async fn create(&self, owner: &Owner, child: &Child, wanted: Digest) -> Result<Change, Error> {
        if child.content == Content::Relied {
            return self.meet(owner, child, wanted).await;
        }
        match self.send(&child.key, &child.creating_body(self.ledger.stamp())).await {
            Ok(live) => {
                self.settle(child, wanted, &live);
                self.metrics.created(child.key.kind);
                tracing::info!(
                    kind = child.key.kind.name,
                    object = &*child.key.name,
                    "Created {}",
                    child.key.kind
                );
                Ok(Change::Created)
            }
            Err(error) if has_code(&error, 409) => self.meet(owner, child, wanted).await,
            Err(error) => Err(Error::of_write(&child.key, &error)),
        }
    }

    /// The name is taken. By ourselves, before the watch told us; or by somebody else.
    async fn meet(&self, owner: &Owner, child: &Child, wanted: Digest) -> Result<Change, Error> {
        let found = self.api(&child.key).get_opt(&child.key.name).await;
        let found = found.map_err(|error| Error::of_write(&child.key, &error))?;
        let Some(live) = found else {
            return Err(match child.content {
                Content::Relied => Error::Lost { key: child.key.clone(), missing: Vec::new() },
                Content::Planned | Content::Drawn => {
                    Error::Unavailable(format!("{} came and went", child.key))
                }
            });
        };
        // Not recorded: the deletion of an object that is not ours would never reach the ledger.
        let seen = self.ledger.read(child.key.kind, &live);
        match claim(owner, &child.key, &seen) {
            Err(Error::NameTaken { .. }) if self.may_adopt(child, &live).await? => {}
            // No watch shows it yet, or ever, if it is not ours: nobody would hear of its end.
            Err(Error::Terminating { key }) => {
                return Err(Error::Unavailable(format!("{key} is being deleted")));
            }
            claimed => claimed?,
        }
        self.update(child, wanted, &seen, Change::Updated).await
    }

    async fn update(
        &self,
        child: &Child,
        wanted: Digest,
        seen: &Observed,
        change: Change,
    ) -> Result<Change, Error> {
        if matches!(child.replicas, Replicas::Seeded(_)) && seen.ownership.replicas {
            self.release_replicas(&child.key).await?;
        }
        let body = self.body(child, &seen.uid).await?;
        let answer = match self.send(&child.key, &body).await {
            // Also where the child is wanted differently: somebody may have changed it before, unseen.
            Err(error) if has_code(&error, 422) && child.content == Content::Planned => {
                self.make_room(child, &body).await.map_err(|_| error)
            }
            Ok(live) if self.ledger.read(child.key.kind, &live).ownership.is_extended => {
                self.overwrite(child, &body, Extent::Spec).await
            }
            answer => answer,
        };
        let live = match answer {
            // Somebody has made it immutable. It has no life of its own: whoever reads it has read it.
            Err(error) if is_immutable(&error) && child.is_plain_data() => {
                self.delete(&child.key, &seen.uid, PropagationPolicy::Background).await?;
                self.send(&child.key, &child.creating_body(self.ledger.stamp())).await
            }
            answer => answer,
        };
        let live = live.map_err(|error| Error::of_write(&child.key, &error))?;
        self.settle(child, wanted, &live);
        self.metrics.updated(child.key.kind);
        tracing::info!(
            kind = child.key.kind.name,
            object = &*child.key.name,
            "{change:?} {}",
            child.key.kind
        );
        Ok(change)
    }

    fn settle(&self, child: &Child, wanted: Digest, live: &Live) {
        let answer = self.ledger.record(&child.key, live);
        self.ledger.mark_applied(&child.key, wanted, &answer);
    }

    pub(crate) async fn send(&self, key: &ObjectKey, body: &Value) -> Result<Live, kube::Error> {
        let params = PatchParams::apply(self.ledger.manager()).force();
        self.api(key).patch(&key.name, &params, &Patch::Apply(body)).await
    }

    pub(crate) fn api(&self, key: &ObjectKey) -> Api<Live> {
        Api::namespaced_with(self.client.clone(), &key.namespace, &key.kind.api_resource())
    }
}

impl Child {
    fn is_plain_data(&self) -> bool {
        self.key.kind.name == "ConfigMap" && self.key.kind.group.is_empty()
    }

    fn owns_replicas(&self) -> bool {
        self.replicas == Replicas::InBody && self.body["spec"].get("replicas").is_some()
    }
}

/// Whether the API server refuses a change because of what the object says about itself, and nothing else: then the
/// same content may be created in its place.
fn is_immutable(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    let is_forbidden = |cause: &StatusCause| cause.reason == "FieldValueForbidden";
    status.code == 422 && !causes.is_empty() && causes.iter().all(is_forbidden)
}

/// Whether `owner` may write to the object that is there.
fn claim(owner: &Owner, key: &ObjectKey, seen: &Observed) -> Result<(), Error> {
    let taken = |holder: String| Err(Error::NameTaken { key: key.clone(), holder });
    match &seen.owner {
        _ if seen.is_deleting => Err(Error::Terminating { key: key.clone() }),
        Some(holder) if holder == owner => Ok(()),
        // What an earlier incarnation of ours has left behind on purpose.
        Some(holder) if holder.key == owner.key && seen.is_marked => Ok(()),
        // The garbage collector has yet to follow the deletion of our earlier incarnation.
        Some(holder) if holder.key == owner.key => Err(Error::Terminating { key: key.clone() }),
        Some(holder) => taken(format!("belongs to {}", holder.key)),
        None if seen.has_foreign_controller => taken("belongs to another controller".to_owned()),
        // Left behind by a deletion with --cascade=orphan: made by us, and free.
        None if seen.ownership.fields.is_some() => Ok(()),
        None => taken("was made by somebody else".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::{Status, response::StatusDetails};
    use rstest::rstest;

    #[rstest]
    #[case::immutable(422, &["FieldValueForbidden"], true)]
    #[case::too_long(422, &["FieldValueTooLong"], false)]
    #[case::both(422, &["FieldValueForbidden", "FieldValueInvalid"], false)]
    #[case::without_a_word(422, &[], false)]
    #[case::not_allowed(403, &["FieldValueForbidden"], false)]
    fn only_what_could_be_created_anew_is_deleted_for_it(
        #[case] code: u16,
        #[case] reasons: &[&str],
        #[case] expected: bool,
    ) {
        let cause = |reason: &&str| StatusCause {
            reason: (*reason).to_owned(),
            message: String::new(),
            field: "data".to_owned(),
        };
        let details = StatusDetails {
            name: "web-config".to_owned(),
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            uid: String::new(),
            causes: reasons.iter().map(cause).collect(),
            retry_after_seconds: 0,
        };
        let status = Status { code, details: Some(details), ..Status::default() };
        assert_eq!(is_immutable(&kube::Error::Api(Box::new(status))), expected);
    }
}
