//! The planner's children as the engine applies them: in which order, and by whose hand.

use kube::{Resource, ResourceExt};
use prism_api::{labels, workload::WorkloadKind};
use prism_engine::{
    child::Child,
    object::{Kind, ObjectKey, Owner},
};
use prism_plan::{
    program::{Children, ProgramPlan, Replace, Workload, workload_name},
    scaling::{Scalers, ScalingPlan, trust_name},
    types::ScaleTarget,
};
use serde::Serialize;

use crate::kinds;

/// How a plan is carried out.
#[derive(Default)]
pub(crate) struct Steps {
    /// Children that are applied side by side, each line stage after stage.
    pub(crate) lines: Vec<Vec<Vec<Child>>>,
    /// What is no longer wanted and stays all the same.
    pub(crate) keep: Vec<ObjectKey>,
    /// Workloads whose scalers stay as they are, although none is planned.
    pub(crate) keeps_scalers: Vec<String>,
    /// Workloads that are left as they are for now, and with them what comes after them.
    pub(crate) held: Vec<ObjectKey>,
    /// `StatefulSet`s that have to be made anew.
    pub(crate) replacements: Vec<Replacement>,
    /// Claims that were there before their `StatefulSet`, and have to grow to the size of its template.
    pub(crate) grows: Vec<Growth>,
    /// Workloads without replicas whose scaler cannot start the first: how many to start for it.
    pub(crate) wakes: Vec<(ObjectKey, i32)>,
}

/// A `StatefulSet` that has to be made anew, its pods and volumes untouched.
pub(crate) struct Replacement {
    pub(crate) workload: ObjectKey,
    pub(crate) how: Replace,
    /// Selects its claims.
    pub(crate) selector: String,
}

/// Claims that have to grow.
pub(crate) struct Growth {
    /// The `StatefulSet` whose claims they are.
    pub(crate) workload: ObjectKey,
    /// To which size.
    pub(crate) size: String,
    /// Selects them.
    pub(crate) selector: String,
}

impl Steps {
    /// Adds a program: what pods need (with `needed`), the workload, what surrounds it.
    pub(crate) fn add_program(
        &mut self,
        owner: &Owner,
        plan: &ProgramPlan,
        mut needed: Vec<Child>,
    ) -> Result<(), serde_json::Error> {
        let Children { service_account, workload, service, headless, budget, scalers } = &plan.children;
        if let Some(account) = service_account {
            needed.insert(0, child(owner, kinds::SERVICE_ACCOUNT, account)?);
        }
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
        let workload = if replicas.is_none() { workload.seeded(plan.program.replicas) } else { workload };
        let key = |kind| workload_key(&plan.program.namespace, &plan.program.name, kind);
        self.keep.extend(plan.keep.map(key));
        self.replacements.extend(plan.replace.clone().map(|how| Replacement {
            workload: key(WorkloadKind::StatefulSet),
            how,
            selector: selector(plan),
        }));
        self.grows.extend(plan.grow.clone().map(|size| Growth {
            workload: key(WorkloadKind::StatefulSet),
            size,
            selector: selector(plan),
        }));
        let around = [
            Some(child(owner, kinds::SERVICE, service)),
            headless.as_ref().map(|object| child(owner, kinds::SERVICE, object)),
            budget.as_ref().map(|object| child(owner, kinds::BUDGET, object)),
        ];
        let mut around: Vec<Child> = around.into_iter().flatten().collect::<Result<_, _>>()?;
        around.extend(scaling(owner, scalers)?);
        if plan.scaling.keeps_scaler() {
            self.keeps_scalers.push(plan.program.name.clone());
        }
        self.wakes.extend(plan.scaling.wake.map(|replicas| (key(plan.program.kind), replicas)));
        self.lines.push(vec![needed, vec![workload], around]);
        Ok(())
    }

    /// Adds the scaling of a workload that somebody else makes.
    pub(crate) fn add_scaling(
        &mut self,
        owner: &Owner,
        target: &ScaleTarget,
        plan: &ScalingPlan,
    ) -> Result<(), serde_json::Error> {
        if plan.keeps_scaler() {
            self.keeps_scalers.push(target.name.clone());
        }
        let target = scaled(target, &owner.key.namespace);
        self.wakes.extend(target.zip(plan.wake));
        self.lines.push(vec![scaling(owner, &plan.scalers)?]);
        Ok(())
    }

    /// Takes out of the lines `workload` and what comes after it.
    pub(crate) fn hold_back(&mut self, workload: &ObjectKey) {
        for line in &mut self.lines {
            let holds = |stage: &Vec<Child>| stage.iter().any(|child| child.key == *workload);
            if let Some(stage) = line.iter().position(holds) {
                line.truncate(stage);
            }
        }
    }

    /// Takes out of the lines what `scaler`, which is still there, sets the replicas of, and what comes after it.
    pub(crate) fn hold_back_scaled_by(&mut self, scaler: &ObjectKey) {
        for kind in [WorkloadKind::Deployment, WorkloadKind::StatefulSet] {
            self.hold_back(&workload_key(&scaler.namespace, &scaler.name, kind));
        }
    }

    /// Leaves what is held as it is.
    pub(crate) fn hold(&mut self) {
        for workload in std::mem::take(&mut self.held) {
            self.hold_back(&workload);
            self.replacements.retain(|replacement| replacement.workload != workload);
            self.grows.retain(|growth| growth.workload != workload);
        }
    }

    /// Every child that is wanted.
    pub(crate) fn wanted(&self) -> Vec<ObjectKey> {
        self.lines.iter().flatten().flatten().map(|child| child.key.clone()).collect()
    }
}

/// `object` as a child. In another namespace than the owner's it is marked instead of referring.
pub(crate) fn child<K: Resource + Serialize>(
    owner: &Owner,
    kind: Kind,
    object: &K,
) -> Result<Child, serde_json::Error> {
    let namespace = object.namespace().unwrap_or_else(|| owner.key.namespace.to_string());
    let child = Child::new(kind, &namespace, &object.name_any(), object)?;
    Ok(if *namespace == *owner.key.namespace { child } else { child.marked(labels::OWNED_BY, owner) })
}

/// Which object `object` is.
pub(crate) fn key_of(kind: Kind, object: &impl ResourceExt) -> ObjectKey {
    ObjectKey::new(kind, &object.namespace().unwrap_or_default(), &object.name_any())
}

/// Whether `key` is the scaler of one of `workloads`, or what that needs.
pub(crate) fn is_scaler_of(workloads: &[String], key: &ObjectKey) -> bool {
    let belongs = |workload: &String| {
        let is_scaler = kinds::SCALERS.contains(&key.kind) && *key.name == **workload;
        let is_authentication = key.kind == kinds::TRIGGER_AUTHENTICATION;
        is_scaler
            || (is_authentication && key.name.starts_with(&format!("{workload}-")))
            || (key.kind == kinds::CONFIG_MAP && *key.name == *trust_name(workload))
    };
    workloads.iter().any(belongs)
}

/// What scales a workload, as children.
fn scaling(owner: &Owner, scalers: &Scalers) -> Result<Vec<Child>, serde_json::Error> {
    let Scalers { autoscaler, scaled_object, authentications, trust } = scalers;
    let authentications =
        authentications.iter().map(|object| child(owner, kinds::TRIGGER_AUTHENTICATION, object));
    let others = [
        autoscaler.as_ref().map(|object| child(owner, kinds::AUTOSCALER, object)),
        scaled_object.as_ref().map(|object| child(owner, kinds::SCALED_OBJECT, object)),
        trust.as_ref().map(|object| child(owner, kinds::CONFIG_MAP, object)),
    ];
    authentications.chain(others.into_iter().flatten()).collect()
}

/// Which object a target is; `None` for a kind that is not scaled.
pub(crate) fn scaled(target: &ScaleTarget, namespace: &str) -> Option<ObjectKey> {
    let kind = [kinds::DEPLOYMENT, kinds::STATEFUL_SET].into_iter().find(|kind| kind.name == target.kind)?;
    Some(ObjectKey::new(kind, namespace, &target.name))
}

/// Which object the workload of that kind of the program `name` is.
pub(crate) fn workload_key(namespace: &str, name: &str, kind: WorkloadKind) -> ObjectKey {
    let object_kind = match kind {
        WorkloadKind::Deployment => kinds::DEPLOYMENT,
        WorkloadKind::StatefulSet => kinds::STATEFUL_SET,
    };
    ObjectKey::new(object_kind, namespace, &workload_name(name, kind))
}

fn selector(plan: &ProgramPlan) -> String {
    let pairs = plan.program.pod_selector.iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(",")
}
