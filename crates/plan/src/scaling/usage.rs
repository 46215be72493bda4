//! What pods use, as something to scale by.

use prism_api::{
    autoscaling::{Autoscaling, Trigger},
    metric::Metric,
    pattern::ActiveScaler,
};

use super::Scaling;

/// Resources of pods that scalers measure. KEDA calls its triggers so, too.
const RESOURCES: [&str; 2] = ["cpu", "memory"];

/// Whether the trigger looks at the pods of the workload itself.
pub(super) fn is_of_pods(trigger: &Trigger) -> bool {
    RESOURCES.contains(&trigger.type_.as_str())
}

/// The targets for CPU and memory, in percent of the request.
pub(super) fn percentages(block: &Autoscaling) -> impl Iterator<Item = (&'static str, i32)> {
    let cpu = block.target_cpu_utilization_percentage.or(block.target_cpu_utilization).or(block.target_cpu);
    let memory = block
        .target_memory_utilization_percentage
        .or(block.target_memory_utilization)
        .or(block.target_memory);
    RESOURCES.into_iter().zip([cpu, memory]).filter_map(|(resource, percent)| Some((resource, percent?)))
}

/// Whether an autoscaler was given nothing to scale by.
pub(super) fn is_silent(block: &Autoscaling) -> bool {
    percentages(block).next().is_none() && block.metrics.is_empty()
}

/// Resources that `container` has to ask for, `cpu` or `memory`: what it uses is measured against that.
#[must_use]
pub fn measured(scaling: &Scaling, container: &str) -> Vec<&'static str> {
    let block = &scaling.autoscaling;
    let needs = |resource: &str| {
        let by_percentage = percentages(block).any(|(name, _)| name == resource);
        let by_metric = block.metrics.iter().any(|metric| measures(metric, resource, container));
        by_percentage
            || by_metric
            || match scaling.scaler {
                ActiveScaler::Hpa => resource == RESOURCES[0] && is_silent(block),
                _ => block.triggers.iter().any(|trigger| triggers(trigger, resource, container)),
            }
    };
    match scaling.scaler {
        ActiveScaler::Hpa | ActiveScaler::Keda => {
            RESOURCES.into_iter().filter(|resource| needs(resource)).collect()
        }
        ActiveScaler::Admin | ActiveScaler::None => Vec::new(),
    }
}

fn measures(metric: &Metric, resource: &str, container: &str) -> bool {
    let of_pods = metric.resource.as_ref().map(|source| (&source.name, &source.target));
    let of_container = metric.container_resource.as_ref().filter(|source| source.container == container);
    let of_container = of_container.map(|source| (&source.name, &source.target));
    let mut sources = of_pods.into_iter().chain(of_container);
    sources.any(|(name, target)| name == resource && target.average_utilization.is_some())
}

/// KEDA asks for a request whatever the target means.
fn triggers(trigger: &Trigger, resource: &str, container: &str) -> bool {
    let of_another = trigger.metadata.get("containerName").is_some_and(|name| name != container);
    trigger.type_ == resource && !of_another
}
