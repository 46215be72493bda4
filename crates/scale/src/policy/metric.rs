//! What to measure, and what to aim at.

use jiff::SignedDuration;
use k8s_openapi::{api::autoscaling::v2::MetricTarget, apimachinery::pkg::api::resource::Quantity};
use prism_api::{
    autoscaling::Autoscaling,
    metric::{AdminMetric, AdminMetricTarget, Metric, MetricType, TargetType},
};

use super::amount;
use crate::invalid::{Invalid, below};

/// CPU target, in percent of the request, of a block that names no metric at all.
const DEFAULT_CPU_PERCENT: i32 = 75;
/// Longest Prometheus query that serves as a name.
const LONGEST_NAME: usize = 63;

/// A metric, and what to aim at.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyMetric {
    /// Its name, as decisions show it; no two metrics of a policy have the same.
    pub name: String,
    /// What to aim at.
    pub target: Target,
    /// For [`Target::DrainWithin`]: the metric that tells how much all replicas together do in a second.
    /// `None` if that has to be asked of the source of the metric itself.
    pub rate: Option<String>,
}

/// What to aim at. All numbers are more than 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// The metric as a whole has this value.
    Value(f64),
    /// The metric divided by the replicas has this value.
    AverageValue(f64),
    /// The metric is a ratio, and this is its value in percent: a reading of 0.8 is 80.
    Utilization(f64),
    /// The metric counts what waits, and all of that is done in this time.
    DrainWithin {
        /// The time, in seconds.
        seconds: f64,
    },
}

/// The metrics of `autoscaling`, which stands at `field`: percentages first, then the list, and CPU alone
/// where both are silent.
pub(super) fn metrics(autoscaling: &Autoscaling, field: &str) -> Result<Vec<PolicyMetric>, Invalid> {
    let cpu = autoscaling
        .target_cpu_utilization_percentage
        .or(autoscaling.target_cpu_utilization)
        .or(autoscaling.target_cpu);
    let memory = autoscaling
        .target_memory_utilization_percentage
        .or(autoscaling.target_memory_utilization)
        .or(autoscaling.target_memory);
    let is_silent = cpu.is_none() && memory.is_none() && autoscaling.metrics.is_empty();
    if is_silent && !autoscaling.triggers.is_empty() {
        return Err(Invalid::new(
            below(field, "triggers"),
            "only KEDA reads these: name what to measure in metrics",
        ));
    }
    let cpu = cpu.or_else(|| is_silent.then_some(DEFAULT_CPU_PERCENT));
    let mut metrics = Vec::new();
    let percentages = [
        ("cpu", "targetCPUUtilizationPercentage", cpu),
        ("memory", "targetMemoryUtilizationPercentage", memory),
    ];
    for (name, own, percent) in percentages {
        if let Some(percent) = percent {
            let target = Target::Utilization(positive(f64::from(percent), &below(field, own))?);
            metrics.push(PolicyMetric { name: name.to_owned(), target, rate: None });
        }
    }
    for (index, metric) in autoscaling.metrics.iter().enumerate() {
        let read = resolve(metric, &below(field, &format!("metrics[{index}]")))?;
        metrics.push(PolicyMetric { name: unique(read.name, &metrics), ..read });
    }
    Ok(metrics)
}

/// `name`, with a number behind it if one of `metrics` has that name: the selectors that tell them apart are
/// too long to show.
fn unique(name: String, metrics: &[PolicyMetric]) -> String {
    let is_taken = |name: &str| metrics.iter().any(|metric| metric.name == name);
    if !is_taken(&name) {
        return name;
    }
    let numbered = (2..=metrics.len() + 1).map(|number| format!("{name} ({number})"));
    numbered.into_iter().find(|name| !is_taken(name)).unwrap_or(name)
}

fn resolve(metric: &Metric, field: &str) -> Result<PolicyMetric, Invalid> {
    let missing =
        |block: &str| Invalid::new(below(field, block), "is missing: add the block that type names");
    let (block, name, target) = match metric.type_ {
        MetricType::Resource => {
            let source = metric.resource.as_ref().ok_or_else(|| missing("resource"))?;
            ("resource", source.name.clone(), &source.target)
        }
        MetricType::ContainerResource => {
            let source = metric.container_resource.as_ref().ok_or_else(|| missing("containerResource"))?;
            ("containerResource", format!("{}/{}", source.container, source.name), &source.target)
        }
        MetricType::Pods => {
            let source = metric.pods.as_ref().ok_or_else(|| missing("pods"))?;
            ("pods", source.metric.name.clone(), &source.target)
        }
        MetricType::Object => {
            let source = metric.object.as_ref().ok_or_else(|| missing("object"))?;
            ("object", source.metric.name.clone(), &source.target)
        }
        MetricType::External => {
            let source = metric.external.as_ref().ok_or_else(|| missing("external"))?;
            ("external", source.metric.name.clone(), &source.target)
        }
        MetricType::AdminMetric => return of_admin(metric, field),
        MetricType::Prometheus => {
            let source = metric.prometheus.as_ref().ok_or_else(|| missing("prometheus"))?;
            let query = Some(&source.query).filter(|query| query.len() <= LONGEST_NAME);
            let name = metric.name.as_ref().or(query).map_or("prometheus", String::as_str);
            let read = with_target(name, source.target.as_ref(), metric, field, "prometheus")?;
            if matches!(read.target, Target::DrainWithin { .. }) && read.rate.is_none() {
                let advice =
                    "is required with drainWithin: give the query that tells how much is done in a second";
                return Err(Invalid::new(below(field, "prometheus.target.rate"), advice));
            }
            return Ok(read);
        }
    };
    let target = of_kubernetes(target, &below(&below(field, block), "target"))?;
    Ok(PolicyMetric { name, target, rate: None })
}

fn of_admin(metric: &Metric, field: &str) -> Result<PolicyMetric, Invalid> {
    let name = metric.admin_metric.as_ref().and_then(admin_name).or_else(|| metric.name.clone());
    let name = name.ok_or_else(|| {
        Invalid::new(
            below(field, "adminMetric.metricName"),
            "is required: name the metric, or set query.metric",
        )
    })?;
    let target = metric.admin_metric.as_ref().and_then(|admin| admin.target.as_ref());
    let mut read = with_target(&name, target, metric, field, "adminMetric")?;
    if matches!(read.target, Target::DrainWithin { .. }) {
        read.rate.get_or_insert_with(|| {
            let front = name.rfind(['.', '/']).map_or("", |last| &name[..=last]);
            format!("{front}throughput")
        });
    }
    Ok(read)
}

fn admin_name(admin: &AdminMetric) -> Option<String> {
    let by_query = || {
        let query = admin.query.as_ref()?;
        let metric = query.metric.as_ref()?;
        Some(query.pattern.as_ref().map_or_else(|| metric.clone(), |pattern| format!("{pattern}/{metric}")))
    };
    admin.metric_name.clone().or_else(by_query)
}

/// The target in the `block` of `metric`, which stands at `field`, or else the short form beside it.
fn with_target(
    name: &str,
    target: Option<&AdminMetricTarget>,
    metric: &Metric,
    field: &str,
    block: &str,
) -> Result<PolicyMetric, Invalid> {
    let inside = below(&below(field, block), "target");
    let (target, rate) = match (target, &metric.target) {
        (Some(target), _) => (of_target(target, &inside)?, target.rate.clone()),
        (None, Some(average)) => (Target::AverageValue(quantity(average, &below(field, "target"))?), None),
        (None, None) => {
            return Err(Invalid::new(inside, "is required: set value, averageValue or drainWithin"));
        }
    };
    Ok(PolicyMetric { name: name.to_owned(), target, rate })
}

/// The type decides how the number is meant, and without a type the field that is set.
fn of_target(target: &AdminMetricTarget, field: &str) -> Result<Target, Invalid> {
    let amounts = [("value", target.value.as_ref()), ("averageValue", target.average_value.as_ref())];
    let is_set = amounts.iter().filter(|(_, amount)| amount.is_some()).count()
        + usize::from(target.average_utilization.is_some())
        + usize::from(target.drain_within.is_some());
    if is_set != 1 && (target.type_.is_none() || target.drain_within.is_some()) {
        return Err(Invalid::new(
            field,
            "takes one number to aim at: set one of value, averageValue, averageUtilization and drainWithin",
        ));
    }
    if let Some(text) = &target.drain_within {
        let field = below(field, "drainWithin");
        let span = amount::span(text).filter(SignedDuration::is_positive);
        let span =
            span.ok_or_else(|| Invalid::new(&field, "is not a time: write 20s or 1m30s, more than 0"))?;
        return Ok(Target::DrainWithin { seconds: span.as_secs_f64() });
    }
    let number = |own: &str| {
        let mut set = amounts.iter().filter_map(|(name, amount)| Some((*name, (*amount)?)));
        let found = set.clone().find(|(name, _)| *name == own).or_else(|| set.next());
        match (found, target.average_utilization) {
            (Some((name, amount)), _) => quantity(amount, &below(field, name)),
            (None, Some(percent)) => positive(f64::from(percent), &below(field, "averageUtilization")),
            (None, None) => {
                Err(Invalid::new(below(field, own), "is required by the type: set the number to aim at"))
            }
        }
    };
    let type_ = target.type_.unwrap_or(if target.value.is_some() {
        TargetType::Value
    } else if target.average_value.is_some() {
        TargetType::AverageValue
    } else {
        TargetType::Utilization
    });
    match (type_, target.average_utilization) {
        (TargetType::Value, _) => Ok(Target::Value(number("value")?)),
        (TargetType::AverageValue, _) => Ok(Target::AverageValue(number("averageValue")?)),
        (TargetType::Utilization, Some(percent)) => {
            Ok(Target::Utilization(positive(f64::from(percent), &below(field, "averageUtilization"))?))
        }
        (TargetType::Utilization, None) => Ok(Target::Utilization(number("averageUtilization")?)),
    }
}

fn of_kubernetes(target: &MetricTarget, field: &str) -> Result<Target, Invalid> {
    let type_ = match target.type_.as_str() {
        "Value" => TargetType::Value,
        "AverageValue" => TargetType::AverageValue,
        "Utilization" => TargetType::Utilization,
        _ => {
            return Err(Invalid::new(below(field, "type"), "is none of Value, AverageValue and Utilization"));
        }
    };
    let target = AdminMetricTarget {
        type_: Some(type_),
        value: target.value.clone(),
        average_value: target.average_value.clone(),
        average_utilization: target.average_utilization,
        ..AdminMetricTarget::default()
    };
    of_target(&target, field)
}

fn quantity(quantity: &Quantity, field: &str) -> Result<f64, Invalid> {
    let number = amount::number(&quantity.0);
    let number = number.ok_or_else(|| {
        Invalid::new(field, "is neither a quantity nor a duration: write 1000, 2Gi, 250ms or 5s")
    })?;
    positive(number, field)
}

fn positive(number: f64, field: &str) -> Result<f64, Invalid> {
    if number > 0.0 && number.is_finite() {
        Ok(number)
    } else {
        Err(Invalid::new(field, "must be more than 0"))
    }
}
