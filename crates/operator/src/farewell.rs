//! How a stack goes: in the opposite order of its making, in all namespaces, and in bounded time.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use prism_api::{backend::DeletionPolicy, condition::event, labels, stack::PrismStack};
use prism_engine::{
    Error,
    object::{ObjectKey, Owner},
    queue::Lane,
    worker::Action,
};

use crate::{context::Context, inventory, kinds, managed::Subject, ownership};

/// How long the order is kept. After that all that is left is deleted at once, and the stack with it.
const PATIENCE: Duration = Duration::from_mins(1);

/// The finalizer by which Kubernetes sets the children of what is deleted free, before it goes.
const ORPHAN: &str = "orphan";

/// Deletes what comes next, or lets the stack go.
pub(crate) async fn stack(ctx: &Context, subject: &Subject<PrismStack>) -> Result<Action, Error> {
    let Subject { object: stack, owner, .. } = subject;
    let finalizer = ctx.engine.ledger().finalizer();
    if !stack.metadata.finalizers.iter().flatten().any(|known| known == finalizer) {
        return Ok(Action::Await);
    }
    if is_set_free(ctx, stack, owner).await? {
        ctx.engine.let_go(owner, &stack.metadata).await?;
        return Ok(Action::Await);
    }
    let children = ctx.engine.ledger().children(owner).into_iter().map(|(key, _)| key);
    let children: Vec<ObjectKey> =
        children.filter(|key| !ownership::is_out_of_reach(ctx, owner, key)).collect();
    let next = children.iter().map(turn).min();
    let left = time_left(stack);
    let due = children.iter().filter(|key| left.is_none() || Some(turn(key)) == next);
    for key in due {
        ctx.engine.dismiss(owner, key).await?;
    }
    if let Some(left) = left.filter(|_| !children.is_empty()) {
        return Ok(Action::After(left, Lane::Child));
    }
    tell_what_stays(ctx, stack, owner).await;
    ctx.engine.let_go(owner, &stack.metadata).await?;
    Ok(Action::Await)
}

/// Whether the stack was deleted with `--cascade=orphan`, so that all its children stay. When the garbage collector
/// has been faster than this look, every child at home has lost its reference: one alone proves nothing, as somebody
/// may have taken that away by hand.
async fn is_set_free(ctx: &Context, stack: &PrismStack, owner: &Owner) -> Result<bool, Error> {
    if stack.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == ORPHAN) {
        return Ok(true);
    }
    let made = stack.status.as_ref().map(|status| status.inventory.as_slice()).unwrap_or_default();
    let mut is_any_free = false;
    for (key, applied) in inventory::read(owner, made) {
        if key.namespace == owner.key.namespace {
            match ctx.engine.belongs_to(owner, &key, &applied.uid).await? {
                Some(true) => return Ok(false),
                Some(false) => is_any_free = true,
                None => {}
            }
        }
    }
    Ok(is_any_free)
}

/// Patterns go first, then what leads to them, then the admin, then the backends.
fn turn(key: &ObjectKey) -> u8 {
    if key.kind == kinds::PRISM_PATTERN {
        0
    } else if [kinds::INGRESS, kinds::GRPC_ROUTE, kinds::DEPLOYMENT, kinds::AUTOSCALER].contains(&key.kind) {
        1
    } else if key.kind == kinds::PRISM_BACKEND {
        3
    } else {
        2
    }
}

/// What is left of [`PATIENCE`].
fn time_left(stack: &PrismStack) -> Option<Duration> {
    let since = stack.metadata.deletion_timestamp.as_ref()?.0;
    let gone = Duration::try_from(Timestamp::now().duration_since(since)).unwrap_or_default();
    PATIENCE.checked_sub(gone).filter(|left| !left.is_zero())
}

/// Volumes outlive their stack unless somebody has asked for the opposite.
async fn tell_what_stays(ctx: &Context, stack: &PrismStack, owner: &Owner) {
    let has_admin = stack.spec.admin.as_ref().is_some_and(|admin| admin.component.is_enabled());
    let keeps_data = stack.spec.backends.iter().any(|backend| {
        let provision = backend.spec.provision.as_ref();
        provision.is_some_and(|provision| provision.is_enabled() && provision.storage.is_some())
    });
    let has_mail = stack.spec.patterns.iter().any(|pattern| pattern.spec.storage.is_some());
    if stack.spec.deletion_policy == Some(DeletionPolicy::Delete) || !(has_admin || keeps_data || has_mail) {
        return;
    }
    let note = format!(
        "the volumes of the stack stay, as spec.deletionPolicy is Retain: delete the PersistentVolumeClaims with the label {}={}, and of its patterns and backends, when they are no longer needed",
        labels::STACK,
        owner.key.name
    );
    ctx.engine.events.tell(owner, event::VOLUMES_RETAINED, &note).await;
}
