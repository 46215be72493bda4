//! What came of a replay.

use jiff::{SignedDuration, Timestamp};
use prism_api::scaling::ScalingDecision;

/// What a policy did with a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The replay, look by look. There is at least one.
    pub points: Vec<Point>,
    /// Each decision that says something else than the one before it.
    pub decisions: Vec<ScalingDecision>,
    /// Time with more load than the ready replicas should have, by the target of any metric.
    pub over_target: SignedDuration,
    /// Looks at which a metric could not be read.
    pub blind_looks: u32,
    /// Whether the values reacted to the simulated replicas, as in a queue.
    pub reacts: bool,
    /// Time from one look to the next.
    pub step: SignedDuration,
}

/// One look.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// Replicas from this look on.
    pub replicas: i32,
    /// Replicas that were ready.
    pub ready: i32,
    /// What was read of the first metric; `None` if nothing could be.
    pub value: Option<f64>,
}

impl Outcome {
    /// What was paid for: one replica for one hour is 1.
    #[must_use]
    pub fn replica_hours(&self) -> f64 {
        let hours = self.step.as_secs_f64() / 3600.0;
        self.points.iter().map(|point| f64::from(point.replicas) * hours).sum()
    }

    /// How often the number of replicas changed.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.points.windows(2).filter(|pair| pair[0].replicas != pair[1].replicas).count()
    }

    /// The fewest and the most replicas.
    #[must_use]
    pub fn range(&self) -> (i32, i32) {
        let replicas = self.points.iter().map(|point| point.replicas);
        (replicas.clone().min().unwrap_or(0), replicas.max().unwrap_or(0))
    }

    /// The largest value of the first metric; `None` if none was read.
    #[must_use]
    pub fn peak(&self) -> Option<f64> {
        self.points.iter().filter_map(|point| point.value).reduce(f64::max)
    }
}
