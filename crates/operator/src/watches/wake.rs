//! Whom an event concerns.

use std::sync::Arc;

use k8s_openapi::api::{
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Namespace, Service},
};
use kube::{
    Resource, ResourceExt,
    core::{DeserializeGuard, ObjectMeta},
};
use prism_api::{
    autoscaler::PrismAutoscaler,
    autoscaling::Autoscaling,
    backend::PrismBackend,
    condition::{self, reason},
    connection::ServiceRef,
    labels,
    pattern::PrismPattern,
    stack::PrismStack,
};
use prism_engine::{
    cache::{Cache, Difference},
    live::Live,
    object::{Kind, ObjectKey},
    queue::Lane,
};
use prism_plan::conditions::find;

use crate::{
    context::Context,
    gather, kinds,
    managed::{Managed, Status},
    ownership,
    scaling::seen::{self, ScaledObjectView},
    steps::key_of,
};

/// An edit jumps the queue; a status that somebody else has touched is put right in its turn.
pub(super) fn itself<K: Managed>(ctx: &Context, difference: &Difference<DeserializeGuard<K>>) {
    let Some(key) = key::<K>(difference) else { return };
    match (&difference.before, &difference.after) {
        (Some(before), Some(after)) if !is_edited(before.meta(), after.meta()) => {
            let version =
                after.resource_version().and_then(|version| version.parse().ok()).unwrap_or_default();
            if before.resource_version() != after.resource_version()
                && !ctx.engine.is_own_report(&key, version)
            {
                ctx.queue.add(key, Lane::Report);
            }
        }
        _ if difference.is_listed => ctx.queue.add(key, Lane::Resync),
        _ => ctx.queue.add(key, Lane::Edit),
    }
}

fn is_edited(before: &kube::core::ObjectMeta, after: &kube::core::ObjectMeta) -> bool {
    before.uid != after.uid
        || before.generation != after.generation
        || before.labels != after.labels
        || before.annotations != after.annotations
        || before.deletion_timestamp != after.deletion_timestamp
}

/// A new status concerns the object that made this one, and mirrors it.
pub(super) fn parent<K: Managed>(ctx: &Context, difference: &Difference<DeserializeGuard<K>>) {
    let (Some(before), Some(after)) = (&difference.before, &difference.after) else { return };
    let status =
        |object: &DeserializeGuard<K>| object.0.as_ref().ok().and_then(|object| object.status().cloned());
    if status(before) != status(after)
        && let Some(parent) = ownership::claimed_parent(after.meta())
    {
        ctx.queue.add(parent, Lane::Child);
    }
}

/// A plan that has been announced is carried out by the next look, which needs to see the announcement.
/// A stack that is paused, or no longer is, concerns what it has made.
pub(super) fn by_stack(ctx: &Arc<Context>, difference: &Difference<DeserializeGuard<PrismStack>>) {
    let plan = |stack: &Option<Arc<DeserializeGuard<PrismStack>>>| {
        stack.as_ref()?.0.as_ref().ok()?.status.as_ref()?.plan_hash.clone()
    };
    if plan(&difference.before) != plan(&difference.after)
        && let Some(key) = key::<PrismStack>(difference)
    {
        ctx.queue.add(key, Lane::Child);
    }
    made_by(ctx, difference);
}

fn made_by(ctx: &Arc<Context>, difference: &Difference<DeserializeGuard<PrismStack>>) {
    let is_paused = |stack: &Option<Arc<DeserializeGuard<PrismStack>>>| {
        stack.as_ref().and_then(|stack| stack.0.as_ref().ok()).is_some_and(ownership::is_paused)
    };
    let Some(key) = key::<PrismStack>(difference) else { return };
    if is_paused(&difference.before) == is_paused(&difference.after) {
        return;
    }
    let is_made = |metadata: &ObjectMeta| ownership::claimed_parent(metadata).as_ref() == Some(&key);
    ctx.enqueue(&ctx.patterns, Lane::Edit, |pattern| is_made(pattern.meta()));
    ctx.enqueue(&ctx.backends, Lane::Edit, |backend| is_made(backend.meta()));
}

/// A backend that comes, changes or goes concerns the patterns that may mean it.
pub(super) fn users_of(ctx: &Arc<Context>, difference: &Difference<DeserializeGuard<PrismBackend>>) {
    if let (Some(before), Some(after)) = (&difference.before, &difference.after)
        && before.meta().generation == after.meta().generation
    {
        return;
    }
    if let Some(backend) = key::<PrismBackend>(difference) {
        users(ctx, &backend);
    }
}

fn users(ctx: &Context, backend: &ObjectKey) {
    ctx.enqueue(&ctx.patterns, Lane::Child, |pattern| {
        let Ok(readable) = &pattern.0 else { return false };
        let stack = ownership::stack_of(ctx, kinds::PRISM_PATTERN, pattern.meta());
        let stack = stack.as_ref().and_then(|stack| stack.0.as_ref().ok());
        gather::backend_keys(readable, stack).iter().any(|(_, keys)| keys.contains(backend))
    });
}

/// The Service of a backend concerns the backends that refer to it, and their patterns.
pub(super) fn backends_behind(ctx: &Arc<Context>, difference: &Difference<Service>) {
    let Some(service) = difference.after.as_ref().or(difference.before.as_ref()) else { return };
    let (namespace, name) = (service.namespace(), service.name_any());
    let refers = |home: Option<String>, reference: &ServiceRef| {
        reference.name == name && reference.namespace.clone().or(home) == namespace
    };
    backends(ctx, refers);
}

/// Consent of a namespace may concern any stack, what stacks have placed there, and the backends that refer
/// to a Service in it.
pub(super) fn all_whom_consent_concerns(ctx: &Arc<Context>, difference: &Difference<Namespace>) {
    let Some(namespace) = difference.after.as_ref().or(difference.before.as_ref()) else { return };
    let name = namespace.name_any();
    let refers = |_, reference: &ServiceRef| reference.namespace.as_ref() == Some(&name);
    backends(ctx, refers);
    // What says that a stack of another namespace has placed it there.
    let is_placed = |metadata: &ObjectMeta| {
        metadata.namespace.as_ref() == Some(&name)
            && ownership::claimed_parent(metadata).is_some_and(|parent| *parent.namespace != *name)
    };
    ctx.enqueue(&ctx.patterns, Lane::Child, |pattern| is_placed(pattern.meta()));
    ctx.enqueue(&ctx.backends, Lane::Child, |backend| is_placed(backend.meta()));
    all_stacks(ctx);
}

/// Wakes the backends of which `refers` is true, told their namespace and their reference to a Service,
/// and the patterns that may mean them.
fn backends(ctx: &Context, refers: impl Fn(Option<String>, &ServiceRef) -> bool) {
    let found = ctx.backends.find(|backend| {
        let reference = backend.0.as_ref().ok().and_then(|backend| backend.spec.service_ref.as_ref());
        reference.is_some_and(|reference| refers(backend.namespace(), reference))
    });
    for backend in found {
        let key = key_of(kinds::PRISM_BACKEND, backend.as_ref());
        users(ctx, &key);
        ctx.queue.add(key, Lane::Child);
    }
}

/// An optional API may concern any stack.
pub(super) fn all_stacks(ctx: &Arc<Context>) {
    ctx.enqueue(&ctx.stacks, Lane::Child, |_| true);
}

/// An optional API may concern any stack; those of KEDA, whoever scales by it.
pub(super) fn all_who_may_use(ctx: &Arc<Context>, kind: Kind) {
    all_stacks(ctx);
    if [kinds::SCALED_OBJECT, kinds::TRIGGER_AUTHENTICATION].contains(&kind) {
        let scales = |block: Option<&Autoscaling>| block.is_some_and(Autoscaling::is_enabled);
        ctx.enqueue(&ctx.patterns, Lane::Child, |pattern| {
            pattern.0.as_ref().is_ok_and(|pattern| scales(pattern.spec.autoscaling.as_ref()))
        });
        ctx.enqueue(&ctx.prism_autoscalers, Lane::Child, |_| true);
    }
}

/// What an autoscaler decides, or that it comes or goes, concerns its workload's owner.
pub(super) fn scaled_by_autoscaler(ctx: &Arc<Context>, difference: &Difference<HorizontalPodAutoscaler>) {
    let Difference { before, after, .. } = difference;
    if before.as_deref().map(seen::essence_of_autoscaler) == after.as_deref().map(seen::essence_of_autoscaler)
    {
        return;
    }
    for autoscaler in [before, after].into_iter().flatten() {
        scaled(ctx, autoscaler.namespace(), seen::target_of_autoscaler(autoscaler));
    }
}

/// The same for what KEDA says.
pub(super) fn scaled_by_keda(ctx: &Arc<Context>, difference: &Difference<ScaledObjectView>) {
    let Difference { before, after, .. } = difference;
    if before.as_deref().map(seen::essence_of_scaled_object)
        == after.as_deref().map(seen::essence_of_scaled_object)
    {
        return;
    }
    for view in [before, after].into_iter().flatten() {
        scaled(ctx, view.namespace(), seen::target_of_scaled_object(view));
    }
}

/// Wakes whoever made the workload, and whatever `PrismAutoscaler` names it.
fn scaled(ctx: &Context, namespace: Option<String>, (kind, name): (String, String)) {
    let kinds = [kinds::DEPLOYMENT, kinds::STATEFUL_SET];
    let Some(kind) = kinds.into_iter().find(|known| known.name == kind) else { return };
    let workload = ObjectKey::new(kind, &namespace.unwrap_or_default(), &name);
    if let Some(owner) = ctx.engine.ledger().get(&workload).and_then(|seen| seen.owner) {
        ctx.queue.add(owner.key, Lane::Child);
    }
    seen::enqueue_autoscalers(ctx, &workload);
}

/// A `PrismAutoscaler` that comes, changes or goes concerns whoever made its workload, and those that
/// name the same.
pub(super) fn by_autoscaler(ctx: &Arc<Context>, difference: &Difference<DeserializeGuard<PrismAutoscaler>>) {
    let is_news = match (&difference.before, &difference.after) {
        (Some(before), Some(after)) => is_edited(before.meta(), after.meta()),
        _ => true,
    };
    for guarded in [&difference.before, &difference.after].into_iter().flatten().filter(|_| is_news) {
        let Ok(autoscaler) = &guarded.0 else { continue };
        if let Some(workload) = seen::target(ctx, autoscaler) {
            let target = (workload.kind.name.to_owned(), workload.name.to_string());
            scaled(ctx, Some(workload.namespace.to_string()), target);
        }
    }
}

/// A pattern concerns the autoscalers that scale it: by its workload, and by whether it scales itself.
pub(super) fn autoscalers_of(ctx: &Arc<Context>, difference: &Difference<DeserializeGuard<PrismPattern>>) {
    let essence = |pattern: &Option<Arc<DeserializeGuard<PrismPattern>>>| {
        let pattern = pattern.as_ref()?.0.as_ref().ok()?;
        let kind = pattern.status.as_ref().and_then(|status| status.kind);
        Some((pattern.metadata.uid.clone(), pattern.spec.autoscaling.clone(), kind))
    };
    if essence(&difference.before) == essence(&difference.after) {
        return;
    }
    let Some(pattern) = difference.after.as_ref().or(difference.before.as_ref()) else { return };
    let (namespace, name) = (pattern.namespace(), pattern.name_any());
    let may_mean = |autoscaler: &DeserializeGuard<PrismAutoscaler>| {
        let names = |autoscaler: &PrismAutoscaler| autoscaler.spec.target_ref.name == name;
        autoscaler.namespace() == namespace && autoscaler.0.as_ref().is_ok_and(names)
    };
    ctx.enqueue(&ctx.prism_autoscalers, Lane::Child, may_mean);
}

/// Credentials of somebody else's that come or go concern the triggers that name them.
pub(super) fn users_of_authentication(ctx: &Arc<Context>, difference: &Difference<Live>) {
    if difference.before.is_some() == difference.after.is_some() {
        return;
    }
    let Some(authentication) = difference.after.as_ref().or(difference.before.as_ref()) else { return };
    let (namespace, name) = (authentication.metadata.namespace.clone(), authentication.name_any());
    let uses = |block: Option<&Autoscaling>| {
        let mut references = block
            .into_iter()
            .flat_map(|block| &block.triggers)
            .filter_map(|one| one.authentication_ref.as_ref());
        references.any(|reference| reference.name == name)
    };
    ctx.enqueue(&ctx.patterns, Lane::Child, |pattern| {
        pattern.namespace() == namespace
            && pattern.0.as_ref().is_ok_and(|pattern| uses(pattern.spec.autoscaling.as_ref()))
    });
    ctx.enqueue(&ctx.stacks, Lane::Child, |stack| {
        let components = stack.0.as_ref().ok().into_iter();
        let mut components =
            components.flat_map(|stack| stack.spec.proxy.iter().chain(&stack.spec.web_console));
        stack.namespace() == namespace && components.any(|component| uses(component.autoscaling.as_ref()))
    });
}

/// A storage class that comes or goes concerns what waits for one.
pub(super) fn all_stalled_for_storage(ctx: &Arc<Context>) {
    stalled_for_storage(ctx, &ctx.stacks);
    stalled_for_storage(ctx, &ctx.patterns);
    stalled_for_storage(ctx, &ctx.backends);
}

fn stalled_for_storage<K: Managed>(ctx: &Context, cache: &Cache<DeserializeGuard<K>>) {
    let waits = |object: &DeserializeGuard<K>| {
        let status = object.0.as_ref().ok().and_then(|object| object.status());
        status
            .and_then(|status| find(status.conditions(), condition::STALLED))
            .is_some_and(|stalled| stalled.reason == reason::STORAGE_CLASS_NOT_FOUND)
    };
    ctx.enqueue(cache, Lane::Child, waits);
}

/// A member that comes, goes, or changes its readiness or its controller concerns its stack.
pub(super) fn stack_of_member(ctx: &Context, difference: &Difference<Live>) {
    let state = |pod: &Option<Arc<Live>>| {
        pod.as_ref().map(|pod| {
            let is_ending = pod.metadata.deletion_timestamp.is_some();
            (pod.is_ready(), is_ending, pod.uid(), ownership::controller(&pod.metadata).cloned())
        })
    };
    if state(&difference.before) == state(&difference.after) {
        return;
    }
    let Some(pod) = difference.after.as_ref().or(difference.before.as_ref()) else { return };
    if let Some(stack) = pod.labels().get(labels::STACK) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        ctx.queue.add(ObjectKey::new(kinds::PRISM_STACK, namespace, stack), Lane::Child);
    }
}

fn key<K: Managed>(difference: &Difference<DeserializeGuard<K>>) -> Option<ObjectKey> {
    let object = difference.after.as_ref().or(difference.before.as_ref())?;
    Some(key_of(K::KIND, object.as_ref()))
}
