//! What is remembered from one look to the next.
//!
//! It starts empty, and an operator that starts knows nothing: then the replicas that run count as wanted
//! just now, so nothing goes down before its window has passed once.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{drain::Drain, observation::Observation};
use crate::policy::Policy;

/// What is remembered from one look to the next: a few hundred bytes.
///
/// It follows the replicas that are *observed*: a change that somebody else made counts like one of ours, and
/// one of ours that was not carried out counts as taken back. What is decided in the mode `Active` counts as
/// done at once. In the mode `Shadow` it does not count at all: every decision is one about the replicas that
/// really run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Replicas at the end of the last look.
    replicas: Option<i32>,
    /// Numbers wanted within the window for scaling down, falling: each was the largest from then on.
    highest: Vec<Wish>,
    /// Numbers wanted within the window for scaling up, rising: each was the smallest from then on.
    lowest: Vec<Wish>,
    /// Changes of the replicas within the longest period of a policy.
    changes: Vec<Step>,
    /// When a metric last asked for a replica.
    pub(super) active_at: Option<Timestamp>,
    /// Whether not every metric could be read at the last look.
    is_blind: bool,
    /// Looks in a row at which no metric could be read.
    pub(super) failed_looks: u32,
    /// What is known for time targets, by the name of the metric.
    pub(super) drains: BTreeMap<String, Drain>,
}

/// A number of replicas that was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) at: Timestamp,
    pub(super) replicas: i32,
}

/// A change of the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    at: Timestamp,
    by: i32,
}

impl State {
    /// The state of a start that knows `rates` from before: by the name of the metric, what a replica does in
    /// a second. Without them a time target takes no replica away before work has piled up once.
    #[must_use]
    pub fn knowing(rates: BTreeMap<String, f64>) -> Self {
        let drains = rates.into_iter().map(|(name, rate)| (name, Drain::knowing(rate)));
        Self { drains: drains.collect(), ..Self::default() }
    }

    /// What a replica does in a second, for each metric of which that is known: worth keeping over a restart.
    #[must_use]
    pub fn rates(&self) -> BTreeMap<String, f64> {
        self.drains.iter().filter_map(|(name, drain)| Some((name.clone(), drain.rate()?))).collect()
    }

    /// Takes in how many replicas there are, and forgets what no longer counts.
    pub(super) fn begin(&mut self, policy: &Policy, seen: &Observation) {
        let (now, current) = (seen.at, seen.current.max(0));
        self.cap(now);
        let period = policy.up.longest_period().max(policy.down.longest_period());
        self.changes.retain(|step| is_within(step.at, now, period));
        self.drains.retain(|name, _| policy.metrics.iter().any(|metric| metric.name == *name));
        if let Some(before) = self.replicas {
            self.change(now, current.saturating_sub(before));
        }
        let is_new = self.replicas.replace(current).is_none();
        self.highest.retain(|wish| is_within(wish.at, now, policy.down.stabilization));
        self.lowest.retain(|wish| is_within(wish.at, now, policy.up.stabilization));
        if is_new {
            self.start_over(now, current);
        }
    }

    /// Every metric could be read, or not. After a blindness that outlasted all that is remembered, the
    /// replicas that run count as wanted, as at the start.
    pub(super) fn sight(&mut self, seen: &Observation, is_whole: bool) {
        let was_blind = std::mem::replace(&mut self.is_blind, !is_whole);
        if is_whole && was_blind && self.highest.is_empty() {
            self.start_over(seen.at, seen.current.max(0));
        }
    }

    /// `replicas` are wanted now.
    pub(super) fn wish(&mut self, now: Timestamp, replicas: i32) {
        while self.highest.last().is_some_and(|wish| wish.replicas <= replicas) {
            self.highest.pop();
        }
        while self.lowest.last().is_some_and(|wish| wish.replicas >= replicas) {
            self.lowest.pop();
        }
        self.highest.push(Wish { at: now, replicas });
        self.lowest.push(Wish { at: now, replicas });
    }

    /// The most replicas wanted within `window`.
    pub(super) fn highest(&self, now: Timestamp, window: SignedDuration) -> Option<Wish> {
        self.highest.iter().find(|wish| is_within(wish.at, now, window)).copied()
    }

    /// The fewest replicas wanted within `window`.
    pub(super) fn lowest(&self, now: Timestamp, window: SignedDuration) -> Option<Wish> {
        self.lowest.iter().find(|wish| is_within(wish.at, now, window)).copied()
    }

    /// There are `replicas` now.
    pub(super) fn set(&mut self, now: Timestamp, replicas: i32) {
        self.change(now, replicas.saturating_sub(self.replicas.unwrap_or(replicas)));
        self.replicas = Some(replicas);
    }

    /// By how much the replicas have changed within `period`, and when the oldest of these changes was.
    pub(super) fn changed(&self, now: Timestamp, period: SignedDuration) -> (i32, Option<Timestamp>) {
        let recent = self.changes.iter().filter(|step| is_within(step.at, now, period));
        recent.fold((0, None), |(sum, oldest), step| (step.by.saturating_add(sum), oldest.or(Some(step.at))))
    }

    fn change(&mut self, at: Timestamp, by: i32) {
        if by != 0 {
            self.changes.push(Step { at, by });
        }
    }

    fn start_over(&mut self, now: Timestamp, current: i32) {
        self.wish(now, current);
        self.active_at = Some(now);
    }

    /// The clock went back: what lies ahead of `now` happened now.
    fn cap(&mut self, now: Timestamp) {
        let wishes = self.highest.iter_mut().chain(&mut self.lowest).map(|wish| &mut wish.at);
        let changes = self.changes.iter_mut().map(|step| &mut step.at);
        for at in wishes.chain(changes).chain(&mut self.active_at) {
            *at = now.min(*at);
        }
        for drain in self.drains.values_mut() {
            drain.cap(now);
        }
    }
}

/// Whether `at` is less than `span` before `now`.
fn is_within(at: Timestamp, now: Timestamp, span: SignedDuration) -> bool {
    now.duration_since(at) < span
}
