//! What the operator watches, and whom each event wakes.

use std::sync::Arc;

use kube::{Client, Resource, ResourceExt, core::DeserializeGuard};
use prism_api::{backend::PrismBackend, pattern::PrismPattern};
use prism_engine::{
    cache::Difference,
    health::Health,
    ledger::Ledger,
    object::{Kind, ObjectKey},
    queue::{Lane, Queue},
    watch::{self, Scope},
};
use prism_plan::pattern::candidates;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{context::Context, kinds};

/// Label that every child carries: others are not watched.
const CHILD_SELECTOR: &str = "app.kubernetes.io/managed-by=prism-operator";

/// Starts every watch. They end with `shutdown`.
pub(crate) fn start(
    client: &Client,
    scope: &Scope,
    ctx: &Arc<Context>,
    ledger: &Arc<Ledger>,
    health: &Health,
    shutdown: &CancellationToken,
) -> JoinSet<()> {
    let mut watches = JoinSet::new();
    for kind in kinds::CHILDREN {
        let (client, scope, pulse) = (client.clone(), scope.clone(), health.pulse(kind.plural));
        let (ledger, queue, shutdown) = (ledger.clone(), ctx.queue.clone(), shutdown.clone());
        watches.spawn(async move {
            let take = |event| {
                for owner in ledger.observe(kind, event) {
                    queue.add(owner, Lane::Child);
                }
            };
            watch::children(client, kind, CHILD_SELECTOR, &scope, pulse, shutdown, take).await;
        });
    }
    watches.spawn({
        let (client, scope, pulse) =
            (client.clone(), scope.clone(), health.pulse(kinds::PRISM_PATTERN.plural));
        let (ctx, shutdown) = (ctx.clone(), shutdown.clone());
        async move {
            let take = |event| {
                for difference in ctx.patterns.take(event) {
                    wake_pattern(&ctx, &difference);
                }
            };
            watch::objects(scope.api(client), &scope, pulse, shutdown, take).await;
        }
    });
    watches.spawn({
        let (client, scope, pulse) =
            (client.clone(), scope.clone(), health.pulse(kinds::PRISM_BACKEND.plural));
        let (ctx, shutdown) = (ctx.clone(), shutdown.clone());
        async move {
            let take = |event| {
                for difference in ctx.backends.take(event) {
                    wake_users(&ctx, &difference);
                }
            };
            watch::objects(scope.api(client), &scope, pulse, shutdown, take).await;
        }
    });
    watches
}

/// An edit jumps the queue; a status that somebody else has touched is put right in its turn.
fn wake_pattern(ctx: &Context, difference: &Difference<DeserializeGuard<PrismPattern>>) {
    let Some(object) = difference.after.as_ref().or(difference.before.as_ref()) else {
        return;
    };
    let key = key_of(kinds::PRISM_PATTERN, object.as_ref());
    let queue: &Queue = &ctx.queue;
    match (&difference.before, &difference.after) {
        (Some(before), Some(after)) if !is_edited(before.meta(), after.meta()) => {
            let version =
                after.resource_version().and_then(|version| version.parse().ok()).unwrap_or_default();
            if before.resource_version() != after.resource_version()
                && !ctx.engine.is_own_report(&key, version)
            {
                queue.add(key, Lane::Report);
            }
        }
        _ if difference.is_listed => queue.add(key, Lane::Resync),
        _ => queue.add(key, Lane::Edit),
    }
}

fn is_edited(before: &kube::core::ObjectMeta, after: &kube::core::ObjectMeta) -> bool {
    before.uid != after.uid
        || before.generation != after.generation
        || before.labels != after.labels
        || before.annotations != after.annotations
        || before.deletion_timestamp != after.deletion_timestamp
}

/// A backend that comes, changes or goes concerns the patterns that name it.
fn wake_users(ctx: &Context, difference: &Difference<DeserializeGuard<PrismBackend>>) {
    let Some(backend) = difference.after.as_ref().or(difference.before.as_ref()) else {
        return;
    };
    if let (Some(before), Some(after)) = (&difference.before, &difference.after)
        && before.meta().generation == after.meta().generation
    {
        return;
    }
    let (namespace, name) = (backend.namespace(), backend.name_any());
    let names_it = |pattern: &DeserializeGuard<PrismPattern>| {
        let spec = pattern.0.as_ref().map(|pattern| &pattern.spec);
        pattern.namespace() == namespace && spec.is_ok_and(|spec| candidates(spec).contains(&name))
    };
    for pattern in ctx.patterns.find(names_it) {
        ctx.queue.add(key_of(kinds::PRISM_PATTERN, pattern.as_ref()), Lane::Child);
    }
}

fn key_of(kind: Kind, object: &impl ResourceExt) -> ObjectKey {
    ObjectKey::new(kind, &object.namespace().unwrap_or_default(), &object.name_any())
}
