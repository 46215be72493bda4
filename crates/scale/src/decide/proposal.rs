//! What each metric asks for.
//!
//! The algorithm of the Kubernetes documentation, "Horizontal Pod Autoscaling", section "Algorithm details":
//! `ceil(replicas * value / target)`, nothing inside the tolerance, missing and unready pods counted against
//! the direction. One rule is applied everywhere that the `HorizontalPodAutoscaler` has for metrics of pods
//! alone: a value above the target never asks for fewer replicas than there are, and one below it never for
//! more. Otherwise ten replicas of which five are ready would become six under a load that is too high. And
//! where no replica is ready, a low value says nothing.

use super::{
    drain::{Drain, Pressure},
    observation::{Observation, Reading},
    problem::{Problem, ProblemKind},
};
use crate::{
    number::{count, replicas_up},
    policy::{PolicyMetric, Target},
};

/// Room for what computing in binary adds to a ratio at the edge of the tolerance.
const ROUNDING_NOISE: f64 = 1e-9;

/// What a metric asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// Name of the metric.
    pub name: String,
    /// What it aims at.
    pub target: Target,
    /// How many replicas that takes, or why it could not be read.
    pub wanted: Result<Wanted, Problem>,
}

/// How many replicas a metric asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The replicas.
    pub replicas: i32,
    /// Whether the value is off its target, and too little for a change.
    pub is_within_tolerance: bool,
    /// What was read: the average of the replicas if each was measured, else the metric as a whole.
    pub value: f64,
    /// Whether each replica was measured.
    pub is_average: bool,
    /// What a time target was computed from.
    pub pressure: Option<Pressure>,
}

/// What proposals are computed from, apart from the metric itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) current: i32,
    pub(super) ready: i32,
    pub(super) tolerance_down: f64,
    pub(super) tolerance_up: f64,
}

impl Scale {
    pub(super) fn new(seen: &Observation, tolerance_down: f64, tolerance_up: f64) -> Self {
        Self { current: seen.current.max(0), ready: seen.ready.max(0), tolerance_down, tolerance_up }
    }

    fn tolerates(&self, ratio: f64) -> bool {
        1.0 - self.tolerance_down - ROUNDING_NOISE <= ratio
            && ratio <= 1.0 + self.tolerance_up + ROUNDING_NOISE
    }

    /// `replicas` if `ratio` is outside the tolerance and they lie in its direction, else the current ones.
    fn settle(&self, ratio: f64, replicas: i32) -> Count {
        if self.tolerates(ratio) {
            Count { replicas: self.current, is_within_tolerance: replicas != self.current }
        } else if ratio > 1.0 {
            Count { replicas: replicas.max(self.current), is_within_tolerance: false }
        } else {
            Count { replicas: replicas.clamp(0, self.current), is_within_tolerance: false }
        }
    }
}

/// A number of replicas, and whether the tolerance chose it.
struct Count {
    replicas: i32,
    is_within_tolerance: bool,
}

/// What `reading` asks for. Learns from it, if `metric` has a time target.
///
/// # Errors
/// [`Problem`] if no replica that was to be measured was, or if a time target has no throughput.
pub(super) fn wanted(
    metric: &PolicyMetric,
    reading: &Reading,
    scale: Scale,
    drain: &mut Drain,
) -> Result<Wanted, Problem> {
    let whole = |count: Count| Wanted {
        replicas: count.replicas,
        is_within_tolerance: count.is_within_tolerance,
        value: reading.value,
        is_average: false,
        pressure: None,
    };
    let instances = reading.instances.as_deref().filter(|_| scale.current > 0);
    match (metric.target, instances) {
        (Target::Value(target), _) => Ok(whole(by_ratio(reading.value / target, scale))),
        (Target::AverageValue(target), None) => Ok(whole(by_total(reading.value / target, scale))),
        (Target::Utilization(target), None) => Ok(whole(by_ratio(reading.value * 100.0 / target, scale))),
        (Target::AverageValue(target), Some(values)) => by_instances(values, target, scale),
        (Target::Utilization(target), Some(values)) => by_instances(values, target / 100.0, scale),
        (Target::DrainWithin { seconds }, _) => {
            let pressure = drain.look(reading, seconds, scale.current, scale.ready)?;
            let count = match pressure.replicas() {
                Some(replicas) => by_total(replicas, scale),
                None if scale.current == 0 => Count { replicas: 1, is_within_tolerance: false },
                None => Count { replicas: scale.current, is_within_tolerance: false },
            };
            Ok(Wanted { pressure: Some(pressure), ..whole(count) })
        }
    }
}

/// For a metric that does not say how much each replica has to do with it: as much more replicas as the value
/// is above its target.
fn by_ratio(ratio: f64, scale: Scale) -> Count {
    match (scale.current, scale.ready) {
        (0, _) => Count { replicas: replicas_up(ratio), is_within_tolerance: false },
        (current, 0) if ratio < 1.0 => Count { replicas: current, is_within_tolerance: false },
        (_, ready) => scale.settle(ratio, replicas_up(ratio * f64::from(ready))),
    }
}

/// For a metric that is shared among the replicas: `replicas` of them have just enough to do.
fn by_total(replicas: f64, scale: Scale) -> Count {
    if scale.current == 0 {
        return Count { replicas: replicas_up(replicas), is_within_tolerance: false };
    }
    scale.settle(replicas / f64::from(scale.current), replicas_up(replicas))
}

/// For a metric of each replica. Ready replicas without a value count as exactly on target on the way down,
/// and as idle on the way up; so do replicas that are not ready, on the way up.
fn by_instances(values: &[f64], target: f64, scale: Scale) -> Result<Wanted, Problem> {
    if values.is_empty() {
        return Err(Problem::new(ProblemKind::Unreadable, "no ready replica has a value"));
    }
    let measured = count(values.len());
    let total: f64 = values.iter().sum();
    let missing = (f64::from(scale.ready) - measured).max(0.0);
    let unready = f64::from(scale.current.saturating_sub(scale.ready).max(0));
    let ratio = total / measured / target;
    let (replicas, ratio_of_all) = if ratio > 1.0 {
        (total / target, total / target / (measured + missing + unready))
    } else {
        (total / target + missing, (total / target + missing) / (measured + missing))
    };
    let turns_round = (ratio > 1.0) != (ratio_of_all > 1.0);
    let count = if turns_round {
        Count { replicas: scale.current, is_within_tolerance: false }
    } else {
        scale.settle(ratio_of_all, replicas_up(replicas))
    };
    Ok(Wanted {
        replicas: count.replicas,
        is_within_tolerance: count.is_within_tolerance,
        value: total / measured,
        is_average: true,
        pressure: None,
    })
}
