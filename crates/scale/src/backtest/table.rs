//! Outcomes side by side, as text.

use super::outcome::Outcome;
use crate::number::plain;

/// The figures of each named outcome in a column of its own, and below them what they cannot tell.
#[must_use]
pub fn table(outcomes: &[(&str, &Outcome)]) -> String {
    let row = |name: &str, figure: &dyn Fn(&Outcome) -> String| {
        let figures = outcomes.iter().map(|(_, outcome)| figure(outcome));
        std::iter::once(name.to_owned()).chain(figures).collect::<Vec<_>>()
    };
    let names = outcomes.iter().map(|(name, _)| (*name).to_owned());
    let rows = [
        std::iter::once(String::new()).chain(names).collect(),
        row("largest value", &|outcome| outcome.peak().map_or_else(|| "-".to_owned(), plain)),
        row("minutes over target", &|outcome| format!("{:.1}", outcome.over_target.as_secs_f64() / 60.0)),
        row("replica-hours", &|outcome| format!("{:.1}", outcome.replica_hours())),
        row("changes", &|outcome| outcome.changes().to_string()),
        row("fewest replicas", &|outcome| outcome.range().0.to_string()),
        row("most replicas", &|outcome| outcome.range().1.to_string()),
        row("looks", &|outcome| outcome.points.len().to_string()),
        row("looks that lacked a metric", &|outcome| outcome.blind_looks.to_string()),
    ];
    let width =
        |column: usize| rows.iter().map(|row: &Vec<String>| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..=outcomes.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let figures = row.iter().zip(&widths).skip(1).map(|(figure, width)| format!("  {figure:>width$}"));
        format!("{:<1$}{2}\n", row[0], widths[0], figures.collect::<String>())
    };
    let text: String = rows.iter().map(line).collect();
    let note = if outcomes.iter().all(|(_, outcome)| outcome.reacts) {
        "What waits was computed from the arrivals: one queue for all replicas, and each as fast as the others."
    } else {
        "The recorded values do not react to the simulated replicas. That is right for what is the same with any
number of them, such as a request rate. A lag or a utilization would have been another: replay arrivals
with --queue instead."
    };
    let judged = if outcomes.len() > 1 { "Each policy is judged by its own target. " } else { "" };
    format!("{text}\n{judged}{note}\n")
}
