//! The gRPC contracts of Prism, and what is generated from them.
//!
//! The `.proto` files in `proto/` are the contracts, and their comments the documentation. A client that trusts
//! the authorities of a PEM bundle:
//!
//! ```no_run
//! # use prism_proto::prism::metrics::v1::{QueryRequest, metrics_client::MetricsClient};
//! # use tonic::transport::{Certificate, Channel, ClientTlsConfig};
//! # async fn example(bundle: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
//! let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(bundle));
//! let channel = Channel::from_static("https://admin.prism.svc:8981").tls_config(tls)?.connect_lazy();
//! let answer = MetricsClient::new(channel).query(QueryRequest { queries: vec![] }).await?;
//! # Ok(())
//! # }
//! ```

mod metrics;
mod secrets;

pub use generated::{externalscaler, prism};

/// Written by the build; what is odd about it is the generator's.
#[allow(missing_docs, unreachable_pub, clippy::pedantic)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/contracts.rs"));
}
