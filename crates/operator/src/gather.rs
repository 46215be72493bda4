//! All that a plan has to be told, from caches: nothing here asks the API server.

use prism_api::{pattern::PrismPattern, workload::WorkloadKind};
use prism_engine::{live::WorkloadState, object::ObjectKey, object::Owner};
use prism_plan::pattern::{BackendFacts, Claim, Facts, WorkloadFacts, candidates, workload_name};

use crate::{context::Context, kinds};

/// The facts about `pattern`.
pub(crate) fn pattern(pattern: &PrismPattern, owner: &Owner, ctx: &Context) -> Facts {
    let namespace = &owner.key.namespace;
    let backends = candidates(&pattern.spec).into_iter().filter_map(|name| {
        let backend = ctx.backends.get(namespace, &name)?;
        let facts = BackendFacts::from(&backend.0.as_ref().ok()?.spec);
        Some((name, facts))
    });
    Facts {
        deployment: workload(owner, WorkloadKind::Deployment, ctx),
        stateful_set: workload(owner, WorkloadKind::StatefulSet, ctx),
        backends: backends.collect(),
        defaults: ctx.defaults.clone(),
    }
}

/// Which object the workload of that kind is.
pub(crate) fn workload_key(owner: &Owner, kind: WorkloadKind) -> ObjectKey {
    let object_kind = match kind {
        WorkloadKind::Deployment => kinds::DEPLOYMENT,
        WorkloadKind::StatefulSet => kinds::STATEFUL_SET,
    };
    ObjectKey::new(object_kind, &owner.key.namespace, &workload_name(&owner.key.name, kind))
}

fn workload(owner: &Owner, kind: WorkloadKind, ctx: &Context) -> Option<WorkloadFacts> {
    let seen = ctx.engine.ledger().get(&workload_key(owner, kind))?;
    seen.workload.filter(|_| seen.owner.as_ref() == Some(owner)).map(facts)
}

fn facts(state: WorkloadState) -> WorkloadFacts {
    let WorkloadState { is_observed, desired, replicas, ready, available, updated, failure, claims } = state;
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
        failure,
        claims: claims.collect(),
    }
}
