//! What is seen at one look.

use jiff::{SignedDuration, Timestamp};

use super::problem::{Problem, ProblemKind};
use crate::{
    number::plain,
    policy::{Policy, Target},
};

/// What is seen at one look.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// When.
    pub at: Timestamp,
    /// Replicas in the spec of the workload; less than 0 counts as 0.
    pub current: i32,
    /// Replicas that are ready; less than 0 counts as 0.
    pub ready: i32,
    /// What was read of each metric of the policy, in its order. What is missing at the end counts as a
    /// metric that could not be read.
    pub metrics: Vec<Result<Reading, Problem>>,
}

/// A metric, as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The metric as a whole. At least 0; anything else counts as unreadable.
    pub value: f64,
    /// When the source measured it.
    pub measured_at: Timestamp,
    /// How long the source says that it holds; `None` if the source says nothing. The policy's `max_age`
    /// counts as well.
    pub valid_for: Option<SignedDuration>,
    /// Its value in each ready replica that has one, where it is measured there; further ready replicas are
    /// missing. Looked at for averages and utilization only.
    pub instances: Option<Vec<f64>>,
    /// How much all replicas together do in a second, for a time target.
    pub throughput: Option<f64>,
}

impl Reading {
    /// `value` as a whole, measured at `measured_at`, and nothing else known.
    #[must_use]
    pub const fn new(value: f64, measured_at: Timestamp) -> Self {
        Self { value, measured_at, valid_for: None, instances: None, throughput: None }
    }
}

/// The reading of the metric at `index`, if a decision can be based on it.
pub(super) fn usable<'a>(
    policy: &Policy,
    seen: &'a Observation,
    index: usize,
    target: Target,
) -> Result<&'a Reading, Problem> {
    let reading = match seen.metrics.get(index) {
        Some(Ok(reading)) => reading,
        Some(Err(problem)) => return Err(problem.clone()),
        None => return Err(Problem::new(ProblemKind::Unasked, "it was not looked at")),
    };
    let aim = match target {
        Target::Value(aim) | Target::AverageValue(aim) | Target::Utilization(aim) => aim,
        Target::DrainWithin { seconds } => seconds,
    };
    if !is_amount(aim) || aim == 0.0 {
        let sentence = format!("its target is {}, which nothing can aim at", plain(aim));
        return Err(Problem::new(ProblemKind::NoAmount, sentence));
    }
    let mut values = reading.instances.iter().flatten().chain(&reading.throughput).chain([&reading.value]);
    if let Some(value) = values.find(|value| !is_amount(**value)) {
        let sentence = format!("it reads {}, which is no amount", plain(*value));
        return Err(Problem::new(ProblemKind::NoAmount, sentence));
    }
    let longest = reading.valid_for.map_or(policy.max_age, |promise| promise.min(policy.max_age));
    let age = seen.at.duration_since(reading.measured_at);
    if age > longest {
        let (age, longest) = (age.as_secs(), longest.as_secs());
        let sentence = format!("it was measured {age} s ago, and counts for {longest} s");
        return Err(Problem::new(ProblemKind::Stale, sentence));
    }
    if age < -policy.max_age {
        let sentence = format!("it was measured {} s ahead of this clock", -age.as_secs());
        return Err(Problem::new(ProblemKind::Ahead, sentence));
    }
    Ok(reading)
}

fn is_amount(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}
