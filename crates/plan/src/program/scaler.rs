//! The `HorizontalPodAutoscaler` of a program.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior,
    HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget, ResourceMetricSource,
};
use prism_api::{
    autoscaling::Autoscaling,
    metric::{Metric, MetricType},
    pattern::ActiveScaler,
};

use super::{Program, children::metadata};
use crate::invalid::Invalid;

/// CPU target, in percent of the request, of an autoscaler that was given no metric at all.
const DEFAULT_CPU_PERCENT: i32 = 75;

/// The autoscaler, named after the workload it scales. None under any other scaler.
pub(super) fn build(program: &Program) -> Result<Option<HorizontalPodAutoscaler>, Invalid> {
    let Some(autoscaling) = program.autoscaling.as_ref().filter(|_| program.scaler == ActiveScaler::Hpa)
    else {
        return Ok(None);
    };
    let max_replicas = autoscaling.max_replicas.ok_or_else(|| {
        Invalid::new(
            format!("{}.autoscaling.maxReplicas", program.field),
            "set the largest number of replicas to run, or enabled: false",
        )
    })?;
    Ok(Some(HorizontalPodAutoscaler {
        metadata: metadata(program, &program.name),
        spec: Some(HorizontalPodAutoscalerSpec {
            min_replicas: Some(autoscaling.min_replicas.unwrap_or(1)),
            max_replicas,
            metrics: Some(metrics(program, autoscaling)?),
            behavior: autoscaling.behavior.clone().map(with_policies),
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: program.kind.as_str().to_owned(),
                name: program.name.clone(),
            },
        }),
        status: None,
    }))
}

/// The percentages first, then the list; CPU alone where both are silent.
fn metrics(program: &Program, autoscaling: &Autoscaling) -> Result<Vec<MetricSpec>, Invalid> {
    let cpu = autoscaling
        .target_cpu_utilization_percentage
        .or(autoscaling.target_cpu_utilization)
        .or(autoscaling.target_cpu);
    let memory = autoscaling
        .target_memory_utilization_percentage
        .or(autoscaling.target_memory_utilization)
        .or(autoscaling.target_memory);
    let is_silent = cpu.is_none() && memory.is_none() && autoscaling.metrics.is_empty();
    let cpu = cpu.or_else(|| is_silent.then_some(DEFAULT_CPU_PERCENT));
    let percentages = [("cpu", cpu), ("memory", memory)].into_iter();
    let mut metrics: Vec<_> =
        percentages.filter_map(|(name, percent)| Some(utilization(name, percent?))).collect();
    for (index, metric) in autoscaling.metrics.iter().enumerate() {
        metrics.push(convert(program, index, metric)?);
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

fn convert(program: &Program, index: usize, metric: &Metric) -> Result<MetricSpec, Invalid> {
    let type_ = match metric.type_ {
        MetricType::Resource => "Resource",
        MetricType::ContainerResource => "ContainerResource",
        MetricType::Pods => "Pods",
        MetricType::Object => "Object",
        MetricType::External => "External",
        MetricType::AdminMetric | MetricType::Prometheus => {
            return Err(Invalid::new(
                format!("{}.autoscaling.metrics[{index}].type", program.field),
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
