//! A real Kubernetes control plane on loopback.
//!
//! etcd, kube-apiserver, kube-controller-manager and kube-scheduler run as ordinary child processes,
//! [kwok](https://kwok.sigs.k8s.io) plays six nodes whose pods become Ready at once, and a small loop
//! of our own provisions and grows volumes. No root, no container engine; only Go, once, to build.
//!
//! | to … | use |
//! | --- | --- |
//! | have a cluster for as long as a command runs | `testbed run -- CMD`, or [`ScopedCluster`] |
//! | have a cluster that stays | `testbed up`, `testbed down`, or [`Cluster::up`], [`Cluster::down`] |
//! | write an integration test | [`Testbed::from_env`], [`TestNamespace`], [`eventually`], [`until`] |
//! | give a program a name of its own in the audit log | [`Cluster::kubeconfig_for`] |
//! | count and inspect what a program wrote | [`AuditLog`] |
//! | have the kinds of Prometheus operator, cert-manager, Gateway API or KEDA | [`definitions::third_party`] |
//! | have a real KEDA, from [`KedaPrograms`] | [`Keda::start`], [`keda::install_definitions`] |
//! | have a real Redis, NATS, Kafka or `PostgreSQL` | [`brokers`] |
//! | let requests fail, or a program die, after the n-th write | [`FaultProxy`] |
//!
//! Functions that only talk to a cluster take a [`kube::Client`] and work against any cluster.

pub mod audit;
pub mod brokers;
mod cache;
mod certs;
mod cluster;
mod component;
pub mod definitions;
mod error;
pub mod fault;
mod fixture;
mod flags;
mod folder;
mod guard;
pub mod keda;
mod kubeconfig;
mod modules;
pub mod nodes;
mod process;
mod programs;
mod progress;
mod start;
pub mod volumes;

pub use audit::AuditLog;
pub use cluster::{Cluster, ComponentState, Options, Start};
pub use definitions::ThirdParty;
pub use error::{Error, Result};
pub use fault::FaultProxy;
pub use fixture::{AUDITED_GROUP, TestNamespace, Testbed, TimedOut, eventually, until};
pub use guard::{ScopedCluster, guard};
pub use keda::{Keda, KedaPrograms};
pub use programs::Programs;
pub use progress::Progress;
