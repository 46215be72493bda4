//! A decision as the status keeps it, and when a new one is worth writing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use prism_api::{
    pattern::ActiveScaler,
    scaling::{HeldBy, MetricReading, ScalingDecision},
};

use super::{Decision, Proposal};
use crate::{number::plain, policy::Target};

/// Two proposals that are no further apart than this share of the larger one are one that moved a little.
const SLACK: f64 = 0.1;
/// Two ends of a hold that are no further apart than this many seconds are one that moved a little.
const SLACK_SECONDS: i64 = 60;

impl Decision {
    /// The decision as the status of an object keeps it.
    #[must_use]
    pub fn record(&self) -> ScalingDecision {
        ScalingDecision {
            message: self.sentence(),
            decided_at: Some(Time(self.at)),
            scaler: Some(ActiveScaler::Admin),
            mode: Some(self.mode),
            current_replicas: self.current,
            desired_replicas: self.desired,
            decided_by: self.decided_by.map(|index| self.proposals[index].name.clone()),
            held_by: self.held.map(|held| held.by),
            held_until: self.held.and_then(|held| held.until).map(Time),
            min_replicas: Some(self.in_force.limits.min),
            max_replicas: Some(self.in_force.limits.max),
            window: self.in_force.window.clone(),
            polling_interval: i32::try_from(self.polling_interval.as_secs()).ok(),
            metrics: self.proposals.iter().map(reading).collect(),
        }
    }
}

fn reading(proposal: &Proposal) -> MetricReading {
    let wanted = proposal.wanted.as_ref();
    let percent = |ratio: f64| format!("{}%", plain(ratio));
    let (target, current) = match proposal.target {
        Target::Value(target) | Target::AverageValue(target) => {
            (plain(target), wanted.ok().map(|wanted| plain(wanted.value)))
        }
        Target::Utilization(target) => {
            (percent(target), wanted.ok().map(|wanted| percent(wanted.value * 100.0)))
        }
        Target::DrainWithin { seconds } => {
            (format!("{}s", plain(seconds)), wanted.ok().map(|wanted| plain(wanted.value)))
        }
    };
    MetricReading {
        name: proposal.name.clone(),
        current,
        target: Some(target),
        desired_replicas: wanted.ok().map(|wanted| wanted.replicas),
        error: wanted.err().map(ToString::to_string),
    }
}

/// Whether `new` says what `old` said, so that a status need not be written again.
///
/// Desired replicas, limits and mode are compared exactly, values and texts not at all. What a value that
/// moves a little at each look can tip does not count: a proposal that moved by one replica or a tenth, and
/// with it which of two metrics asks for more, or whether the wish still touches a limit or a window. The end
/// of a hold may move by a minute; one that is over ends the sameness.
#[must_use]
pub fn is_same_decision(old: &ScalingDecision, new: &ScalingDecision) -> bool {
    let is_alike = old.desired_replicas == new.desired_replicas
        && old.scaler == new.scaler
        && old.mode == new.mode
        && old.min_replicas == new.min_replicas
        && old.max_replicas == new.max_replicas
        && old.window == new.window
        && old.metrics.len() == new.metrics.len();
    let mut metrics = old.metrics.iter().zip(&new.metrics);
    let is_still = metrics.clone().all(|(old, new)| old.desired_replicas == new.desired_replicas);
    let is_close = metrics.all(|(old, new)| {
        old.name == new.name
            && old.target == new.target
            && is_near(old.desired_replicas, new.desired_replicas)
    });
    let firm = |held: Option<HeldBy>| held.filter(|held| *held != HeldBy::Tolerance);
    let is_held_alike = firm(old.held_by) == firm(new.held_by)
        || !is_still && [old.held_by, new.held_by].into_iter().flatten().all(follows_from_values);
    let is_decided_alike = old.decided_by == new.decided_by || !is_still;
    is_alike && is_close && is_held_alike && is_decided_alike && is_held_as_long(old, new)
}

fn is_near(old: Option<i32>, new: Option<i32>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => {
            let apart = old.abs_diff(new);
            apart <= 1 || f64::from(apart) <= SLACK * f64::from(old.max(new))
        }
        (old, new) => old == new,
    }
}

/// Whether a value that moves a little can begin or end this hold.
fn follows_from_values(held: HeldBy) -> bool {
    !matches!(held, HeldBy::MissingMetrics | HeldBy::Fallback | HeldBy::Paused | HeldBy::Pinned)
}

fn is_held_as_long(old: &ScalingDecision, new: &ScalingDecision) -> bool {
    match (&old.held_until, &new.held_until) {
        (Some(Time(old)), Some(Time(new))) => old.duration_since(*new).as_secs().abs() <= SLACK_SECONDS,
        (Some(Time(until)), None) => new.decided_at.as_ref().is_none_or(|now| now.0 <= *until),
        (None, _) => true,
    }
}
