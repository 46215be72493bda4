//! What becomes of a `PrismAutoscaler`: the scaling of a workload that it names, its own or not.

mod status;

#[cfg(test)]
mod tests;

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::ObjectMeta, jiff::Timestamp};
use prism_api::{
    autoscaler::{PrismAutoscaler, TargetKind},
    labels, names,
    pattern::ActiveScaler,
    workload::WorkloadKind,
};

pub use status::{is_progress_only, refused, status};

use crate::{
    invalid::Invalid,
    owner,
    scaling::{Scaling, ScalingFacts, ScalingPlan, control},
    text::label_value,
    types::ScaleTarget,
};

/// All that a plan depends on, beside the object itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Kind and name of the workload; `None` while the pattern that is named has none.
    pub target: Option<(WorkloadKind, String)>,
    /// What is known of its scaling.
    pub scaling: ScalingFacts,
    /// Host and port of the admin that knows its metrics.
    pub admin: Option<String>,
}

/// Everything that is to be done for one `PrismAutoscaler`.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scaling; `None` while there is nothing to scale.
    pub scaling: Option<(Scaling, ScalingPlan)>,
}

/// Plans `autoscaler`.
///
/// # Errors
/// When the spec contradicts itself in a way that the schema cannot see.
pub fn plan(autoscaler: &PrismAutoscaler, facts: &Facts) -> Result<Plan, Invalid> {
    let scaling = facts.target.clone().map(|target| scaling(autoscaler, target, facts)).transpose()?;
    let planned = scaling.map(|scaling| scaling.plan(&facts.scaling).map(|plan| (scaling, plan)));
    Ok(Plan { scaling: planned.transpose()? })
}

/// Whether the object takes the replicas of its target away from others: not if it only watches, nor if
/// its spec cannot be followed.
#[must_use]
pub fn claims(autoscaler: &PrismAutoscaler, now: Timestamp) -> bool {
    let facts = Facts {
        target: Some((WorkloadKind::Deployment, autoscaler.spec.target_ref.name.clone())),
        scaling: ScalingFacts { now, ..ScalingFacts::default() },
        admin: None,
    };
    let planned = plan(autoscaler, &facts).ok().and_then(|plan| plan.scaling);
    planned.is_some_and(|(scaling, _)| !scaling.is_shadow())
}

/// The workload of the object, if it is not by way of a pattern.
#[must_use]
pub fn workload(autoscaler: &PrismAutoscaler) -> Option<(WorkloadKind, String)> {
    let target = &autoscaler.spec.target_ref;
    let kind = match target.kind {
        TargetKind::Deployment => WorkloadKind::Deployment,
        TargetKind::StatefulSet => WorkloadKind::StatefulSet,
        TargetKind::PrismPattern => return None,
    };
    Some((kind, target.name.clone()))
}

fn scaling(
    autoscaler: &PrismAutoscaler,
    (kind, workload): (WorkloadKind, String),
    facts: &Facts,
) -> Result<Scaling, Invalid> {
    let metadata = &autoscaler.metadata;
    let name = metadata.name.clone().unwrap_or_default();
    let labels = [
        (labels::APP_NAME, "prism-autoscaler".to_owned()),
        (labels::APP_INSTANCE, label_value(&name)),
        (labels::APP_PART_OF, "prism".to_owned()),
        (labels::APP_MANAGED_BY, names::MANAGED_BY.to_owned()),
    ];
    let uid = metadata.uid.clone().unwrap_or_default();
    Ok(Scaling {
        field: "spec".to_owned(),
        metadata: ObjectMeta {
            name: Some(workload.clone()),
            namespace: metadata.namespace.clone(),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
            owner_references: Some(vec![owner::reference("PrismAutoscaler", &name, &uid)]),
            ..ObjectMeta::default()
        },
        target: ScaleTarget {
            api_version: "apps/v1".to_owned(),
            kind: kind.as_str().to_owned(),
            name: workload,
        },
        scaler: ActiveScaler::Admin,
        autoscaling: autoscaler.spec.autoscaling(),
        control: control(metadata.annotations.as_ref(), None)?,
        queues: Vec::new(),
        pattern: autoscaler.spec.target_ref.name.clone(),
        admin: facts.admin.clone(),
    })
}
