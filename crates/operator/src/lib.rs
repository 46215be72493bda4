//! The Kubernetes operator for Prism.
//!
//! `watches` fill caches and wake objects, `managed` looks at one of them: `gather` collects the
//! facts, the planner decides, `apply` writes what differs and `report` tells the user. What differs
//! between the kinds stands in `cluster`, `stack`, `pattern` and `backend`.

mod apply;
mod autoscaler;
mod backend;
mod background;
mod cluster;
mod config;
mod context;
mod farewell;
mod gather;
mod gauges;
mod idle_cache;
mod inventory;
mod kinds;
mod managed;
mod outlets;
mod ownership;
mod password;
mod pattern;
mod process;
mod report;
mod scaling;
mod shortages;
mod stack;
mod steps;
mod watches;
mod work;

pub use config::Config;
pub use outlets::{ExternalMetricsConfig, ExternalScalerConfig, OutletConfig, ServiceAddress};
pub use process::{Error, Operator};
pub use scaling::sources::Trust;
