//! Connections to addresses that users name.
//!
//! The operator connects from inside the cluster, with an address of its own: whoever may write a custom resource
//! must not reach by it what he cannot reach himself. A [`Dialer`] resolves a name once, asks its [`Policy`] about
//! each address, and connects to the very address that was asked about: what the name means a moment later does not
//! count. It honours no proxy of the environment. Following redirects is up to the client above it; none of ours does.

mod connector;
mod dialer;
mod error;
mod policy;
mod ranges;

pub use connector::{Connector, Within};
pub use dialer::Dialer;
pub use error::DialError;
pub use policy::{Policy, Refusal};
pub use ranges::{BadRange, Range};
