//! From what is wanted to what is done: limits, stabilization, policies, limits again, cooldown.
//!
//! Stabilization and policies are those of KEP-853, on its defaults. Two things differ from a
//! `HorizontalPodAutoscaler`. Replicas outside of the limits are brought back and follow the metrics in the
//! same look, not in two. And from zero, replicas come at once: no window and no policy can hold back the
//! first one, except for one that disables scaling up; doubling nothing would never end.

use jiff::{SignedDuration, Timestamp};
use prism_api::scaling::HeldBy;

use super::state::{State, Wish};
use crate::{
    number::{replicas_down, replicas_up},
    policy::{Change, Limits, Policy, Rules, Select},
};

/// What keeps the replicas from what the metrics ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// What it is.
    pub by: HeldBy,
    /// Until when; `None` if that is not known.
    pub until: Option<Timestamp>,
    /// For a stabilization window: how many replicas were wanted that hold it, and how long the window is.
    pub(super) window: Option<(i32, SignedDuration)>,
}

impl Held {
    pub(super) const fn by(by: HeldBy) -> Self {
        Self { by, until: None, window: None }
    }

    const fn until(by: HeldBy, until: Option<Timestamp>) -> Self {
        Self { by, until, window: None }
    }
}

/// A number of replicas on its way from a wish to a decision.
pub(super) struct Course {
    wish: i32,
    pub(super) replicas: i32,
    pub(super) held: Option<Held>,
}

impl Course {
    pub(super) fn new(wish: i32, held: Option<Held>) -> Self {
        Self { wish, replicas: wish, held }
    }

    /// Goes on with `replicas`. That is held by `held` if it leads away from the wish.
    fn turn(&mut self, replicas: i32, held: Held) {
        if replicas.abs_diff(self.wish) > self.replicas.abs_diff(self.wish) {
            self.held = Some(held);
        }
        self.replicas = replicas;
    }

    /// Towards the wish only as far as it was wanted all through the window of that direction.
    pub(super) fn stabilize(&mut self, policy: &Policy, state: &State, now: Timestamp, current: i32) {
        let held = |wish: Wish, window: SignedDuration| Held {
            by: HeldBy::StabilizationWindow,
            until: wish.at.checked_add(window).ok(),
            window: Some((wish.replicas, window)),
        };
        if self.replicas > current && current > 0 {
            let window = policy.up.stabilization;
            if let Some(lowest) = state.lowest(now, window).filter(|lowest| lowest.replicas < self.replicas) {
                self.turn(lowest.replicas.max(current), held(lowest, window));
            }
        } else if self.replicas < current {
            let window = policy.down.stabilization;
            if let Some(highest) =
                state.highest(now, window).filter(|highest| highest.replicas > self.replicas)
            {
                self.turn(highest.replicas.min(current), held(highest, window));
            }
        }
    }

    /// No further than the policies allow.
    pub(super) fn pace(&mut self, policy: &Policy, state: &State, now: Timestamp, current: i32) {
        if self.replicas > current {
            let (limit, until) = limit_up(&policy.up, state, now, current);
            if self.replicas > limit {
                self.turn(limit, Held::until(HeldBy::ScaleUpPolicy, until));
            }
        } else if self.replicas < current {
            let (limit, until) = limit_down(&policy.down, state, now, current);
            if self.replicas < limit {
                self.turn(limit, Held::until(HeldBy::ScaleDownPolicy, until));
            }
        }
    }

    /// Within the limits.
    pub(super) fn bound(&mut self, limits: Limits) {
        let min = limits.min.max(0);
        let max = limits.max.max(min);
        if self.replicas > max {
            self.turn(max, Held::by(HeldBy::MaxReplicas));
        } else if self.replicas < min {
            self.turn(min, Held::by(HeldBy::MinReplicas));
        }
    }

    /// The last replica stays until no metric has asked for any for the cooldown period.
    pub(super) fn cool(
        &mut self,
        policy: &Policy,
        state: &State,
        now: Timestamp,
        current: i32,
        limits: Limits,
    ) {
        if self.replicas == 0 && current > 0 && limits.max > 0 {
            let until = state.active_at.and_then(|active| active.checked_add(policy.cooldown).ok());
            if until.is_some_and(|until| now < until) {
                self.turn(1, Held::until(HeldBy::CooldownPeriod, until));
            }
        }
    }
}

/// The most replicas that the policies allow, and when they will allow more.
fn limit_up(rules: &Rules, state: &State, now: Timestamp, current: i32) -> (i32, Option<Timestamp>) {
    let limits = limits(rules, state, now, current, |start, change| match change {
        Change::Pods(pods) => start.saturating_add(pods),
        Change::Percent(percent) => replicas_up(f64::from(start) * (1.0 + f64::from(percent) / 100.0)),
    });
    let chosen = match rules.select {
        Select::Max => limits.max_by_key(|(limit, _)| *limit),
        Select::Min => limits.min_by_key(|(limit, _)| *limit),
        Select::Disabled => return (current, None),
    };
    let (limit, until) = chosen.unwrap_or((current, None));
    (limit.max(current).max(1), until)
}

/// The fewest replicas that the policies allow, and when they will allow fewer.
fn limit_down(rules: &Rules, state: &State, now: Timestamp, current: i32) -> (i32, Option<Timestamp>) {
    let limits = limits(rules, state, now, current, |start, change| match change {
        Change::Pods(pods) => start.saturating_sub(pods),
        Change::Percent(percent) => replicas_down(f64::from(start) * (1.0 - f64::from(percent) / 100.0)),
    });
    let chosen = match rules.select {
        Select::Max => limits.min_by_key(|(limit, _)| *limit),
        Select::Min => limits.max_by_key(|(limit, _)| *limit),
        Select::Disabled => return (current, None),
    };
    let (limit, until) = chosen.unwrap_or((current, None));
    (limit.min(current), until)
}

/// For each policy, what `allowed` makes of the replicas at the start of its period, and when the oldest
/// change of that period drops out of it.
fn limits<'a>(
    rules: &'a Rules,
    state: &'a State,
    now: Timestamp,
    current: i32,
    allowed: impl Fn(i32, Change) -> i32 + 'a,
) -> impl Iterator<Item = (i32, Option<Timestamp>)> + 'a {
    rules.policies.iter().map(move |pace| {
        let (changed, oldest) = state.changed(now, pace.period);
        let start = current.saturating_sub(changed).max(0);
        (allowed(start, pace.change), oldest.unwrap_or(now).checked_add(pace.period).ok())
    })
}
