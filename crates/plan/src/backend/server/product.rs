//! What the operator knows to provide, and in what the products differ.

use prism_api::backend::ProvisionSpec;

use super::{Wish, kafka, minio, nats, postgres, redis};
use crate::{
    invalid::Invalid,
    program::{Port, Program},
};

/// The products, for messages.
pub(super) const NAMES: &str = "redis, nats, postgres, minio and kafka";

/// The version that this operator was tested with, in the words of `provision.version`.
const TESTED: &str = "latest";

/// A product that the operator can run.
pub(super) struct Product {
    /// Repository of its image.
    pub(super) repository: &'static str,
    /// Tag of its image, where the spec names none.
    pub(super) tag: &'static str,
    /// User that the image is made for.
    pub(super) user: i64,
    /// Where the image keeps its data.
    pub(super) data_path: &'static str,
    /// Its ports, that of clients first.
    pub(super) ports: &'static [Port],
    /// Name of the user that clients log in as.
    pub(super) username: &'static str,
    /// Whether a database is part of its addresses.
    pub(super) has_database: bool,
    /// What the Secret holds beside the credentials, by the UID of the `PrismBackend`.
    pub(super) secret_data: fn(&str) -> Vec<(&'static str, String)>,
    /// Writes command line, environment and health checks into the program.
    pub(super) fill: fn(&mut Program, &Wish<'_>) -> Result<(), Invalid>,
}

impl Product {
    /// The product of that name.
    pub(super) fn of(provider: &str) -> Option<&'static Self> {
        match provider {
            "redis" => Some(&redis::PRODUCT),
            "nats" => Some(&nats::PRODUCT),
            "postgres" => Some(&postgres::PRODUCT),
            "minio" => Some(&minio::PRODUCT),
            "kafka" => Some(&kafka::PRODUCT),
            _ => None,
        }
    }

    /// The image, as it goes into the pod.
    pub(super) fn image(&self, provision: &ProvisionSpec) -> String {
        let tag = provision.version.as_deref().filter(|version| *version != TESTED).unwrap_or(self.tag);
        provision.image.clone().unwrap_or_else(|| format!("{}:{tag}", self.repository))
    }
}
