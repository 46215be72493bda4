//! The planner's children as the engine applies them: in which order, and by whose hand.

use kube::{Resource, ResourceExt};
use prism_engine::{
    child::Child,
    object::{Kind, Owner},
};
use prism_plan::pattern::{Children, Plan, Workload};
use serde::Serialize;

use crate::kinds;

/// Stages of application: what pods need before they start, the workload, what surrounds it.
pub(crate) fn stages(owner: &Owner, plan: &Plan) -> Result<Vec<Vec<Child>>, serde_json::Error> {
    let Children { service_account, config, workload, service, headless, budget, scaler } = &plan.children;
    let needed = [
        service_account.as_ref().map(|object| child(owner, kinds::SERVICE_ACCOUNT, object)),
        config.as_ref().map(|object| child(owner, kinds::CONFIG_MAP, object)),
    ];
    let (workload, replicas) = match workload {
        Workload::Deployment(object) => (
            child(owner, kinds::DEPLOYMENT, object.as_ref())?,
            object.spec.as_ref().and_then(|spec| spec.replicas),
        ),
        Workload::StatefulSet(object) => (
            child(owner, kinds::STATEFUL_SET, object.as_ref())?,
            object.spec.as_ref().and_then(|spec| spec.replicas),
        ),
    };
    let workload = if replicas.is_none() { workload.seeded(plan.pattern.replicas) } else { workload };
    let around = [
        Some(child(owner, kinds::SERVICE, service)),
        headless.as_ref().map(|object| child(owner, kinds::SERVICE, object)),
        budget.as_ref().map(|object| child(owner, kinds::BUDGET, object)),
        scaler.as_ref().map(|object| child(owner, kinds::AUTOSCALER, object)),
    ];
    Ok(vec![
        needed.into_iter().flatten().collect::<Result<_, _>>()?,
        vec![workload],
        around.into_iter().flatten().collect::<Result<_, _>>()?,
    ])
}

fn child<K: Resource + Serialize>(owner: &Owner, kind: Kind, object: &K) -> Result<Child, serde_json::Error> {
    Child::new(kind, &owner.key.namespace, &object.name_any(), object)
}
