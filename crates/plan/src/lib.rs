//! What the operator decides, as pure functions.
//!
//! A plan depends on the custom resource, on the facts that were gathered, and on nothing else: no
//! client, no clock, no environment. Whoever calls it with the same arguments, be it the operator,
//! a command line or a test, gets the same children and the same status.

pub mod autoscaler;
pub mod backend;
pub mod because;
pub mod cluster;
pub mod conditions;
pub mod consent;
pub mod defaults;
pub mod dialed;
pub mod edge;
mod environment;
pub mod invalid;
mod owner;
pub mod pattern;
pub mod program;
pub mod quantity;
pub mod refusals;
pub mod report;
pub mod restricted;
pub mod scaling;
pub mod stack;
pub mod strict;
pub mod text;
pub mod types;
