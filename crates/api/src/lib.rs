//! The custom resources of `prism.io`: types, schemas, conditions and names.
//!
//! One file for each kind, and one for each block that several kinds share. The types are what a
//! user may write, aliases included, nothing resolved: making one meaning out of several spellings
//! is `prism-plan`'s work. [`crds::all_crds`] gives the manifests as a cluster should get them.

#![allow(
    clippy::doc_markdown,
    reason = "the comments on fields are what kubectl explain shows, as plain text"
)]
#![allow(unreachable_pub, reason = "KubeSchema repeats each struct, `pub` included, inside a function")]

pub mod autoscaler;
pub mod autoscaling;
pub mod backend;
pub mod cluster;
pub mod component;
pub mod condition;
pub mod connection;
pub mod crds;
pub mod federation;
pub mod ingress;
pub mod inventory;
pub mod labels;
pub mod metric;
pub mod names;
pub mod namespace;
pub mod observability;
pub mod pattern;
pub mod placement;
pub mod scaling;
pub mod schema;
pub mod stack;
pub mod workload;

pub use autoscaler::{PrismAutoscaler, PrismAutoscalerSpec, PrismAutoscalerStatus};
pub use backend::{PrismBackend, PrismBackendSpec, PrismBackendStatus};
pub use cluster::{PrismCluster, PrismClusterSpec, PrismClusterStatus};
pub use crds::all_crds;
pub use federation::{PrismFederation, PrismFederationSpec, PrismFederationStatus};
pub use namespace::{PrismNamespace, PrismNamespaceSpec, PrismNamespaceStatus};
pub use pattern::{PrismPattern, PrismPatternSpec, PrismPatternStatus};
pub use stack::{PrismStack, PrismStackSpec, PrismStackStatus};
