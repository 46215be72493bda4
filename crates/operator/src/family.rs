//! Who belongs to whom among the custom resources.

use std::sync::Arc;

use kube::core::ObjectMeta;
use prism_api::{labels, stack::PrismStack};
use prism_engine::object::{Kind, ObjectKey, Owner};

use crate::{context::Context, kinds};

/// The object that made the one with `metadata`, by owner reference or by mark.
pub(crate) fn parent(metadata: &ObjectMeta) -> Option<ObjectKey> {
    let references = metadata.owner_references.iter().flatten();
    let controller = references.into_iter().find(|reference| reference.controller == Some(true));
    let home = metadata.namespace.as_deref().unwrap_or_default();
    let referred = controller.and_then(|reference| {
        let is_kind =
            |kind: &Kind| kind.name == reference.kind && kind.api_version() == reference.api_version;
        let kind = kinds::OWNERS.into_iter().find(is_kind)?;
        Some(ObjectKey::new(kind, home, &reference.name))
    });
    let mark = metadata.annotations.as_ref().and_then(|all| all.get(labels::OWNED_BY));
    referred.or_else(|| Some(Owner::from_mark(mark?, &kinds::OWNERS)?.key))
}

/// The stack that made the object with `metadata`.
pub(crate) fn stack_of(ctx: &Context, metadata: &ObjectMeta) -> Option<Arc<PrismStack>> {
    let key = parent(metadata).filter(|key| key.kind == kinds::PRISM_STACK)?;
    let guarded = ctx.stacks.get(&key.namespace, &key.name)?;
    guarded.0.as_ref().ok().cloned().map(Arc::new)
}

/// Whether a stack, and with it what it has made, is to be left alone.
pub(crate) fn is_paused(stack: &PrismStack) -> bool {
    let annotation = stack.metadata.annotations.as_ref().and_then(|all| all.get(labels::PAUSED));
    stack.spec.paused == Some(true) || annotation.is_some_and(|value| value == "true")
}

/// Namespace and name of the stack that the object with `metadata` belongs to: the one that made it,
/// or the one that its label names.
pub(crate) fn stack_key(metadata: &ObjectMeta) -> Option<(String, String)> {
    let made_by = parent(metadata).filter(|key| key.kind == kinds::PRISM_STACK);
    let made_by = made_by.map(|key| (key.namespace.to_string(), key.name.to_string()));
    made_by.or_else(|| {
        let name = metadata.labels.as_ref()?.get(labels::STACK)?.clone();
        Some((metadata.namespace.clone().unwrap_or_default(), name))
    })
}
