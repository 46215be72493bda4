//! From a plan to the cluster. A report can only be made of what went through here.

use std::cmp::Ordering;

use prism_api::inventory::InventoryEntry;
use prism_engine::{Change, Class, Error, Outcome, object::ObjectKey};
use prism_plan::{
    invalid::Invalid,
    program::{Replace, VOLUME},
    quantity,
};

use crate::{
    context::Context,
    inventory, kinds,
    managed::{Managed, Status, Subject},
    ownership,
    scaling::seen,
    steps::{Growth, Replacement, Steps, is_scaler_of},
};

/// What became of a plan.
pub(crate) struct Applied<P> {
    pub(crate) plan: Result<P, Invalid>,
    pub(crate) outcome: Outcome,
    pub(crate) pruned: Vec<ObjectKey>,
    /// Workloads that were deleted in this pass, to be made anew in a later one.
    pub(crate) replaced: Vec<Replace>,
    pub(crate) inventory: Vec<InventoryEntry>,
}

/// Applies `plan`, unless it is none, or the object is paused or held: then what runs is left alone.
pub(crate) async fn apply<K: Managed>(
    ctx: &Context,
    subject: &Subject<K>,
    plan: Result<K::Plan, Invalid>,
) -> Result<Applied<K::Plan>, Error> {
    let before = subject.object.status().map(|status| status.inventory().to_vec()).unwrap_or_default();
    let mut applied = Applied {
        plan,
        outcome: Outcome::default(),
        pruned: Vec::new(),
        replaced: Vec::new(),
        inventory: before,
    };
    let owner = &subject.owner;
    let remembered = inventory::read(owner, &applied.inventory);
    let remembered_keys: Vec<ObjectKey> = remembered.iter().map(|(key, _)| key.clone()).collect();
    ctx.engine.ledger().recall(owner, remembered);
    let is_due = |plan: &&K::Plan| !subject.is_paused(ctx) && K::hold(plan).is_none();
    let Some(plan) = applied.plan.as_ref().ok().filter(is_due) else {
        return Ok(applied);
    };
    if subject.open_request().is_some() {
        ctx.engine.ledger().forget(&owner.key);
    }
    if K::HAS_FINALIZER {
        ctx.engine.hold(owner, subject.object.meta()).await?;
    }

    let mut steps = K::steps(plan, owner, ctx).map_err(|error| Error::Unavailable(error.to_string()))?;
    let wanted = steps.wanted();
    let kept = std::mem::take(&mut steps.keep);
    steps.hold();
    let scaled = std::mem::take(&mut steps.keeps_scalers);
    let stays = |key: &ObjectKey| {
        wanted.contains(key)
            || kept.contains(key)
            || is_scaler_of(&scaled, key)
            || ownership::is_out_of_reach(ctx, owner, key)
    };

    // An autoscaler that is no longer wanted goes before the workload gets its fixed number.
    let scalers = |key: &ObjectKey| stays(key) || !kinds::SCALERS.contains(&key.kind);
    applied.pruned = ctx.engine.prune(owner, &remembered_keys, scalers).await?;
    let mut held_up = replace_all(ctx, &mut steps, &mut applied.replaced).await;
    for growth in std::mem::take(&mut steps.grows) {
        match grow(ctx, &growth).await {
            Ok(is_news) => applied.replaced.extend(is_news.then(|| Replace::Grow(growth.size))),
            Err(error) => held_up.push(error),
        }
    }
    let mut outcome = ctx.engine.apply(owner, &steps.lines).await;
    for (workload, replicas) in &steps.wakes {
        outcome.failed.extend(ctx.engine.scale(workload, *replicas).await.err());
    }
    outcome.failed.extend(held_up);
    // Whoever names a workload that is new has to know whose it is.
    let workloads = [kinds::DEPLOYMENT, kinds::STATEFUL_SET];
    for (key, _) in outcome.changed.iter().filter(|(key, _)| workloads.contains(&key.kind)) {
        seen::enqueue_autoscalers(ctx, key);
    }
    let prunable = |key: &ObjectKey| stays(key) || !may_prune(&outcome, key);
    applied.pruned.extend(ctx.engine.prune(owner, &remembered_keys, prunable).await?);
    let children =
        wanted.iter().cloned().chain(remembered_keys.iter().filter(|key| !wanted.contains(key)).cloned());
    applied.inventory = inventory::write(&ctx.engine, &owner.key.namespace, children);
    applied.outcome = outcome;
    Ok(applied)
}

/// What is no longer wanted goes when all that is wanted is there. A custom resource is independent of
/// its neighbours, and they of it: only the cluster, or a failure of the one that takes its place in
/// another namespace, holds it up.
fn may_prune(outcome: &Outcome, key: &ObjectKey) -> bool {
    let is_independent = |key: &ObjectKey| kinds::OWNERS.contains(&key.kind);
    let blocks = |error: &Error| match error.key() {
        _ if error.class() == Class::Retry => true,
        Some(failed) if failed.kind == key.kind && failed.name == key.name => true,
        Some(failed) => !is_independent(key) && !is_independent(failed),
        None => !is_independent(key),
    };
    !outcome.failed.iter().any(blocks)
}

/// Makes way for `StatefulSet`s that have to be made anew; what comes after them waits.
async fn replace_all(ctx: &Context, steps: &mut Steps, replaced: &mut Vec<Replace>) -> Vec<Error> {
    let mut held_up = Vec::new();
    for replacement in std::mem::take(&mut steps.replacements) {
        steps.hold_back(&replacement.workload);
        held_up.push(match replace(ctx, &replacement).await {
            Ok(is_news) => {
                replaced.extend(is_news.then(|| replacement.how.clone()));
                Error::Terminating { key: replacement.workload }
            }
            Err(error) => error,
        });
    }
    held_up
}

/// Grows the claims, if that is what it takes, and deletes the `StatefulSet`, pods and volumes
/// untouched, so that a later pass can make it anew: its deletion wakes its owner. Returns whether
/// it was deleted just now.
async fn replace(
    ctx: &Context,
    Replacement { workload, how, selector }: &Replacement,
) -> Result<bool, Error> {
    if let Replace::Grow(size) = how {
        let growth = Growth { workload: workload.clone(), size: size.clone(), selector: selector.clone() };
        grow(ctx, &growth).await?;
    }
    ctx.engine.orphan(workload).await
}

/// Grows the claims that are smaller. Returns whether there was any.
async fn grow(ctx: &Context, Growth { workload, size, selector }: &Growth) -> Result<bool, Error> {
    let is_smaller = |current: &str| quantity::compare(current, size).is_some_and(Ordering::is_lt);
    ctx.engine.grow_claims(workload, VOLUME, selector, size, is_smaller).await
}

impl<P> Applied<P> {
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
