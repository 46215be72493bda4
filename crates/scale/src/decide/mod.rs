//! One decision.
//!
//! What the metrics ask for is worked out metric by metric ([`proposal`](Proposal)); the one that asks for
//! most wins. Then windows, policies and limits say how much of it is done now. A metric that cannot be read,
//! that is too old or that is no amount proposes nothing, and as long as there is one nothing goes down; with
//! none left nothing changes, until the fallback applies.
//!
//! Unlike under a `HorizontalPodAutoscaler`, a workload that was set to zero by hand does not stop its scaler:
//! it comes back to the fewest replicas allowed, as limits may change with the time of day. Pin it to zero
//! instead.

mod course;
mod drain;
mod observation;
mod problem;
mod proposal;
mod record;
mod sentence;
mod state;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use prism_api::{
    autoscaling::{Fallback, FallbackBehavior, ScalingMode},
    scaling::HeldBy,
};

pub use course::Held;
pub use drain::Pressure;
pub use observation::{Observation, Reading};
pub use problem::{Problem, ProblemKind};
pub use proposal::{Proposal, Wanted};
pub use record::is_same_decision;
pub use state::State;

use self::{course::Course, proposal::Scale};
use crate::policy::{Hold, InForce, Policy, limits_at};

/// The largest number that the schema takes anywhere.
const MOST_REPLICAS: i32 = 100_000;

/// How many replicas to run, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// When it was made.
    pub at: Timestamp,
    /// Whether it is carried out.
    pub mode: ScalingMode,
    /// Replicas that were observed.
    pub current: i32,
    /// Replicas to run.
    pub desired: i32,
    /// Replicas that the metrics ask for, or else the fallback; `None` if no metric could be read and no
    /// fallback applies.
    pub wanted: Option<i32>,
    /// Place of the metric that asks for most, among the proposals; `None` if none could be read.
    pub decided_by: Option<usize>,
    /// What keeps the replicas from what the metrics ask for.
    pub held: Option<Held>,
    /// The limits, and when to look at them again.
    pub in_force: InForce,
    /// What each metric asks for, in the order of the policy.
    pub proposals: Vec<Proposal>,
    /// Looks in a row at which no metric could be read, this one included.
    pub failed_looks: u32,
    /// Time from one look to the next.
    pub polling_interval: SignedDuration,
    /// Time without load before the last replica goes.
    cooldown: SignedDuration,
}

/// How many replicas to run at `seen.at`, and what to remember for the next look.
///
/// Total: every policy, state and observation has an answer, and the same ones have the same. After a look the
/// caller carries the decision out (in the mode `Active`) and hands the new state to the next look.
#[must_use]
pub fn decide(policy: &Policy, state: &State, seen: &Observation) -> (Decision, State) {
    let mut state = state.clone();
    state.begin(policy, seen);
    let (now, current) = (seen.at, seen.current.max(0));
    let proposals = proposals(policy, &mut state, seen);
    let decided_by = decider(&proposals);
    let asked = decided_by.and_then(|index| proposals[index].wanted.as_ref().ok());
    let is_within_tolerance = asked.is_some_and(|asked| asked.is_within_tolerance);
    let asked = asked.map(|asked| asked.replicas);
    let is_whole = proposals.iter().all(|proposal| proposal.wanted.is_ok());
    state.sight(seen, is_whole);
    state.failed_looks = if asked.is_none() { state.failed_looks.saturating_add(1) } else { 0 };
    if asked.is_some_and(|asked| asked > 0) {
        state.active_at = Some(now);
    }
    let in_force = limits_at(&policy.windows, policy.limits, now);

    let fallback = if asked.is_none() { fallback(policy, &state, current) } else { None };
    let (wish, held) = match (asked, fallback) {
        (Some(asked), _) if asked < current && !is_whole => (None, Some(HeldBy::MissingMetrics)),
        (Some(asked), _) => (Some(asked), is_within_tolerance.then_some(HeldBy::Tolerance)),
        (None, Some(fallback)) => (Some(fallback), Some(HeldBy::Fallback)),
        (None, None) => (None, Some(HeldBy::MissingMetrics)),
    };
    let mut course = Course::new(wish.unwrap_or(current), held.map(Held::by));
    if let Some(wish) = wish {
        course.bound(in_force.limits);
        course.stabilize(policy, &state, now, current);
        state.wish(now, wish);
        course.pace(policy, &state, now, current);
    }
    course.bound(in_force.limits);
    course.cool(policy, &state, now, current, in_force.limits);
    let (desired, held) = match policy.hold {
        None => (course.replicas, course.held),
        Some(Hold::Paused) => (current, Some(Held::by(HeldBy::Paused))),
        Some(Hold::Pinned(replicas)) => (replicas.clamp(0, MOST_REPLICAS), Some(Held::by(HeldBy::Pinned))),
    };
    if policy.mode == ScalingMode::Active {
        state.set(now, desired);
    }
    let decision = Decision {
        at: now,
        mode: policy.mode,
        current,
        desired,
        wanted: asked.or(fallback),
        decided_by,
        held,
        in_force,
        proposals,
        failed_looks: state.failed_looks,
        polling_interval: policy.polling_interval,
        cooldown: policy.cooldown,
    };
    (decision, state)
}

fn proposals(policy: &Policy, state: &mut State, seen: &Observation) -> Vec<Proposal> {
    let scale = Scale::new(seen, policy.down.tolerance, policy.up.tolerance);
    let metrics = policy.metrics.iter().enumerate();
    metrics
        .map(|(index, metric)| {
            let wanted = observation::usable(policy, seen, index, metric.target).and_then(|reading| {
                let drain = state.drains.entry(metric.name.clone()).or_default();
                proposal::wanted(metric, reading, scale, drain)
            });
            Proposal { name: metric.name.clone(), target: metric.target, wanted }
        })
        .collect()
}

/// The metric that asks for most replicas; of several, the first.
fn decider(proposals: &[Proposal]) -> Option<usize> {
    let wanted = proposals.iter().enumerate();
    let wanted =
        wanted.filter_map(|(index, proposal)| Some((index, proposal.wanted.as_ref().ok()?.replicas)));
    wanted.rev().max_by_key(|(_, replicas)| *replicas).map(|(index, _)| index)
}

/// The replicas to run without any metric; `None` as long as looks have not failed often enough in a row.
fn fallback(policy: &Policy, state: &State, current: i32) -> Option<i32> {
    let Fallback { failure_threshold, replicas, behavior } = policy.fallback.as_ref()?;
    let threshold = u32::try_from(*failure_threshold).unwrap_or(0);
    if state.failed_looks < threshold.max(1) {
        return None;
    }
    Some(match behavior.unwrap_or(FallbackBehavior::Static) {
        FallbackBehavior::Static => *replicas,
        FallbackBehavior::CurrentReplicas => current,
        FallbackBehavior::CurrentReplicasIfHigher => current.max(*replicas),
        FallbackBehavior::CurrentReplicasIfLower => current.min(*replicas),
    })
}
