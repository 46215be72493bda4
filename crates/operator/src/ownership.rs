//! Who made what among the custom resources.
//!
//! What an object says about its owner, by reference, mark or label, is a claim: good enough to know
//! whom an event may concern ([`claimed_parent`]), and for nothing else. Whatever is read, counted or
//! deleted on behalf of a stack is checked against the stack itself ([`stack_of`]).

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::{DeserializeGuard, ObjectMeta};
use prism_api::{labels, stack::PrismStack};
use prism_engine::{
    ledger::Observed,
    object::{Kind, ObjectKey, Owner},
};
use prism_plan::{
    backend::secret_name,
    stack::{Candidate, owns, reaches},
};

use crate::{context::Context, kinds};

/// The reference to what controls the object with `metadata`, as that one says.
pub(crate) fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|reference| reference.controller == Some(true))
}

/// The object that made the one with `metadata`, as that one says: by owner reference, or by mark.
pub(crate) fn claimed_parent(metadata: &ObjectMeta) -> Option<ObjectKey> {
    claimed_owner(metadata).map(|owner| owner.key)
}

fn claimed_owner(metadata: &ObjectMeta) -> Option<Owner> {
    let home = metadata.namespace.as_deref().unwrap_or_default();
    let referred = controller(metadata).and_then(|reference| {
        let is_kind =
            |kind: &Kind| kind.name == reference.kind && kind.api_version() == reference.api_version;
        let kind = kinds::OWNERS.into_iter().find(is_kind)?;
        Some(Owner { key: ObjectKey::new(kind, home, &reference.name), uid: reference.uid.as_str().into() })
    });
    let mark = metadata.annotations.as_ref().and_then(|all| all.get(labels::OWNED_BY));
    referred.or_else(|| Owner::from_mark(mark?, &kinds::OWNERS))
}

/// The stack that has made the object of `kind` with `metadata`: the object names it, and the stack, in
/// that very incarnation, has it in its inventory, or places an object of that name there.
pub(crate) fn stack_of(
    ctx: &Context,
    kind: Kind,
    metadata: &ObjectMeta,
) -> Option<Arc<DeserializeGuard<PrismStack>>> {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let claimed = claimed_owner(metadata).filter(|owner| owner.key.kind == kinds::PRISM_STACK);
    // Without its reference, which somebody may have removed, an object at home is still one of its stack.
    let labelled = || metadata.labels.as_ref()?.get(labels::STACK).map(|name| (namespace, name.as_str()));
    let guarded = match &claimed {
        Some(owner) => ctx.stacks.get(&owner.key.namespace, &owner.key.name),
        None => labelled().and_then(|(namespace, name)| ctx.stacks.get(namespace, name)),
    }?;
    let stack = guarded.0.as_ref().ok()?;
    let is_this = claimed.is_none_or(|owner| stack.metadata.uid.as_deref() == Some(&*owner.uid));
    let candidate = Candidate {
        kind: kind.name,
        namespace,
        name: metadata.name.as_deref().unwrap_or_default(),
        uid: metadata.uid.as_deref().unwrap_or_default(),
    };
    (is_this && owns(stack, candidate)).then(|| guarded.clone())
}

/// Whether the child `key` of `stack`, as the ledger reads it, is one that the stack has made.
pub(crate) fn is_of(stack: &PrismStack, key: &ObjectKey, seen: &Observed) -> bool {
    let candidate =
        Candidate { kind: key.kind.name, namespace: &key.namespace, name: &key.name, uid: &seen.uid };
    owns(stack, candidate)
}

/// Whether the child `key` says that `owner` has made it in a way, or in a namespace, in which `owner` makes
/// nothing: then it is left alone. At home an owner refers to its children, and marks none but the Secret that
/// outlives a backend.
pub(crate) fn is_out_of_reach(ctx: &Context, owner: &Owner, key: &ObjectKey) -> bool {
    if key.namespace == owner.key.namespace {
        let outlives = owner.key.kind == kinds::PRISM_BACKEND
            && key.kind == kinds::SECRET
            && *key.name == *secret_name(&owner.key.name);
        return !outlives && ctx.engine.ledger().get(key).is_some_and(|seen| seen.is_marked);
    }
    let stack = Some(owner).filter(|owner| owner.key.kind == kinds::PRISM_STACK);
    let stack = stack.and_then(|owner| ctx.stacks.get(&owner.key.namespace, &owner.key.name));
    !stack.is_some_and(|stack| stack.0.as_ref().is_ok_and(|stack| reaches(stack, &key.namespace)))
}

/// Whether a stack, and with it what it has made, is to be left alone.
pub(crate) fn is_paused(stack: &PrismStack) -> bool {
    let annotation = stack.metadata.annotations.as_ref().and_then(|all| all.get(labels::PAUSED));
    stack.spec.paused == Some(true) || annotation.is_some_and(|value| value == "true")
}

/// Whether the stack that has made the object asks to leave it alone.
pub(crate) fn is_paused_by_stack(ctx: &Context, kind: Kind, metadata: &ObjectMeta) -> bool {
    stack_of(ctx, kind, metadata).is_some_and(|stack| stack.0.as_ref().is_ok_and(is_paused))
}

/// Namespace of the stack that has placed the object in the namespace of another.
pub(crate) fn home_of(ctx: &Context, kind: Kind, metadata: &ObjectMeta) -> Option<String> {
    let home = stack_of(ctx, kind, metadata)?.0.as_ref().ok()?.metadata.namespace.clone();
    home.filter(|home| Some(home) != metadata.namespace.as_ref())
}
