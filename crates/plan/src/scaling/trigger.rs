//! Triggers of KEDA, complete: what they leave out is filled in from the backend.

use std::collections::BTreeMap;

use prism_api::{
    autoscaling::Trigger,
    metric::{MetricType, TargetType},
};

use super::{Scaling, ScalingFacts, ScalingPlan, authentication, infer, usage};
use crate::{invalid::Invalid, types::KedaTrigger};

/// All triggers: those of the spec, those that its targets for CPU and memory amount to, or the one that
/// the first backend calls for.
pub(super) fn build(
    scaling: &Scaling,
    facts: &ScalingFacts,
    plan: &mut ScalingPlan,
) -> Result<Vec<KedaTrigger>, Invalid> {
    let mut wanted = scaling.autoscaling.triggers.clone();
    wanted.extend(resources(scaling)?);
    let is_inferred = wanted.is_empty();
    if is_inferred {
        wanted.push(Trigger { type_: infer::trigger_type(scaling)?, ..Trigger::default() });
    }
    if wanted.iter().all(usage::is_of_pods) {
        needs_pods(scaling)?;
    }
    let field = |index: usize| {
        if is_inferred {
            format!("{}.triggers", scaling.field)
        } else {
            format!("{}.triggers[{index}]", scaling.field)
        }
    };
    let triggers = wanted.into_iter().enumerate();
    triggers.map(|(index, trigger)| complete(scaling, facts, plan, &field(index), trigger)).collect()
}

/// Refuses what KEDA's webhooks refuse where all triggers look at pods, which there have to be then.
fn needs_pods(scaling: &Scaling) -> Result<(), Invalid> {
    let block = &scaling.autoscaling;
    let windows = block.windows.iter().enumerate();
    let windows =
        windows.map(|(index, window)| (format!("windows[{index}].minReplicas"), window.min_replicas));
    let mut least = std::iter::once(("minReplicas".to_owned(), block.min_replicas)).chain(windows);
    if let Some((field, _)) = least.find(|(_, replicas)| *replicas == Some(0)) {
        return Err(Invalid::new(
            format!("{}.{field}", scaling.field),
            "CPU and memory tell nothing about a workload without pods: set 1 or more, or add a trigger that sees what waits",
        ));
    }
    if block.fallback.is_some() {
        return Err(Invalid::new(
            format!("{}.fallback", scaling.field),
            "KEDA has no fallback for CPU and memory: remove fallback, or add a trigger of another type",
        ));
    }
    Ok(())
}

fn complete(
    scaling: &Scaling,
    facts: &ScalingFacts,
    plan: &mut ScalingPlan,
    field: &str,
    trigger: Trigger,
) -> Result<KedaTrigger, Invalid> {
    if usage::is_of_pods(&trigger) {
        return Ok(resource(trigger));
    }
    let queue = infer::queue_of(scaling, &trigger);
    let metadata = infer::complete(field, &trigger, queue)?;
    infer::cap(&trigger.type_, &metadata, queue, plan);
    let authentication_ref = match &trigger.authentication_ref {
        Some(reference) => authentication::of_reference(scaling, facts, plan, &trigger.type_, reference),
        None => authentication::of_backend(scaling, plan, &trigger.type_, queue),
    };
    Ok(KedaTrigger {
        metadata,
        authentication_ref,
        type_: trigger.type_,
        name: trigger.name,
        metric_type: trigger.metric_type,
        use_cached_metrics: trigger.use_cached_metrics.unwrap_or(false),
    })
}

/// `metadata.type`, where older versions of KEDA took it, becomes the metric type.
fn resource(trigger: Trigger) -> KedaTrigger {
    let mut metadata = trigger.metadata;
    let old = metadata.remove("type").and_then(|type_| match type_.as_str() {
        "Utilization" => Some(TargetType::Utilization),
        "AverageValue" => Some(TargetType::AverageValue),
        _ => None,
    });
    KedaTrigger {
        metric_type: trigger.metric_type.or(old).or(Some(TargetType::Utilization)),
        type_: trigger.type_,
        name: trigger.name,
        metadata,
        ..KedaTrigger::default()
    }
}

/// The targets for CPU and memory, and metrics of these kinds, as triggers.
fn resources(scaling: &Scaling) -> Result<Vec<Trigger>, Invalid> {
    let block = &scaling.autoscaling;
    let utilization = |type_: &str, percent: i32| Trigger {
        type_: type_.to_owned(),
        metadata: BTreeMap::from([("value".to_owned(), percent.to_string())]),
        metric_type: Some(TargetType::Utilization),
        ..Trigger::default()
    };
    let mut triggers: Vec<_> =
        usage::percentages(block).map(|(type_, percent)| utilization(type_, percent)).collect();
    for (index, metric) in block.metrics.iter().enumerate() {
        let percent = metric
            .resource
            .as_ref()
            .filter(|_| metric.type_ == MetricType::Resource)
            .and_then(|resource| Some((resource.name.as_str(), resource.target.average_utilization?)));
        let Some((name, percent)) = percent else {
            return Err(Invalid::new(
                format!("{}.metrics[{index}]", scaling.field),
                "KEDA takes nothing but CPU and memory utilization from here: write the metric as an entry of triggers",
            ));
        };
        triggers.push(utilization(name, percent));
    }
    Ok(triggers)
}
