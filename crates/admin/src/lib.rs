//! The reference admin: keeps what pattern runners measure, and tells it to those who scale.
//!
//! It serves `prism.metrics.v1` and `grpc.health.v1`, and forgets everything when it ends: runners report
//! again within seconds. [`Admin`] runs inside any process, so that tests and rehearsals can stop, kill
//! and restart it, and let it misbehave by [`faults::Faults`].
//!
//! ```no_run
//! # async fn example(certificate: Vec<u8>, key: Vec<u8>) -> Result<(), prism_admin::Error> {
//! use prism_admin::{Admin, Fault, Tls};
//!
//! let admin = Admin::builder().tls(Tls::from_pem(certificate, key)).start().await?;
//! println!("https://{}", admin.address());
//! admin.faults().set(Fault::Hung);
//! admin.stop().await
//! # }
//! ```

mod connection;
mod error;
pub mod faults;
pub mod metrics;
mod server;
mod tls;

pub use error::Error;
pub use faults::{Fault, Faults};
pub use metrics::store::Store;
pub use server::{Admin, Builder};
pub use tls::Tls;
