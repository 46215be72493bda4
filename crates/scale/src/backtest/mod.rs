//! What a policy would have done with a recorded load.
//!
//! A replay answers one question for certain: what the algorithm decides for these values. Whether that would
//! have been enough depends on how the values react to the replicas. A request rate does not: its replay is
//! as good as the past. A lag does: more replicas would have made it smaller, and the recorded one cannot
//! know. For that there is the [`Queue`]: arrivals are replayed, and what waits is computed from what the
//! simulated replicas get done.

mod chart;
mod outcome;
mod policies;
mod queue;
mod series;
mod simulate;
mod table;
#[cfg(test)]
mod tests;

pub use chart::chart;
pub use outcome::{Outcome, Point};
pub use policies::{PolicyError, read_policy};
pub use queue::Queue;
pub use series::{Sample, Series, SeriesError};
pub use simulate::{MissingColumn, Setup, simulate};
pub use table::table;
