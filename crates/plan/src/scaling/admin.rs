//! Scaling by metrics that the operator itself reads: of a Prism admin, or of Prometheus.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::MetricTarget;
use prism_api::{
    autoscaling::Autoscaling,
    labels,
    metric::{Metric, MetricType, TargetType},
};
use prism_scale::{Hold, Policy, Target};

use super::{Control, Engine, Scaling};
use crate::{dialed, invalid::Invalid, types::ScaleTarget};

/// What the operator looks at, and scales by it.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The workload.
    pub target: ScaleTarget,
    /// Its namespace.
    pub namespace: String,
    /// By which rules, as written at `field`.
    pub autoscaling: Autoscaling,
    /// Path of that block.
    pub field: String,
    /// Whether somebody holds the workload where it is, or at a number.
    pub control: Control,
    /// Where each of its metrics is read.
    pub sources: Vec<Source>,
    /// Whether decisions are reported only.
    pub is_shadow: bool,
}

/// Where a metric is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// From an admin.
    Admin {
        /// Host and port, with or without a scheme. `None`: there is no admin to ask.
        endpoint: Option<String>,
        /// Namespace of the pattern.
        namespace: String,
        /// The pattern.
        pattern: String,
        /// The metric.
        metric: String,
        /// The metric that tells what all replicas together do in a second.
        rate: Option<String>,
    },
    /// From Prometheus.
    Prometheus {
        /// URL of the server.
        server: String,
        /// The query, which gives one number.
        query: String,
        /// The query that tells what all replicas together do in a second.
        rate: Option<String>,
    },
}

/// A metric that others ask the operator for.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What an autoscaler selects it by.
    pub labels: BTreeMap<String, String>,
    /// What KEDA selects it by.
    pub coordinates: BTreeMap<String, String>,
    /// The value to aim at.
    pub target: MetricTarget,
    /// How the value is meant.
    pub metric_type: Option<TargetType>,
}

impl Assignment {
    /// The rules.
    ///
    /// # Errors
    /// When the block cannot be followed.
    pub fn policy(&self) -> Result<Policy, Invalid> {
        let hold = match self.control {
            Control::Free => None,
            Control::Paused => Some(Hold::Paused),
            Control::Pinned(replicas) => Some(Hold::Pinned(replicas)),
        };
        Ok(Policy { hold, ..Policy::of(&self.autoscaling, &self.field)? })
    }
}

/// What the operator looks at; nothing where KEDA or an autoscaler decides.
pub(super) fn assignment(scaling: &Scaling) -> Result<Option<Assignment>, Invalid> {
    let assignment = Assignment {
        target: scaling.target.clone(),
        namespace: scaling.metadata.namespace.clone().unwrap_or_default(),
        autoscaling: scaling.autoscaling.clone(),
        field: scaling.field.clone(),
        control: scaling.control,
        sources: sources(scaling)?,
        is_shadow: scaling.is_shadow(),
    };
    assignment.policy()?;
    Ok(Some(assignment).filter(|_| Engine::of(scaling) == Engine::Operator))
}

/// Where each metric is read, in the order of the spec.
///
/// # Errors
/// When a metric is not one that the operator reads.
pub fn sources(scaling: &Scaling) -> Result<Vec<Source>, Invalid> {
    let Autoscaling { metrics, .. } = &scaling.autoscaling;
    if metrics.is_empty() {
        return Err(Invalid::new(
            format!("{}.metrics", scaling.field),
            "add a metric of the type AdminMetric or Prometheus to scale by",
        ));
    }
    metrics.iter().enumerate().map(|(index, metric)| source(scaling, index, metric)).collect()
}

fn source(scaling: &Scaling, index: usize, metric: &Metric) -> Result<Source, Invalid> {
    let field = format!("{}.metrics[{index}]", scaling.field);
    match (metric.type_, &metric.prometheus) {
        (MetricType::AdminMetric, _) => {
            let details = metric.admin_metric.clone().unwrap_or_default();
            let query = details.query.unwrap_or_default();
            let name =
                details.metric_name.or(query.metric).or_else(|| metric.name.clone()).ok_or_else(|| {
                    Invalid::new(format!("{field}.adminMetric.metricName"), "name the metric to scale by")
                })?;
            let target = details.target.unwrap_or_default();
            if let Some(endpoint) = &details.endpoint {
                let refused = |reason| Invalid::new(format!("{field}.adminMetric.endpoint"), reason);
                dialed::admin(endpoint).map_err(refused)?;
            }
            let rate =
                target.drain_within.is_some().then(|| target.rate.unwrap_or_else(|| throughput(&name)));
            Ok(Source::Admin {
                endpoint: details.endpoint.or_else(|| scaling.admin.clone()),
                namespace: scaling.metadata.namespace.clone().unwrap_or_default(),
                pattern: query.pattern.unwrap_or_else(|| scaling.pattern.clone()),
                metric: name,
                rate,
            })
        }
        (MetricType::Prometheus, Some(prometheus)) => {
            let refused = |reason| Invalid::new(format!("{field}.prometheus.serverAddress"), reason);
            dialed::prometheus(&prometheus.server_address).map_err(refused)?;
            let target = prometheus.target.clone().unwrap_or_default();
            if target.drain_within.is_some() && target.rate.is_none() {
                return Err(Invalid::new(
                    format!("{field}.prometheus.target.rate"),
                    "write a query for what all replicas together do in a second: drainWithin needs it",
                ));
            }
            Ok(Source::Prometheus {
                server: prometheus.server_address.clone(),
                query: prometheus.query.clone(),
                rate: target.rate,
            })
        }
        _ => Err(Invalid::new(
            format!("{field}.type"),
            "the scaler admin reads AdminMetric and Prometheus: use one of them, or the scaler hpa",
        )),
    }
}

/// The metric that tells how much is done, beside one that tells how much waits.
fn throughput(metric: &str) -> String {
    match metric.rsplit_once('.') {
        Some((family, _)) => format!("{family}.throughput"),
        None => "throughput".to_owned(),
    }
}

/// The metrics, as others ask for them.
///
/// # Errors
/// When a target means something only to the operator.
pub fn exports(scaling: &Scaling) -> Result<Vec<Export>, Invalid> {
    let policy = Policy::of(&scaling.autoscaling, &scaling.field)?;
    let sources = sources(scaling)?;
    let owner = scaling.metadata.owner_references.iter().flatten().next();
    let (kind, name) = owner.map(|owner| (owner.kind.clone(), owner.name.clone())).unwrap_or_default();
    let exports = policy.metrics.iter().zip(sources).enumerate().map(|(index, (metric, source))| {
        let (type_, quantity) = match metric.target {
            Target::Value(value) => (TargetType::Value, value),
            Target::AverageValue(value) => (TargetType::AverageValue, value),
            Target::Utilization(_) | Target::DrainWithin { .. } => {
                return Err(Invalid::new(
                    format!("{}.metrics[{index}]", scaling.field),
                    "only the operator itself knows utilization and drainWithin: set value or averageValue, or remove via",
                ));
            }
        };
        let quantity = Some(super::record::quantity(quantity));
        let labels = [
            (labels::SCALED_KIND, kind.clone()),
            (labels::SCALED_NAME, crate::text::label_value(&name)),
            (labels::SCALED_WORKLOAD, crate::text::label_value(&scaling.target.name)),
            (labels::SCALED_METRIC, index.to_string()),
        ];
        let coordinates = [
            ("kind", kind.clone()),
            ("name", name.clone()),
            ("workload", scaling.target.name.clone()),
            ("metric", index.to_string()),
        ];
        let keyed = |pairs: [(&str, String); 4]| pairs.map(|(key, value)| (key.to_owned(), value)).into();
        Ok(Export {
            name: match &source {
                Source::Admin { metric, .. } => metric.clone(),
                Source::Prometheus { .. } => format!("prometheus-{index}"),
            },
            labels: keyed(labels),
            coordinates: keyed(coordinates),
            target: match type_ {
                TargetType::AverageValue => MetricTarget {
                    type_: "AverageValue".to_owned(),
                    average_value: quantity,
                    ..MetricTarget::default()
                },
                _ => MetricTarget { type_: "Value".to_owned(), value: quantity, ..MetricTarget::default() },
            },
            metric_type: Some(type_),
        })
    });
    exports.collect()
}
