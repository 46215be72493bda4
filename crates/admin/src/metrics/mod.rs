//! `prism.metrics.v1`: what runners measure, kept in memory.
//!
//! `report` says what a report has to look like, `series` what the values of instances make as a whole, and
//! [`store`] keeps it. `ingest`, `service` and `watch` put that on the wire, and `faulty` distorts it on purpose.

pub(crate) mod faulty;
pub(crate) mod ingest;
pub mod report;
pub mod series;
pub(crate) mod service;
pub mod store;
mod watch;
