//! One metric of one pattern: what each instance measured, and what that makes as a whole.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use prism_proto::prism::metrics::v1::Unit;

/// What a metric is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What its numbers count.
    pub unit: Unit,
    /// How instances add up.
    pub aggregation: Aggregation,
    /// One sentence for people.
    pub help: String,
}

/// How the values of instances become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Their sum: they share an amount.
    Sum,
    /// The largest: each has the property by itself.
    Max,
}

/// One measured value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Finite, not negative.
    pub value: f64,
    /// When it was measured, by our clock.
    pub measured_at: SystemTime,
    /// How long it is to be trusted.
    pub stale_after: Duration,
}

/// What a series says at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What the numbers count.
    pub unit: Unit,
    /// All instances that count, with the time and the promise of the one that becomes stale first.
    pub whole: Sample,
    /// Whether no instance has a fresh value, so that the whole is made of stale ones.
    pub is_stale: bool,
    /// Every known instance that was asked for, by name.
    pub instances: Vec<InstanceReading>,
    /// When the reading becomes another one without any report; `None`: never, as far as clocks go.
    pub changes_at: Option<SystemTime>,
}

/// What one instance said last.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceReading {
    /// Name of the instance.
    pub instance: String,
    /// What it measured.
    pub sample: Sample,
    /// Whether that is stale.
    pub is_stale: bool,
}

/// The latest samples of all instances.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) descriptor: Descriptor,
    samples: BTreeMap<String, Sample>,
}

impl Sample {
    /// When the value is no longer to be trusted: a day after its report at the latest.
    fn stale_at(&self) -> SystemTime {
        self.measured_at + self.stale_after
    }

    /// Whether the value is fresh, or was so less than `margin` ago.
    fn is_within(&self, margin: Duration, now: SystemTime) -> bool {
        let limit = self.stale_after.saturating_add(margin);
        // An error means that it was measured after `now`.
        now.duration_since(self.measured_at).map_or(true, |age| age < limit)
    }

    fn is_fresh(&self, now: SystemTime) -> bool {
        self.is_within(Duration::ZERO, now)
    }
}

impl Aggregation {
    /// Never more than the largest number, so that values that are finite stay so.
    fn of(self, values: impl Iterator<Item = f64>) -> f64 {
        match self {
            Self::Sum => values.sum::<f64>().min(f64::MAX),
            Self::Max => values.fold(0.0, f64::max),
        }
    }
}

impl Series {
    pub(crate) fn new(descriptor: Descriptor) -> Self {
        Self { descriptor, samples: BTreeMap::new() }
    }

    /// Whether `instance` may describe the metric so: another one that still reports has the last word on what
    /// the numbers mean.
    pub(crate) fn accepts(&self, instance: &str, descriptor: &Descriptor, now: SystemTime) -> bool {
        self.means(descriptor)
            || !self.samples.iter().any(|(name, sample)| name != instance && sample.is_fresh(now))
    }

    /// Keeps a sample that [`Series::accepts`]; one that is older than what is known is ignored.
    pub(crate) fn put(&mut self, instance: &str, descriptor: Descriptor, sample: Sample) {
        if !self.means(&descriptor) {
            self.samples.clear();
        }
        self.descriptor = descriptor;
        match self.samples.get_mut(instance) {
            Some(known) if known.measured_at > sample.measured_at => {}
            Some(known) => *known = sample,
            None => {
                self.samples.insert(instance.to_owned(), sample);
            }
        }
    }

    /// Drops instances that have been stale for `retention`; says whether any is left.
    pub(crate) fn sweep(&mut self, retention: Duration, now: SystemTime) -> bool {
        self.samples.retain(|_, sample| sample.is_within(retention, now));
        !self.samples.is_empty()
    }

    /// Whether anything is known of the metric.
    pub(crate) fn is_known(&self, retention: Duration, now: SystemTime) -> bool {
        self.samples.values().any(|sample| sample.is_within(retention, now))
    }

    /// What is known of `instances`, or of all if that is empty; `None`: nothing.
    pub(crate) fn read(&self, instances: &[String], retention: Duration, now: SystemTime) -> Option<Reading> {
        let known: Vec<_> = self
            .samples
            .iter()
            .filter(|(name, _)| instances.is_empty() || instances.contains(name))
            .filter(|(_, sample)| sample.is_within(retention, now))
            .map(|(name, sample)| InstanceReading {
                instance: name.clone(),
                sample: *sample,
                is_stale: !sample.is_fresh(now),
            })
            .collect();
        let is_stale = known.iter().all(|one| one.is_stale);
        let counting = || known.iter().filter(|one| one.is_stale == is_stale).map(|one| &one.sample);
        let first = counting().min_by_key(|sample| sample.stale_at())?;
        let value = self.descriptor.aggregation.of(counting().map(|sample| sample.value));
        let whole = Sample { value, ..*first };
        let changes = known.iter().filter_map(|one| {
            let pause = if one.is_stale { retention } else { Duration::ZERO };
            one.sample.stale_at().checked_add(pause)
        });
        let changes_at = changes.min();
        Some(Reading { unit: self.descriptor.unit, whole, is_stale, instances: known, changes_at })
    }

    /// Whether numbers of `descriptor` can stand beside ours.
    fn means(&self, descriptor: &Descriptor) -> bool {
        self.descriptor.unit == descriptor.unit && self.descriptor.aggregation == descriptor.aggregation
    }
}
