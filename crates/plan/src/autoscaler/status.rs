//! What a `PrismAutoscaler`'s status says.

use k8s_openapi::jiff::Timestamp;
use prism_api::{
    autoscaler::{PrismAutoscaler, PrismAutoscalerStatus},
    condition::{self, reason},
};

use super::{Facts, Plan};
use crate::{
    conditions::{Conditions, find},
    invalid::Invalid,
    report::{Problem, Report, reconciling},
    scaling,
};

/// The status after a pass. `facts` are those after it.
#[must_use]
pub fn status(
    autoscaler: &PrismAutoscaler,
    plan: &Plan,
    facts: &Facts,
    report: Report,
    now: Timestamp,
) -> PrismAutoscalerStatus {
    let previous = autoscaler.status.clone().unwrap_or_default();
    let generation = autoscaler.metadata.generation;
    let mut scaled = Conditions::new(&previous.conditions, generation, now);
    let record = plan.scaling.as_ref().and_then(|(scaling, plan)| {
        scaling::conditions(&mut scaled, scaling, plan, &facts.scaling, previous.scaling.as_ref(), now)
    });
    let scaled = scaled.finish();

    let mut conditions = Conditions::new(&previous.conditions, generation, now);
    let stall = report.problems.iter().find_map(Problem::as_stall);
    let target = &autoscaler.spec.target_ref;
    let missing = facts.target.is_none() || (facts.scaling.desired.is_none() && is_without_target(facts));
    match (stall, find(&scaled, condition::SCALING_ACTIVE)) {
        (Some((reason, message)), _) => conditions.set(condition::READY, false, reason, message),
        (None, _) if missing => {
            let message = format!(
                "there is no {:?} {} to scale: create it, or correct spec.targetRef",
                target.kind, target.name
            );
            conditions.set(condition::READY, false, reason::TARGET_NOT_FOUND, message);
        }
        (None, Some(active)) if active.status == "Unknown" => {
            conditions.set_unknown(condition::READY, &active.reason, active.message.as_str());
        }
        (None, Some(active)) => {
            conditions.set(
                condition::READY,
                active.status == "True",
                &active.reason,
                active.message.as_str(),
            );
        }
        (None, None) => conditions.set_unknown(condition::READY, reason::PROGRESSING, "nothing was read yet"),
    }
    reconciling(&mut conditions, &report.problems, None, report.is_paused);
    if let Some((reason, message)) = stall {
        conditions.set(condition::STALLED, true, reason, message);
    }
    let mut conditions = conditions.finish();
    conditions.extend(scaled);
    let changed = record.as_ref().filter(|record| {
        previous.scaling.as_ref().is_none_or(|before| before.desired_replicas != record.desired_replicas)
            && record.current_replicas != record.desired_replicas
    });
    PrismAutoscalerStatus {
        observed_generation: generation,
        current_replicas: facts.scaling.desired.or_else(|| Some(record.as_ref()?.current_replicas)),
        desired_replicas: record.as_ref().map(|record| record.desired_replicas),
        last_scale_time: changed.and_then(|record| record.decided_at.clone()).or(previous.last_scale_time),
        last_handled_reconcile_at: report.handled_request.or(previous.last_handled_reconcile_at),
        inventory: report.inventory,
        scaling: record,
        conditions,
    }
}

/// Whether the last look found nothing to scale.
fn is_without_target(facts: &Facts) -> bool {
    facts.scaling.decision.as_ref().is_some_and(|decision| decision.decided_at.is_none())
}

/// The status of an object whose spec cannot be followed: what scales, scales on.
#[must_use]
pub fn refused(autoscaler: &PrismAutoscaler, invalid: &Invalid, now: Timestamp) -> PrismAutoscalerStatus {
    let previous = autoscaler.status.clone().unwrap_or_default();
    let mut conditions = Conditions::new(&previous.conditions, autoscaler.metadata.generation, now);
    conditions.set(condition::READY, false, reason::INVALID_SPEC, invalid.to_string());
    conditions.set(condition::STALLED, true, reason::INVALID_SPEC, invalid.to_string());
    for kept in [condition::SCALING_ACTIVE, condition::SCALING_LIMITED, condition::SCALER_CONFLICT] {
        conditions.keep(kept);
    }
    PrismAutoscalerStatus {
        observed_generation: autoscaler.metadata.generation,
        conditions: conditions.finish(),
        ..previous
    }
}

/// Whether two statuses differ in nothing but counts and messages.
#[must_use]
pub fn is_progress_only(before: &PrismAutoscalerStatus, after: &PrismAutoscalerStatus) -> bool {
    let essence = |status: &PrismAutoscalerStatus| {
        let mut essence = PrismAutoscalerStatus { current_replicas: None, ..status.clone() };
        essence.conditions.iter_mut().for_each(|condition| condition.message.clear());
        essence
    };
    essence(before) == essence(after)
}
