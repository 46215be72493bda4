//! What a report has to look like.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use prism_proto::prism::metrics::v1::{
    self as wire, Measurement, MetricDescriptor, PatternRef, ReportRequest, Unit,
};

use super::series::{Aggregation, Descriptor, Sample};

/// The longest name, in bytes, as of a Kubernetes object.
const NAME: usize = 253;
/// The longest help, in bytes.
const HELP: usize = 1024;
/// The most metrics of one report.
const METRICS: usize = 256;
/// The longest promise.
const STALE_AFTER: Duration = Duration::from_hours(24);

/// Why a report is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A part has to be there and to be short.
    #[error("{part} must have 1 to {NAME} bytes")]
    Name {
        /// The part.
        part: &'static str,
    },
    /// The help is too long.
    #[error("the help of {metric} must have at most {HELP} bytes")]
    Help {
        /// The metric.
        metric: String,
    },
    /// No measurement, or too many.
    #[error("a report has 1 to {METRICS} measurements, not {count}: split it")]
    Count {
        /// How many there are.
        count: usize,
    },
    /// One metric is reported twice.
    #[error("{metric} is reported twice")]
    Twice {
        /// The metric.
        metric: String,
    },
    /// Without a promise, nobody knows when the value is old.
    #[error("stale_after must be more than zero and at most one day")]
    Promise,
    /// Unit or aggregation is missing or from a later version of the contract.
    #[error("{metric} needs a unit and an aggregation that this version of the contract knows")]
    Meaning {
        /// The metric.
        metric: String,
    },
    /// The value is no amount.
    #[error("the value of {metric} must be finite and not negative, and it is {value}")]
    Value {
        /// The metric.
        metric: String,
        /// The value, as text.
        value: String,
    },
    /// The time is none.
    #[error("measured_at of {metric} is no time between the years 1 and 9999")]
    Time {
        /// The metric.
        metric: String,
    },
    /// Instances disagree about what the numbers mean.
    #[error("another instance that still reports gives {metric} another unit or aggregation")]
    Conflict {
        /// The metric.
        metric: String,
    },
}

/// A report in which everything is as it has to be.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) pattern: PatternRef,
    pub(crate) instance: String,
    /// Metrics by name.
    pub(crate) measurements: Vec<(String, Descriptor, Sample)>,
}

impl Report {
    /// Checks a report that has arrived `now`.
    pub(crate) fn check(request: ReportRequest, now: SystemTime) -> Result<Self, Refused> {
        let ReportRequest { pattern, instance, stale_after, measurements } = request;
        let pattern = pattern.unwrap_or_default();
        let names = [
            ("pattern.namespace", &pattern.namespace),
            ("pattern.name", &pattern.name),
            ("instance", &instance),
        ];
        for (part, name) in names {
            check_name(part, name)?;
        }
        let stale_after = stale_after
            .and_then(|promise| Duration::try_from(promise).ok())
            .filter(|promise| !promise.is_zero() && *promise <= STALE_AFTER)
            .ok_or(Refused::Promise)?;
        if !(1..=METRICS).contains(&measurements.len()) {
            return Err(Refused::Count { count: measurements.len() });
        }
        let mut seen = HashSet::new();
        let measurements = measurements
            .into_iter()
            .map(|measurement| {
                let checked = check_measurement(measurement, stale_after, now)?;
                if seen.insert(checked.0.clone()) {
                    Ok(checked)
                } else {
                    Err(Refused::Twice { metric: checked.0 })
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { pattern, instance, measurements })
    }
}

fn check_name(part: &'static str, name: &str) -> Result<(), Refused> {
    if (1..=NAME).contains(&name.len()) { Ok(()) } else { Err(Refused::Name { part }) }
}

fn check_measurement(
    measurement: Measurement,
    stale_after: Duration,
    now: SystemTime,
) -> Result<(String, Descriptor, Sample), Refused> {
    let Measurement { metric, value, measured_at } = measurement;
    let MetricDescriptor { name: metric, unit, aggregation, help } = metric.unwrap_or_default();
    check_name("metric.name", &metric)?;
    if help.len() > HELP {
        return Err(Refused::Help { metric });
    }
    let unit = Unit::try_from(unit).ok().filter(|unit| *unit != Unit::Unspecified);
    let aggregation =
        wire::Aggregation::try_from(aggregation).ok().and_then(|aggregation| match aggregation {
            wire::Aggregation::Sum => Some(Aggregation::Sum),
            wire::Aggregation::Max => Some(Aggregation::Max),
            wire::Aggregation::Unspecified => None,
        });
    let (Some(unit), Some(aggregation)) = (unit, aggregation) else {
        return Err(Refused::Meaning { metric });
    };
    if !value.is_finite() || value < 0.0 {
        return Err(Refused::Value { metric, value: value.to_string() });
    }
    let measured_at = match measured_at.map(SystemTime::try_from) {
        // A clock that is ahead must not keep a value fresh for longer.
        Some(Ok(measured_at)) => measured_at.min(now),
        Some(Err(_)) => return Err(Refused::Time { metric }),
        None => now,
    };
    let descriptor = Descriptor { unit, aggregation, help };
    Ok((metric, descriptor, Sample { value, measured_at, stale_after }))
}
