//! All that a plan has to be told, from caches: nothing here asks the API server.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim};
use kube::{
    Resource, ResourceExt,
    core::{DeserializeGuard, ObjectMeta},
};
use prism_api::{
    backend::PrismBackend, condition, labels, pattern::PrismPattern, stack::PrismStack,
    workload::WorkloadKind,
};
use prism_engine::{
    cache::Cache,
    ledger::Observed,
    live::WorkloadState,
    object::{ObjectKey, Owner},
};
use prism_plan::{
    backend::{ServiceFacts, ServiceView},
    conditions::find,
    consent::{Consent, Consents, Crossing},
    edge::Apis,
    pattern::{BackendFacts, Facts, candidates},
    program::{Claim, ProgramFacts, VolumeFacts, WorkloadFacts, quorum::Member},
    stack::{self, ChildFacts, Place, child_name},
};

use crate::{
    context::Context, kinds, managed::Managed, ownership, scaling::seen, steps::workload_key,
    watches::claims::claim_name,
};

/// The facts about `pattern`.
pub(crate) fn pattern(pattern: &PrismPattern, owner: &Owner, ctx: &Context) -> Facts {
    let stack = ownership::stack_of(ctx, kinds::PRISM_PATTERN, &pattern.metadata);
    let stack = stack.as_ref().and_then(|stack| stack.0.as_ref().ok());
    let home = stack.and_then(ResourceExt::namespace);
    let home = home.filter(|home| **home != *owner.key.namespace);
    let asker = home.as_deref().unwrap_or(&owner.key.namespace);
    let consents = consents(ctx);
    let backends = backend_keys(pattern, stack).into_iter().filter_map(|(name, keys)| {
        let found = keys.iter().filter_map(|key| ctx.backends.get(&key.namespace, &key.name));
        let mut readable = found.filter_map(|found| found.0.as_ref().ok().cloned());
        let backend = readable.find(|backend| may_read(ctx, asker, stack, backend, &consents))?;
        Some((name, backend_facts(&backend, ctx, &consents)))
    });
    Facts {
        runner: program(owner, &owner.key.name, ctx),
        admin: stack.and_then(stack::admin_endpoint),
        backends: backends.collect(),
        home,
        consents,
        defaults: ctx.defaults.clone(),
    }
}

/// Host and port of the admin of the stack that `object` is, or belongs to.
pub(crate) fn admin_of(ctx: &Context, object: &ObjectKey) -> Option<String> {
    let stack = if object.kind == kinds::PRISM_STACK {
        ctx.stacks.get(&object.namespace, &object.name)?
    } else {
        let pattern = ctx.patterns.get(&object.namespace, &object.name)?;
        ownership::stack_of(ctx, kinds::PRISM_PATTERN, pattern.meta())?
    };
    stack::admin_endpoint(stack.0.as_ref().ok()?)
}

/// For each name that a pattern uses, where its `PrismBackend` may be: in the pattern's stack, beside
/// the pattern or at home, and then of that very name beside the pattern.
pub(crate) fn backend_keys(
    pattern: &PrismPattern,
    stack: Option<&PrismStack>,
) -> Vec<(String, Vec<ObjectKey>)> {
    let here = pattern.namespace().unwrap_or_default();
    let key = |namespace: &str, name: &str| ObjectKey::new(kinds::PRISM_BACKEND, namespace, name);
    let places = |name: String| {
        let in_stack = stack.iter().flat_map(|stack| {
            let full = child_name(&stack.name_any(), &name);
            [key(&here, &full), key(&stack.namespace().unwrap_or_default(), &full)]
        });
        let places = in_stack.chain([key(&here, &name)]).collect();
        (name, places)
    };
    candidates(&pattern.spec).into_iter().map(places).collect()
}

/// Whether a pattern of `stack`, or of none, may read the address in `backend` on behalf of `asker`.
fn may_read(
    ctx: &Context,
    asker: &str,
    stack: Option<&PrismStack>,
    backend: &PrismBackend,
    consents: &Consents,
) -> bool {
    let maker = ownership::stack_of(ctx, kinds::PRISM_BACKEND, &backend.metadata);
    let maker = maker.as_ref().and_then(|maker| maker.0.as_ref().ok()).and_then(ResourceExt::uid);
    let is_own = maker.is_some() && maker == stack.and_then(ResourceExt::uid);
    let namespace = backend.namespace().unwrap_or_default();
    consents.permit(asker, Crossing::Backend { namespace: &namespace, is_own })
}

/// What a pattern has to know of `backend`.
fn backend_facts(backend: &PrismBackend, ctx: &Context, consents: &Consents) -> BackendFacts {
    let namespace = backend.namespace().unwrap_or_default();
    BackendFacts::new(&backend.spec, &backend.name_any(), &namespace, &service(backend, ctx, consents))
}

/// The Service that a backend refers to, if it says that it is one of a backend, and if its namespace
/// lets others use it.
pub(crate) fn service(backend: &PrismBackend, ctx: &Context, consents: &Consents) -> ServiceView {
    let Some(reference) = &backend.spec.service_ref else { return ServiceView::None };
    let here = backend.namespace().unwrap_or_default();
    let namespace = reference.namespace.as_ref().unwrap_or(&here);
    let home = ownership::home_of(ctx, kinds::PRISM_BACKEND, &backend.metadata);
    if !consents.permit(home.as_ref().unwrap_or(&here), Crossing::Service { namespace }) {
        return ServiceView::Refused;
    }
    let Some(service) = ctx.services.get(namespace, &reference.name) else { return ServiceView::None };
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    ServiceView::Found(ServiceFacts {
        connection_string: service.annotations().get(labels::CONNECTION_STRING).cloned(),
        backend_type: service.labels().get(labels::BACKEND_TYPE).cloned(),
        ports: ports.iter().map(|port| port.port).collect(),
    })
}

/// What namespaces let others do in them.
pub(crate) fn consents(ctx: &Context) -> Consents {
    let consenting = ctx.namespaces.find(|_| true);
    let consent = |namespace: &Arc<Namespace>| Some((namespace.name_any(), Consent::of(namespace.meta())?));
    consenting.iter().filter_map(consent).collect()
}

/// The facts about the stack `owner`.
pub(crate) fn stack(stack: &PrismStack, owner: &Owner, ctx: &Context) -> stack::Facts {
    let part = |component: &str| program(owner, &child_name(&owner.key.name, component), ctx);
    let admin = child_name(&owner.key.name, "admin");
    let served = |kind| ctx.optional.is_served(kind);
    let mut made = ctx.engine.ledger().children(owner);
    made.retain(|(key, seen)| ownership::is_of(stack, key, seen));
    stack::Facts {
        admin: ProgramFacts { members: members(owner, &admin, ctx), ..part("admin") },
        proxy: part("proxy"),
        console: part("web-console"),
        patterns: children(&made, &ctx.patterns, pattern_state),
        backends: children(&made, &ctx.backends, backend_state),
        consents: consents(ctx),
        scope: ctx.scope.clone(),
        apis: Apis {
            service_monitors: served(kinds::SERVICE_MONITOR),
            pod_monitors: served(kinds::POD_MONITOR),
            prometheus_rules: served(kinds::PROMETHEUS_RULE),
            certificates: served(kinds::CERTIFICATE),
            grpc_routes: served(kinds::GRPC_ROUTE),
        },
        obstacles: ctx.optional.obstacles(),
        defaults: ctx.defaults.clone(),
    }
}

/// Custom resources of one kind among those that a stack has `made`. What the ledger knows of and the
/// cache does not yet show is there, and has nothing to tell.
fn children<K: Managed>(
    made: &[(ObjectKey, Observed)],
    cache: &Cache<DeserializeGuard<K>>,
    state: fn(&K) -> ChildFacts,
) -> BTreeMap<Place, ChildFacts> {
    let of_kind = made.iter().filter(|(key, _)| key.kind == K::KIND);
    let facts = of_kind.map(|(key, seen)| {
        let cached = cache.get(&key.namespace, &key.name);
        let cached = cached.filter(|object| object.meta().uid.as_deref() == Some(&*seen.uid));
        let facts = cached.and_then(|object| object.0.as_ref().ok().map(state)).unwrap_or_default();
        ((key.namespace.to_string(), key.name.to_string()), facts)
    });
    facts.collect()
}

fn pattern_state(pattern: &PrismPattern) -> ChildFacts {
    let status = pattern.status.clone().unwrap_or_default();
    let complaint =
        find(&status.conditions, condition::BACKEND_RESOLVED).filter(|found| found.status == "False");
    ChildFacts {
        complaint: complaint.map(|found| (found.reason.clone(), found.message.clone())),
        replicas: status.desired_replicas,
        available: status.available_replicas,
        ..common_state(&pattern.metadata, &status.conditions, status.observed_generation)
    }
}

fn backend_state(backend: &PrismBackend) -> ChildFacts {
    let status = backend.status.clone().unwrap_or_default();
    common_state(&backend.metadata, &status.conditions, status.observed_generation)
}

fn common_state(
    metadata: &ObjectMeta,
    conditions: &[condition::Condition],
    observed: Option<i64>,
) -> ChildFacts {
    let ready = find(conditions, condition::READY);
    ChildFacts {
        is_current: observed == metadata.generation,
        spec_hash: metadata.annotations.as_ref().and_then(|all| all.get(labels::SPEC_HASH)).cloned(),
        ready: ready.and_then(|ready| match ready.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        }),
        message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
        ..ChildFacts::default()
    }
}

/// The facts about the program `name` of `owner`, in the owner's own namespace.
pub(crate) fn program(owner: &Owner, name: &str, ctx: &Context) -> ProgramFacts {
    let workload = |kind| {
        let seen = ctx.engine.ledger().get(&workload_key(&owner.key.namespace, name, kind))?;
        seen.workload.filter(|_| seen.owner.as_ref() == Some(owner)).map(facts)
    };
    let targets = [WorkloadKind::Deployment, WorkloadKind::StatefulSet].map(|kind| {
        let key = workload_key(&owner.key.namespace, name, kind);
        (key.kind, key.name.to_string())
    });
    let stateful_set = workload(WorkloadKind::StatefulSet);
    ProgramFacts {
        deployment: workload(WorkloadKind::Deployment),
        volumes: volumes(&owner.key.namespace, name, stateful_set.as_ref(), ctx),
        stateful_set,
        members: Vec::new(),
        scaling: seen::facts(ctx, owner, &owner.key.namespace, &targets),
        storage_classes: ctx.storage_class_names(),
    }
}

/// The claims that are there for the pods of the program `name`: of those that are wanted, and on from there.
fn volumes(namespace: &str, name: &str, set: Option<&WorkloadFacts>, ctx: &Context) -> Vec<VolumeFacts> {
    let workload = workload_key(namespace, name, WorkloadKind::StatefulSet).name;
    let wanted = set.map_or(0, |set| set.desired);
    let claims = (0..).map(|ordinal| (ordinal, ctx.claims.get(namespace, &claim_name(&workload, ordinal))));
    let known = claims.take_while(|(ordinal, claim)| *ordinal < wanted || claim.is_some());
    known.filter_map(|(_, claim)| volume(claim?.as_ref())).collect()
}

/// A claim that stays. One that belongs to a `StatefulSet` goes with it.
fn volume(claim: &PersistentVolumeClaim) -> Option<VolumeFacts> {
    let metadata = &claim.metadata;
    let spec = claim.spec.as_ref().filter(|_| metadata.deletion_timestamp.is_none())?;
    let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    Some(VolumeFacts {
        name: metadata.name.clone()?,
        size: requests.and_then(|requests| requests.get("storage"))?.0.clone(),
        storage_class: spec.storage_class_name.clone(),
        is_owned: metadata
            .owner_references
            .iter()
            .flatten()
            .any(|owner| owner.kind == kinds::STATEFUL_SET.name),
    })
}

/// The members of the voting program `name` of `owner`: the pods that its `StatefulSet` controls, or, while
/// there is none, those that it has left behind.
pub(crate) fn members(owner: &Owner, name: &str, ctx: &Context) -> Vec<Member> {
    let namespace = &*owner.key.namespace;
    let key = workload_key(namespace, name, WorkloadKind::StatefulSet);
    let set = ctx.engine.ledger().get(&key).filter(|seen| seen.owner.as_ref() == Some(owner));
    let uid = set.map(|seen| seen.uid);
    let ordinal = |pod: &str| pod.strip_prefix(&*key.name)?.strip_prefix('-')?.parse().ok();
    let pods = ctx.pods.find(|pod| {
        pod.metadata.namespace.as_deref() == Some(namespace)
            && ordinal(&pod.name_any()).is_some()
            && ownership::controller(&pod.metadata).map(|set| &*set.uid) == uid.as_deref()
    });
    let member = |pod: std::sync::Arc<prism_engine::live::Live>| {
        Some(Member {
            ordinal: ordinal(&pod.name_any())?,
            is_ready: pod.is_ready() && pod.metadata.deletion_timestamp.is_none(),
            revision: pod.labels().get("controller-revision-hash").cloned().unwrap_or_default(),
        })
    };
    let mut members: Vec<_> = pods.into_iter().filter_map(member).collect();
    members.sort_by_key(|member| member.ordinal);
    members
}

fn facts(state: WorkloadState) -> WorkloadFacts {
    let WorkloadState {
        is_observed,
        desired,
        replicas,
        ready,
        available,
        updated,
        update_revision,
        notes,
        failure,
        claims,
    } = state;
    let claims = claims.into_iter().map(|claim| Claim {
        name: claim.name,
        size: claim.size,
        storage_class: claim.storage_class,
        access_modes: claim.access_modes,
    });
    WorkloadFacts {
        is_observed,
        desired,
        replicas,
        ready,
        available,
        updated,
        update_revision,
        notes,
        failure,
        claims: claims.collect(),
    }
}
