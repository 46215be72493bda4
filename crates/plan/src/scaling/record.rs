//! The decision of a `HorizontalPodAutoscaler`, in the words of our own.

use k8s_openapi::{
    api::autoscaling::v2::{
        HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus, MetricSpec, MetricStatus, MetricTarget,
        MetricValueStatus,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Time},
    jiff::Timestamp,
};
use prism_api::{
    pattern::ActiveScaler,
    scaling::{HeldBy, MetricReading, ScalingDecision},
};
use prism_scale::is_same_decision;

use super::Limits;
use crate::quantity::milli;

/// What the autoscaler has decided, unless that is what `before` says already: values move all the
/// time, and a status that moved with them would never rest.
pub(super) fn of_autoscaler(
    scaler: ActiveScaler,
    limits: &Limits,
    spec: &HorizontalPodAutoscalerSpec,
    status: &HorizontalPodAutoscalerStatus,
    before: Option<&ScalingDecision>,
    now: Timestamp,
) -> ScalingDecision {
    let current = status.current_replicas.unwrap_or_default();
    let readings: Vec<MetricReading> = spec
        .metrics
        .iter()
        .flatten()
        .map(|metric| {
            let shown = status.current_metrics.iter().flatten().find(|shown| is_of(shown, metric));
            reading(metric, shown, current)
        })
        .collect();
    let decider = readings.iter().filter(|reading| reading.desired_replicas.is_some());
    let decider = decider.max_by_key(|reading| reading.desired_replicas).cloned();
    let held_by = held_by(status);
    let decision = ScalingDecision {
        message: message(status.desired_replicas, decider.as_ref(), held_by),
        decided_at: Some(Time(Timestamp::from_second(now.as_second()).unwrap_or(now))),
        scaler: Some(scaler),
        mode: None,
        current_replicas: current,
        desired_replicas: status.desired_replicas,
        decided_by: decider.map(|reading| reading.name),
        held_by,
        held_until: None,
        min_replicas: Some(limits.min),
        max_replicas: Some(limits.max),
        window: limits.window.clone(),
        polling_interval: None,
        metrics: readings,
    };
    match before {
        Some(before) if is_same_decision(before, &decision) => before.clone(),
        _ => decision,
    }
}

fn message(desired: i32, decider: Option<&MetricReading>, held_by: Option<HeldBy>) -> String {
    let because = match decider {
        Some(MetricReading { name, current: Some(current), target: Some(target), .. }) => {
            format!(": {name} is at {current}, to be kept at {target}")
        }
        _ => String::new(),
    };
    let but = match held_by {
        Some(HeldBy::MinReplicas) => ", and no fewer are allowed",
        Some(HeldBy::MaxReplicas) => ", and no more are allowed",
        Some(HeldBy::StabilizationWindow) => ", which a recent recommendation holds up",
        Some(HeldBy::ScaleUpPolicy | HeldBy::ScaleDownPolicy) => ", as far as the policies allow for now",
        _ => "",
    };
    let replicas = if desired == 1 { "replica" } else { "replicas" };
    format!("{desired} {replicas}{because}{but}")
}

/// What holds the autoscaler back, by its conditions.
fn held_by(status: &HorizontalPodAutoscalerStatus) -> Option<HeldBy> {
    status.conditions.iter().flatten().find_map(|condition| {
        match (condition.type_.as_str(), condition.status.as_str(), condition.reason.as_deref()?) {
            ("ScalingLimited", "True", "TooFewReplicas") => Some(HeldBy::MinReplicas),
            ("ScalingLimited", "True", "TooManyReplicas") => Some(HeldBy::MaxReplicas),
            ("ScalingLimited", "True", "ScaleUpLimit") => Some(HeldBy::ScaleUpPolicy),
            ("ScalingLimited", "True", "ScaleDownLimit") => Some(HeldBy::ScaleDownPolicy),
            ("AbleToScale", "True", "ScaleUpStabilized" | "ScaleDownStabilized") => {
                Some(HeldBy::StabilizationWindow)
            }
            _ => None,
        }
    })
}

fn reading(metric: &MetricSpec, shown: Option<&MetricStatus>, replicas: i32) -> MetricReading {
    let target = target(metric);
    let current = shown.and_then(value);
    let (aim, is) = (target.and_then(number_of_target), current.as_ref().and_then(number_of_value));
    MetricReading {
        name: name(metric),
        current: current
            .as_ref()
            .and_then(|value| text(value.average_utilization, [&value.average_value, &value.value])),
        target: target
            .and_then(|target| text(target.average_utilization, [&target.average_value, &target.value])),
        desired_replicas: aim.zip(is).and_then(|(aim, is)| proposal(replicas, is, aim)),
        error: None,
    }
}

/// The replicas that would bring the metric to its target, as the autoscaler reckons; none of its
/// tolerance, which only the outcome shows.
#[expect(clippy::cast_possible_truncation, reason = "clamped to the range before")]
fn proposal(replicas: i32, is: f64, aim: f64) -> Option<i32> {
    let proposal = (f64::from(replicas) * is / aim).ceil();
    (aim > 0.0 && proposal.is_finite()).then(|| proposal.clamp(0.0, 1e6) as i32)
}

fn text(utilization: Option<i32>, quantities: [&Option<Quantity>; 2]) -> Option<String> {
    let percent = utilization.map(|percent| format!("{percent}%"));
    percent.or_else(|| quantities.into_iter().flatten().next().map(|quantity| quantity.0.clone()))
}

fn number(utilization: Option<i32>, quantities: [&Option<Quantity>; 2]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a ratio of it is all that is wanted")]
    let of = |quantity: &Quantity| Some(milli(&quantity.0)? as f64);
    utilization.map(f64::from).or_else(|| of(quantities.into_iter().flatten().next()?))
}

fn number_of_target(target: &MetricTarget) -> Option<f64> {
    number(target.average_utilization, [&target.average_value, &target.value])
}

fn number_of_value(value: &MetricValueStatus) -> Option<f64> {
    number(value.average_utilization, [&value.average_value, &value.value])
}

fn name(metric: &MetricSpec) -> String {
    let named = [
        metric.resource.as_ref().map(|source| source.name.clone()),
        metric.container_resource.as_ref().map(|source| format!("{}/{}", source.container, source.name)),
        metric.pods.as_ref().map(|source| source.metric.name.clone()),
        metric.object.as_ref().map(|source| source.metric.name.clone()),
        metric.external.as_ref().map(|source| source.metric.name.clone()),
    ];
    named.into_iter().flatten().next().unwrap_or_else(|| metric.type_.clone())
}

fn target(metric: &MetricSpec) -> Option<&MetricTarget> {
    let targets = [
        metric.resource.as_ref().map(|source| &source.target),
        metric.container_resource.as_ref().map(|source| &source.target),
        metric.pods.as_ref().map(|source| &source.target),
        metric.object.as_ref().map(|source| &source.target),
        metric.external.as_ref().map(|source| &source.target),
    ];
    targets.into_iter().flatten().next()
}

fn is_of(shown: &MetricStatus, metric: &MetricSpec) -> bool {
    let shown_name = [
        shown.resource.as_ref().map(|source| source.name.clone()),
        shown.container_resource.as_ref().map(|source| format!("{}/{}", source.container, source.name)),
        shown.pods.as_ref().map(|source| source.metric.name.clone()),
        shown.object.as_ref().map(|source| source.metric.name.clone()),
        shown.external.as_ref().map(|source| source.metric.name.clone()),
    ];
    shown.type_ == metric.type_ && shown_name.into_iter().flatten().next() == Some(name(metric))
}

fn value(shown: &MetricStatus) -> Option<MetricValueStatus> {
    let values = [
        shown.resource.as_ref().map(|source| &source.current),
        shown.container_resource.as_ref().map(|source| &source.current),
        shown.pods.as_ref().map(|source| &source.current),
        shown.object.as_ref().map(|source| &source.current),
        shown.external.as_ref().map(|source| &source.current),
    ];
    values.into_iter().flatten().next().cloned()
}

/// A number as Kubernetes writes it, to a thousandth.
pub(super) fn quantity(value: f64) -> Quantity {
    let milli = (value * 1000.0).round();
    Quantity(if milli % 1000.0 == 0.0 { format!("{}", milli / 1000.0) } else { format!("{milli}m") })
}
