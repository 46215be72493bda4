//! The `HorizontalPodAutoscaler` of a workload.

use k8s_openapi::{
    api::autoscaling::v2::{
        CrossVersionObjectReference, ExternalMetricSource, HPAScalingRules, HorizontalPodAutoscaler,
        HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec,
        MetricTarget, ResourceMetricSource,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use prism_api::{
    autoscaling::Autoscaling,
    labels,
    metric::{Metric, MetricType},
    pattern::ActiveScaler,
};

use super::{Control, Obstacle, Scaling, ScalingFacts, ScalingPlan, admin, usage};
use crate::invalid::Invalid;

/// CPU target, in percent of the request, of an autoscaler that was given no metric at all.
const DEFAULT_CPU_PERCENT: i32 = 75;
/// The policy by which a direction does not move.
const DISABLED: &str = "Disabled";

/// Adds the autoscaler, named after the workload it scales.
pub(super) fn build(scaling: &Scaling, facts: &ScalingFacts, plan: &mut ScalingPlan) -> Result<(), Invalid> {
    let limits = plan.limits.pinned(scaling.control);
    if scaling.control == Control::Pinned(0) {
        return Err(Invalid::new(
            format!("metadata.annotations[{}]", labels::PINNED_REPLICAS),
            "a HorizontalPodAutoscaler cannot hold a workload at zero: pin 1 or more, or set enabled: false and replicas: 0",
        ));
    }
    let metrics = if scaling.scaler == ActiveScaler::Admin {
        plan.obstacle = facts.outlets.external_metrics_closed.clone().map(Obstacle::OutletClosed);
        exported(scaling)?
    } else {
        metrics(scaling, &scaling.autoscaling)?
    };
    let sees_idle = metrics.iter().any(|metric| metric.object.is_some() || metric.external.is_some());
    if limits.min == 0 && !sees_idle {
        return Err(Invalid::new(
            format!("{}.minReplicas", scaling.field),
            "a HorizontalPodAutoscaler reaches 0 only by a metric of the type Object or External, as no pod is left to measure: set it to 1, or use the scaler keda or admin",
        ));
    }
    plan.scalers.autoscaler = Some(HorizontalPodAutoscaler {
        metadata: scaling.metadata.clone(),
        spec: Some(HorizontalPodAutoscalerSpec {
            min_replicas: Some(limits.min),
            max_replicas: limits.max,
            metrics: Some(metrics),
            behavior: behavior(scaling),
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some(scaling.target.api_version.clone()),
                kind: scaling.target.kind.clone(),
                name: scaling.target.name.clone(),
            },
        }),
        status: None,
    });
    Ok(())
}

/// How fast it scales: not at all while it is paused.
pub(super) fn behavior(scaling: &Scaling) -> Option<HorizontalPodAutoscalerBehavior> {
    let wanted = scaling.autoscaling.behavior.clone().map(with_policies);
    if scaling.control != Control::Paused {
        return wanted;
    }
    let stopped =
        || Some(HPAScalingRules { select_policy: Some(DISABLED.to_owned()), ..HPAScalingRules::default() });
    Some(HorizontalPodAutoscalerBehavior { scale_up: stopped(), scale_down: stopped() })
}

/// Metrics that the autoscaler asks the operator for.
fn exported(scaling: &Scaling) -> Result<Vec<MetricSpec>, Invalid> {
    let exports = admin::exports(scaling)?.into_iter();
    let metrics = exports.map(|export| MetricSpec {
        type_: "External".to_owned(),
        external: Some(ExternalMetricSource {
            metric: MetricIdentifier {
                name: export.name,
                selector: Some(LabelSelector {
                    match_labels: Some(export.labels),
                    ..LabelSelector::default()
                }),
            },
            target: export.target,
        }),
        ..MetricSpec::default()
    });
    Ok(metrics.collect())
}

/// The percentages first, then the list; CPU alone where both are silent.
fn metrics(scaling: &Scaling, autoscaling: &Autoscaling) -> Result<Vec<MetricSpec>, Invalid> {
    let silent = usage::is_silent(autoscaling).then_some(("cpu", DEFAULT_CPU_PERCENT));
    let percentages = usage::percentages(autoscaling).chain(silent);
    let mut metrics: Vec<_> = percentages.map(|(name, percent)| utilization(name, percent)).collect();
    for (index, metric) in autoscaling.metrics.iter().enumerate() {
        metrics.push(convert(scaling, index, metric)?);
    }
    Ok(metrics)
}

fn utilization(resource: &str, percent: i32) -> MetricSpec {
    MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: resource.to_owned(),
            target: MetricTarget {
                type_: "Utilization".to_owned(),
                average_utilization: Some(percent),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    }
}

fn convert(scaling: &Scaling, index: usize, metric: &Metric) -> Result<MetricSpec, Invalid> {
    let type_ = match metric.type_ {
        MetricType::Resource => "Resource",
        MetricType::ContainerResource => "ContainerResource",
        MetricType::Pods => "Pods",
        MetricType::Object => "Object",
        MetricType::External => "External",
        MetricType::AdminMetric | MetricType::Prometheus => {
            return Err(Invalid::new(
                format!("{}.metrics[{index}].type", scaling.field),
                "a HorizontalPodAutoscaler cannot read this metric: set scaler: admin, or use Resource, ContainerResource, Pods, Object or External",
            ));
        }
    };
    Ok(MetricSpec {
        type_: type_.to_owned(),
        resource: metric.resource.clone(),
        container_resource: metric.container_resource.clone(),
        pods: metric.pods.clone(),
        object: metric.object.clone(),
        external: metric.external.clone(),
    })
}

/// Fast up and slow down, where the spec has policies and does not choose among them.
fn with_policies(behavior: HorizontalPodAutoscalerBehavior) -> HorizontalPodAutoscalerBehavior {
    let choose = |rules: Option<HPAScalingRules>, policy: &str| {
        rules.map(|rules| HPAScalingRules {
            select_policy: rules.select_policy.clone().or_else(|| Some(policy.to_owned())),
            ..rules
        })
    };
    HorizontalPodAutoscalerBehavior {
        scale_up: choose(behavior.scale_up, "Max"),
        scale_down: choose(behavior.scale_down, "Min"),
    }
}
