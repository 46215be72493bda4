//! How many replicas a load takes.
//!
//! [`decide()`] is the whole algorithm: a function of a [`Policy`] (what is wanted), a [`State`] (what is
//! remembered) and an [`Observation`] (what is seen) to a [`Decision`] and the next state. No I/O, no clock:
//! the same arguments give the same answer, so a recorded day can be decided again in a moment, which is
//! what [`backtest`] does.
//!
//! The rules are those of a `HorizontalPodAutoscaler`: the algorithm of the Kubernetes documentation
//! ("Horizontal Pod Autoscaling"), configurable behaviour (KEP-853), tolerance for each direction (KEP-4951),
//! scaling from and to zero (KEP-2021). Where they differ, the module says so and why. Fallback, cooldown and
//! pausing are named and meant as KEDA documents them.

pub mod backtest;
pub mod decide;
mod invalid;
mod number;
pub mod policy;
mod text;

pub use decide::{Decision, Observation, Problem, ProblemKind, Reading, State, decide, is_same_decision};
pub use invalid::Invalid;
pub use policy::{Hold, InForce, Limits, Policy, Target, Window, limits_at};
pub use text::without_credentials;
