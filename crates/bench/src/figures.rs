//! From entries of the audit log to figures.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use prism_testbed::audit::Entry;
use serde::Serialize;

use crate::error::{Error, Result};

/// A series of writes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Writes {
    pub(crate) count: usize,
    /// From the beginning to the last answer.
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    /// Requests that the API server was at, on average.
    pub(crate) in_flight: f64,
    /// Mean time in the API server by resource, in milliseconds.
    pub(crate) mean_ms: BTreeMap<String, f64>,
    /// Answers in each second.
    pub(crate) by_second: Vec<usize>,
}

impl Writes {
    /// A series that begins with its first request.
    pub(crate) fn of(entries: &[Entry]) -> Result<Self> {
        let first = entries.iter().map(|entry| entry.received).min().ok_or(Error::NothingSeen("write"))?;
        Self::beginning(first, entries)
    }

    /// A series that begins with something else.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts and seconds"
    )]
    pub(crate) fn beginning(first: Timestamp, entries: &[Entry]) -> Result<Self> {
        let last = entries.iter().map(|entry| entry.logged).max().ok_or(Error::NothingSeen("write"))?;
        let length = seconds(first, last).max(f64::MIN_POSITIVE);
        let mut sums: BTreeMap<String, (f64, usize)> = BTreeMap::new();
        let mut by_second = vec![0; length as usize + 1];
        for entry in entries {
            let (sum, count) = sums.entry(entry.resource.clone()).or_default();
            *sum += entry.duration().as_secs_f64();
            *count += 1;
            if let Some(second) = by_second.get_mut(seconds(first, entry.logged) as usize) {
                *second += 1;
            }
        }
        let busy: f64 = sums.values().map(|(sum, _)| sum).sum();
        Ok(Self {
            count: entries.len(),
            seconds: length,
            per_second: entries.len() as f64 / length,
            in_flight: busy / length,
            mean_ms: sums
                .into_iter()
                .map(|(resource, (sum, count))| (resource, 1000.0 * sum / count as f64))
                .collect(),
            by_second,
        })
    }
}

/// When the objects of one resource were made.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Span {
    pub(crate) count: usize,
    /// Seconds from the beginning until the first of them was asked for.
    pub(crate) first: f64,
    /// Seconds from the beginning until the last of them was there.
    pub(crate) last: f64,
}

impl Span {
    /// The spans of `entries` by resource, from `beginning` on.
    pub(crate) fn by_resource(beginning: Timestamp, entries: &[Entry]) -> BTreeMap<String, Self> {
        let mut spans: BTreeMap<String, Self> = BTreeMap::new();
        for entry in entries {
            let (asked, made) = (seconds(beginning, entry.received), seconds(beginning, entry.logged));
            let span =
                spans.entry(entry.resource.clone()).or_insert(Self { count: 0, first: asked, last: made });
            *span = Self { count: span.count + 1, first: span.first.min(asked), last: span.last.max(made) };
        }
        spans
    }

    /// From the first to the last.
    pub(crate) fn seconds(&self) -> f64 {
        self.last - self.first
    }

    /// Objects in a second.
    #[allow(clippy::cast_precision_loss, reason = "a count")]
    pub(crate) fn per_second(&self) -> f64 {
        self.count as f64 / self.seconds().max(f64::MIN_POSITIVE)
    }
}

/// Time between two moments.
pub(crate) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// Middle, least and greatest of several measurements.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    /// The spread of `values`; of none, zeros.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        let (half, last) = (values.len() / 2, values.len().saturating_sub(1));
        let median = if values.len() % 2 == 1 {
            at(half)
        } else {
            f64::midpoint(at(half.saturating_sub(1)), at(half))
        };
        Self { median, least: at(0), greatest: at(last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middle_ones() {
        let median = |values: &[f64]| Spread::of(values.iter().copied()).median.to_string();
        assert_eq!(median(&[]), "0");
        assert_eq!(median(&[3.0]), "3");
        assert_eq!(median(&[9.0, 1.0, 4.0]), "4");
        assert_eq!(median(&[4.0, 1.0]), "2.5");
    }
}
