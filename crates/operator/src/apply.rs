//! From a plan to the cluster. A report can only be made of what went through here.

use std::cmp::Ordering;

use prism_api::{inventory::InventoryEntry, labels, workload::WorkloadKind};
use prism_engine::{Change, Class, Error, Outcome, object::ObjectKey};
use prism_plan::{
    invalid::Invalid,
    pattern::{Plan, Replace, Workload},
    quantity,
};

use crate::{children, context::Context, gather, inventory, kinds, pattern::Subject};

/// What became of a plan.
pub(crate) struct Applied {
    pub(crate) plan: Result<Box<Plan>, Invalid>,
    pub(crate) outcome: Outcome,
    pub(crate) pruned: Vec<ObjectKey>,
    /// A workload that was deleted in this pass, to be made anew in a later one.
    pub(crate) replaced: Option<Replace>,
    pub(crate) inventory: Vec<InventoryEntry>,
}

/// Applies `plan`, unless it is none, or the pattern is paused: then what runs is left alone.
pub(crate) async fn pattern(
    ctx: &Context,
    subject: &Subject,
    plan: Result<Box<Plan>, Invalid>,
) -> Result<Applied, Error> {
    let before = subject.pattern.status.as_ref().map(|status| status.inventory.clone()).unwrap_or_default();
    let mut applied =
        Applied { plan, outcome: Outcome::default(), pruned: Vec::new(), replaced: None, inventory: before };
    let owner = &subject.owner;
    let remembered = inventory::read(owner, &applied.inventory);
    let remembered_keys: Vec<ObjectKey> = remembered.iter().map(|(key, _)| key.clone()).collect();
    ctx.engine.ledger().recall(owner, remembered);
    let Some(plan) = applied.plan.as_ref().ok().filter(|_| !subject.is_paused()) else {
        return Ok(applied);
    };
    if subject.open_request().is_some() {
        ctx.engine.ledger().forget(&owner.key);
    }

    let mut stages = children::stages(owner, plan).map_err(|error| Error::Unavailable(error.to_string()))?;
    let wanted: Vec<ObjectKey> = stages.iter().flatten().map(|child| child.key.clone()).collect();
    let kept = plan.keep.map(|kind| gather::workload_key(owner, kind));
    let stays = |key: &ObjectKey| wanted.contains(key) || kept.as_ref() == Some(key);

    // An autoscaler that is no longer wanted goes before the workload gets its fixed number.
    let scalers = |key: &ObjectKey| stays(key) || key.kind != kinds::AUTOSCALER;
    applied.pruned = ctx.engine.prune(owner, &remembered_keys, scalers).await?;
    let outcome = match &plan.replace {
        Some(how) => {
            stages.truncate(1);
            let mut outcome = ctx.engine.apply(owner, &stages).await;
            match replace(ctx, subject, plan, how).await {
                Ok(is_news) => {
                    applied.replaced = is_news.then(|| how.clone());
                    let key = gather::workload_key(owner, WorkloadKind::StatefulSet);
                    outcome.failed.push(Error::Terminating { key });
                }
                Err(error) => outcome.failed.push(error),
            }
            outcome
        }
        None => ctx.engine.apply(owner, &stages).await,
    };
    if outcome.failed.is_empty() {
        applied.pruned.extend(ctx.engine.prune(owner, &remembered_keys, stays).await?);
    }
    let children =
        wanted.iter().cloned().chain(remembered_keys.iter().filter(|key| !wanted.contains(key)).cloned());
    applied.inventory = inventory::write(&ctx.engine, children);
    applied.outcome = outcome;
    Ok(applied)
}

/// Grows the claims, if that is what it takes, and deletes the `StatefulSet`, pods and volumes
/// untouched, so that a later pass can make it anew: its deletion wakes the pattern. Returns whether
/// it was deleted just now.
async fn replace(ctx: &Context, subject: &Subject, plan: &Plan, how: &Replace) -> Result<bool, Error> {
    let key = gather::workload_key(&subject.owner, WorkloadKind::StatefulSet);
    if let (Replace::Grow(size), Workload::StatefulSet(set)) = (how, &plan.children.workload) {
        let templates = set.spec.as_ref().and_then(|spec| spec.volume_claim_templates.as_deref());
        let volume = templates.into_iter().flatten().find_map(|claim| claim.metadata.name.as_deref());
        let selector = format!("{}={}", labels::PATTERN_INSTANCE, plan.pattern.name);
        let is_smaller = |current: &str| quantity::compare(current, size).is_some_and(Ordering::is_lt);
        ctx.engine.grow_claims(&key, volume.unwrap_or_default(), &selector, size, is_smaller).await?;
    }
    ctx.engine.orphan(&key).await
}

impl Applied {
    /// The worst thing that happened, for when to look again.
    pub(crate) fn into_failure(self) -> Option<Error> {
        let rank = |error: &Error| match error.class() {
            Class::Retry => 0,
            Class::Stalled => 1,
            Class::Wait => 2,
        };
        self.outcome.failed.into_iter().min_by_key(rank)
    }

    /// Children that somebody else had changed.
    pub(crate) fn repaired(&self) -> impl Iterator<Item = &ObjectKey> {
        self.outcome.changed.iter().filter(|(_, change)| *change == Change::Repaired).map(|(key, _)| key)
    }
}
