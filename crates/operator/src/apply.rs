//! From a plan to the cluster. A report can only be made of what went through here.

use std::cmp::Ordering;

use prism_api::inventory::InventoryEntry;
use prism_engine::{
    Change, Class, Error, Outcome, Pruned,
    object::{ObjectKey, Owner},
};
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

/// A plan, and what became of it.
pub(crate) struct Applied<P> {
    pub(crate) plan: Result<P, Invalid>,
    pub(crate) pass: Pass,
}

/// What a pass did, and what it failed to do.
#[derive(Default)]
pub(crate) struct Pass {
    pub(crate) outcome: Outcome,
    pub(crate) pruned: Vec<ObjectKey>,
    /// Workloads that were deleted in this pass, to be made anew in a later one.
    pub(crate) replaced: Vec<Replace>,
    pub(crate) inventory: Vec<InventoryEntry>,
}

/// Applies `plan`, unless it is none, or the object is paused or held: then what runs is left alone. Never
/// fails: what does is part of the pass, so that the report tells it.
pub(crate) async fn apply<K: Managed>(
    ctx: &Context,
    subject: &Subject<K>,
    plan: Result<K::Plan, Invalid>,
) -> Applied<K::Plan> {
    let inventory = subject.object.status().map(|status| status.inventory().to_vec()).unwrap_or_default();
    let remembered = inventory::read(&subject.owner, &inventory);
    let keys: Vec<ObjectKey> = remembered.iter().map(|(key, _)| key.clone()).collect();
    ctx.engine.ledger().recall(&subject.owner, remembered);
    let is_due = |plan: &&K::Plan| !subject.is_paused(ctx) && K::hold(plan).is_none();
    let pass = match plan.as_ref().ok().filter(is_due) {
        Some(plan) => match prepare(ctx, subject, plan).await {
            Ok(steps) => carry_out(ctx, &subject.owner, steps, &keys).await,
            Err(error) => {
                let outcome = Outcome { failed: vec![error], ..Outcome::default() };
                Pass { outcome, inventory, ..Pass::default() }
            }
        },
        None => Pass { inventory, ..Pass::default() },
    };
    Applied { plan, pass }
}

/// What has to succeed before anything is written.
async fn prepare<K: Managed>(ctx: &Context, subject: &Subject<K>, plan: &K::Plan) -> Result<Steps, Error> {
    let owner = &subject.owner;
    if subject.open_request().is_some() {
        ctx.engine.ledger().forget(&owner.key);
    }
    if K::HAS_FINALIZER {
        ctx.engine.hold(owner, subject.object.meta()).await?;
    }
    K::steps(plan, owner, ctx).map_err(|error| Error::Unavailable(error.to_string()))
}

async fn carry_out(ctx: &Context, owner: &Owner, mut steps: Steps, remembered: &[ObjectKey]) -> Pass {
    let mut pass = Pass::default();
    let wanted = steps.wanted();
    let kept = std::mem::take(&mut steps.keep);
    steps.hold();
    let scaled = std::mem::take(&mut steps.keeps_scalers);
    let stays = |key: &ObjectKey| {
        wanted.contains(key)
            || kept.contains(key)
            || is_scaler_of(&scaled, key)
            || ownership::is_out_of_reach(ctx, owner, key)
            || ctx.optional.is_hidden(key.kind)
    };

    // An autoscaler that is no longer wanted goes before the workload gets its fixed number.
    let scalers = |key: &ObjectKey| stays(key) || !kinds::SCALERS.contains(&key.kind);
    let undeleted = pass.note(ctx.engine.prune(owner, remembered, scalers).await);
    for scaler in &undeleted {
        steps.hold_back_scaled_by(scaler);
    }
    let mut held_up = replace_all(ctx, &mut steps, &mut pass.replaced).await;
    for growth in std::mem::take(&mut steps.grows) {
        match grow(ctx, &growth).await {
            Ok(is_news) => pass.replaced.extend(is_news.then_some(Replace::Grow(growth.size))),
            Err(error) => held_up.push(error),
        }
    }
    let outcome = ctx.engine.apply(owner, &steps.lines).await;
    pass.outcome.changed = outcome.changed;
    pass.outcome.failed.extend(outcome.failed);
    for (workload, replicas) in &steps.wakes {
        pass.outcome.failed.extend(ctx.engine.scale(workload, *replicas).await.err());
    }
    pass.outcome.failed.extend(held_up);
    // Whoever names a workload that is new has to know whose it is.
    let workloads = [kinds::DEPLOYMENT, kinds::STATEFUL_SET];
    for (key, _) in pass.outcome.changed.iter().filter(|(key, _)| workloads.contains(&key.kind)) {
        seen::enqueue_autoscalers(ctx, key);
    }
    let is_left = |key: &ObjectKey| stays(key) || undeleted.contains(key) || !may_prune(&pass.outcome, key);
    let pruned = ctx.engine.prune(owner, remembered, is_left).await;
    pass.note(pruned);
    let children =
        wanted.iter().cloned().chain(remembered.iter().filter(|key| !wanted.contains(key)).cloned());
    pass.inventory = inventory::write(&ctx.engine, &owner.key.namespace, children);
    pass
}

impl Pass {
    /// Takes in what was pruned; returns what could not be.
    fn note(&mut self, pruned: Pruned) -> Vec<ObjectKey> {
        self.pruned.extend(pruned.deleted);
        let (keys, errors): (Vec<_>, Vec<_>) = pruned.failed.into_iter().unzip();
        self.outcome.failed.extend(errors);
        keys
    }
}

/// What is no longer wanted goes when all that is wanted is there. A custom resource is independent of
/// its neighbours, and they of it: only the cluster, or a failure of the one that takes its place in
/// another namespace, holds it up.
fn may_prune(outcome: &Outcome, key: &ObjectKey) -> bool {
    let is_independent = |key: &ObjectKey| kinds::OWNERS.contains(&key.kind);
    let blocks = |error: &Error| match error.key() {
        _ if error.class() == Class::Retry => true,
        _ if matches!(error, Error::FieldConflict { .. }) => false,
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
        self.pass.outcome.failed.into_iter().min_by_key(rank)
    }

    /// Children that somebody else had changed.
    pub(crate) fn repaired(&self) -> impl Iterator<Item = &ObjectKey> {
        self.pass.outcome.changed.iter().filter(|(_, change)| *change == Change::Repaired).map(|(key, _)| key)
    }
}
