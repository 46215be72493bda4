//! All that a plan has to be told, from caches: nothing here asks the API server.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Resource, ResourceExt,
    core::{DeserializeGuard, ObjectMeta},
};
use prism_api::{
    backend::PrismBackend,
    condition, labels,
    pattern::{PrismPattern, PrismPatternSpec},
    workload::WorkloadKind,
};
use prism_engine::{
    cache::Cache,
    ledger::Observed,
    live::WorkloadState,
    object::{ObjectKey, Owner},
};
use prism_plan::{
    backend::ServiceFacts,
    conditions::find,
    edge::Apis,
    pattern::{BackendFacts, Facts, candidates},
    program::{Claim, ProgramFacts, WorkloadFacts, quorum::Member},
    stack::{self, ChildFacts, Consent, Place, child_name},
};

use crate::{context::Context, family, kinds, managed::Managed, scaling::seen, steps::workload_key};

/// The facts about `pattern`.
pub(crate) fn pattern(pattern: &PrismPattern, owner: &Owner, ctx: &Context) -> Facts {
    let names = backend_keys(&pattern.metadata, &pattern.spec);
    let backends = names.into_iter().filter_map(|(name, keys)| {
        let found = keys.iter().find_map(|key| ctx.backends.get(&key.namespace, &key.name));
        Some((name, backend_facts(found?.0.as_ref().ok()?, ctx)))
    });
    Facts {
        runner: program(owner, &owner.key.name, ctx),
        admin: admin_of(ctx, &owner.key),
        backends: backends.collect(),
        defaults: ctx.defaults.clone(),
    }
}

/// Host and port of the admin of the stack that `object` is, or belongs to.
pub(crate) fn admin_of(ctx: &Context, object: &ObjectKey) -> Option<String> {
    let (namespace, name) = if object.kind == kinds::PRISM_STACK {
        (object.namespace.to_string(), object.name.to_string())
    } else {
        family::stack_key(ctx.patterns.get(&object.namespace, &object.name)?.meta())?
    };
    stack::admin_endpoint(ctx.stacks.get(&namespace, &name)?.0.as_ref().ok()?)
}

/// For each name that a pattern uses, where its `PrismBackend` may be: in the pattern's stack, beside
/// the pattern or at home, and then of that very name beside the pattern.
pub(crate) fn backend_keys(metadata: &ObjectMeta, spec: &PrismPatternSpec) -> Vec<(String, Vec<ObjectKey>)> {
    let here = metadata.namespace.clone().unwrap_or_default();
    let stack = family::stack_key(metadata);
    let key = |namespace: &str, name: &str| ObjectKey::new(kinds::PRISM_BACKEND, namespace, name);
    let places = |name: String| {
        let in_stack = stack.iter().flat_map(|(home, stack)| {
            let full = child_name(stack, &name);
            [key(&here, &full), key(home, &full)]
        });
        let places = in_stack.chain([key(&here, &name)]).collect();
        (name, places)
    };
    candidates(spec).into_iter().map(places).collect()
}

/// What a pattern has to know of `backend`.
fn backend_facts(backend: &PrismBackend, ctx: &Context) -> BackendFacts {
    let namespace = backend.namespace().unwrap_or_default();
    let service = service(backend, ctx);
    BackendFacts::new(&backend.spec, &backend.name_any(), &namespace, service.as_ref())
}

/// The Service that a backend refers to, if it says that it is one of a backend, and if its namespace
/// lets others use it.
pub(crate) fn service(backend: &PrismBackend, ctx: &Context) -> Option<ServiceFacts> {
    let reference = backend.spec.service_ref.as_ref()?;
    let home = backend.namespace().unwrap_or_default();
    let place = reference.namespace.as_ref().unwrap_or(&home);
    let consents =
        || ctx.namespaces.get("", place).is_some_and(|namespace| consent(&namespace).1.includes(&home));
    let service = ctx.services.get(place, &reference.name).filter(|_| *place == home || consents())?;
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    Some(ServiceFacts {
        connection_string: service.annotations().get(labels::CONNECTION_STRING).cloned(),
        backend_type: service.labels().get(labels::BACKEND_TYPE).cloned(),
        ports: ports.iter().map(|port| port.port).collect(),
    })
}

/// The facts about the stack `owner`.
pub(crate) fn stack(owner: &Owner, ctx: &Context) -> stack::Facts {
    let part = |component: &str| program(owner, &child_name(&owner.key.name, component), ctx);
    let admin = child_name(&owner.key.name, "admin");
    let served = |kind| ctx.optional.is_served(kind);
    let made = ctx.engine.ledger().children(owner);
    stack::Facts {
        admin: ProgramFacts { members: members(owner, &admin, ctx), ..part("admin") },
        proxy: part("proxy"),
        console: part("web-console"),
        patterns: children(&made, &ctx.patterns, pattern_state),
        backends: children(&made, &ctx.backends, backend_state),
        consents: ctx.namespaces.find(|_| true).iter().map(|namespace| consent(namespace)).collect(),
        scope: ctx.scope.clone(),
        apis: Apis {
            service_monitors: served(kinds::SERVICE_MONITOR),
            pod_monitors: served(kinds::POD_MONITOR),
            prometheus_rules: served(kinds::PROMETHEUS_RULE),
            certificates: served(kinds::CERTIFICATE),
            grpc_routes: served(kinds::GRPC_ROUTE),
        },
        defaults: ctx.defaults.clone(),
    }
}

/// Custom resources of one kind among those that somebody has `made`. What the ledger knows of and the cache does not yet show
/// is there, and has nothing to tell.
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

fn consent(namespace: &Namespace) -> (String, Consent) {
    let allowed = namespace.annotations().get(labels::ALLOWED_NAMESPACES);
    let names = |list: &String| list.split(',').map(|name| name.trim().to_owned()).collect();
    (namespace.name_any(), Consent { allowed: allowed.map(names) })
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
    ProgramFacts {
        deployment: workload(WorkloadKind::Deployment),
        stateful_set: workload(WorkloadKind::StatefulSet),
        members: Vec::new(),
        scaling: seen::facts(ctx, owner, &owner.key.namespace, &targets),
        storage_classes: Some(ctx.storage_class_names()),
    }
}

/// The UID of what controls the object with `metadata`.
pub(crate) fn controller(metadata: &ObjectMeta) -> Option<&str> {
    let mut references = metadata.owner_references.iter().flatten();
    Some(&references.find(|reference| reference.controller == Some(true))?.uid)
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
            && controller(&pod.metadata) == uid.as_deref()
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
