//! The custom resources of `prism.io`: types, schemas, conditions and names.
//!
//! One file for each kind, and one for each block that several kinds share. The types are what a
//! user may write, aliases included, nothing resolved: making one meaning out of several spellings
//! is `prism-plan`'s work. [`crds::all_crds`] gives the manifests as a cluster should get them.

#![allow(
    unreachable_pub,
    reason = "KubeSchema repeats each struct, `pub` included, inside a function"
)]

pub mod autoscaling;
pub mod condition;
pub mod connection;
pub mod crds;
pub mod inventory;
pub mod labels;
pub mod names;
pub mod pattern;
pub mod placement;
pub mod schema;
pub mod workload;

pub use crds::all_crds;
pub use pattern::{PrismPattern, PrismPatternSpec, PrismPatternStatus};
