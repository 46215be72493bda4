//! The metrics of all patterns, in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use prism_proto::prism::metrics::v1::{MetricQuery, PatternRef, ReportRequest};
use tokio::sync::watch;

use super::{
    report::{Refused, Report},
    series::{Descriptor, Reading, Series},
};

/// What runners have reported. Times are those of the caller's clock, so tests have one of their own.
#[derive(Debug)]
pub struct Store {
    retention: Duration,
    patterns: RwLock<HashMap<PatternRef, BTreeMap<String, Series>>>,
    changes: watch::Sender<()>,
}

/// Why a query has no value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The query does not say of what.
    #[error("the query names no {0}")]
    Name(&'static str),
    /// No instance of the pattern is known.
    #[error("no instance of pattern {0} has reported lately")]
    Pattern(String),
    /// No instance of the pattern reports the metric.
    #[error("pattern {pattern} has no metric {metric}")]
    Metric {
        /// The pattern, as `namespace/name`.
        pattern: String,
        /// The metric.
        metric: String,
    },
    /// The metric is known, of other instances.
    #[error("none of these instances of pattern {pattern} reports {metric}")]
    Instances {
        /// The pattern, as `namespace/name`.
        pattern: String,
        /// The metric.
        metric: String,
    },
}

impl Store {
    /// An empty store that forgets an instance when its value has been stale for `retention`.
    #[must_use]
    pub fn new(retention: Duration) -> Self {
        Self { retention, patterns: RwLock::default(), changes: watch::Sender::default() }
    }

    /// Takes a report that has arrived `now`, all of it or nothing.
    ///
    /// # Errors
    /// When the report breaks the contract, or contradicts what other instances report.
    pub fn report(&self, request: ReportRequest, now: SystemTime) -> Result<(), Refused> {
        let Report { pattern, instance, measurements } = Report::check(request, now)?;
        let mut patterns = self.patterns.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = patterns.get(&pattern) {
            let conflict = measurements.iter().find(|(metric, descriptor, _)| {
                known.get(metric).is_some_and(|series| !series.accepts(&instance, descriptor, now))
            });
            if let Some((metric, ..)) = conflict {
                return Err(Refused::Conflict { metric: metric.clone() });
            }
        }
        let known = patterns.entry(pattern).or_default();
        for (metric, descriptor, sample) in measurements {
            let series = known.entry(metric).or_insert_with(|| Series::new(descriptor.clone()));
            series.put(&instance, descriptor, sample);
        }
        drop(patterns);
        self.changes.send_replace(());
        Ok(())
    }

    /// The metric that is asked for, as it is `now`.
    ///
    /// # Errors
    /// When nothing is known of it.
    pub fn read(&self, query: &MetricQuery, now: SystemTime) -> Result<Reading, Missing> {
        let pattern = named(query.pattern.as_ref())?;
        if query.metric.is_empty() {
            return Err(Missing::Name("metric"));
        }
        let patterns = self.patterns.read().unwrap_or_else(PoisonError::into_inner);
        let known = patterns.get(pattern).filter(|metrics| self.is_known(metrics, now));
        let known = known.ok_or_else(|| Missing::Pattern(full_name(pattern)))?;
        let series = known.get(&query.metric).filter(|series| series.is_known(self.retention, now));
        let series = series
            .ok_or_else(|| Missing::Metric { pattern: full_name(pattern), metric: query.metric.clone() })?;
        let reading = series.read(&query.instances, self.retention, now);
        reading
            .ok_or_else(|| Missing::Instances { pattern: full_name(pattern), metric: query.metric.clone() })
    }

    /// The metrics that are known of a pattern, by name.
    ///
    /// # Errors
    /// When nothing is known of it.
    pub fn list(&self, pattern: &PatternRef, now: SystemTime) -> Result<Vec<(String, Descriptor)>, Missing> {
        let pattern = named(Some(pattern))?;
        let patterns = self.patterns.read().unwrap_or_else(PoisonError::into_inner);
        let known = patterns.get(pattern).filter(|metrics| self.is_known(metrics, now));
        let known = known.ok_or_else(|| Missing::Pattern(full_name(pattern)))?.iter();
        let known = known.filter(|(_, series)| series.is_known(self.retention, now));
        Ok(known.map(|(name, series)| (name.clone(), series.descriptor.clone())).collect())
    }

    /// Frees what is no longer told anyway.
    pub fn sweep(&self, now: SystemTime) {
        let mut patterns = self.patterns.write().unwrap_or_else(PoisonError::into_inner);
        patterns.retain(|_, metrics| {
            metrics.retain(|_, series| series.sweep(self.retention, now));
            !metrics.is_empty()
        });
    }

    /// Tells of each report; the store's own clockwork, staleness, makes no noise.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn is_known(&self, metrics: &BTreeMap<String, Series>, now: SystemTime) -> bool {
        metrics.values().any(|series| series.is_known(self.retention, now))
    }
}

/// The pattern, if namespace and name are given.
fn named(pattern: Option<&PatternRef>) -> Result<&PatternRef, Missing> {
    let pattern = pattern.filter(|pattern| !pattern.namespace.is_empty() && !pattern.name.is_empty());
    pattern.ok_or(Missing::Name("pattern by namespace and name"))
}

fn full_name(pattern: &PatternRef) -> String {
    format!("{}/{}", pattern.namespace, pattern.name)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
