//! The Kubernetes operator for Prism.
//!
//! `watches` fill caches and wake objects, `pattern` looks at one of them: `gather` collects the
//! facts, the planner decides, `apply` writes what differs and `report` tells the user.

mod apply;
mod children;
mod config;
mod context;
mod gather;
mod inventory;
mod kinds;
mod pattern;
mod process;
mod report;
mod watches;

pub use config::Config;
pub use process::{Error, Operator};
