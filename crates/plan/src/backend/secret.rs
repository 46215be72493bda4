//! The credentials of a server.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use prism_api::backend::DeletionPolicy;

use super::address::escaped;
use crate::{
    program::{Program, metadata},
    text::bounded,
};

/// Key of the whole address, credentials included.
pub(super) const URL: &str = "url";
/// Key of the user's name.
pub(super) const USERNAME: &str = "username";
/// Key of the password.
pub(super) const PASSWORD: &str = "password";

/// Names of Secrets are DNS subdomains.
const NAME_LIMIT: usize = 253;

/// Name of the Secret of the backend `name`.
#[must_use]
pub fn name(name: &str) -> String {
    bounded(&format!("{name}-credentials"), NAME_LIMIT)
}

/// The Secret. Data that stays is useless without its password, so where the data outlives the
/// backend, the Secret has no owner and does so too.
pub(super) fn build(
    program: &Program,
    backend: &str,
    data: BTreeMap<String, String>,
    policy: DeletionPolicy,
) -> Secret {
    let mut metadata = metadata(program, &name(backend));
    if policy == DeletionPolicy::Retain {
        metadata.owner_references = None;
    }
    // Not as text: the API server would not tell whose the keys are that it makes of that.
    let data = data.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes()))).collect();
    Secret { metadata, type_: Some("Opaque".to_owned()), data: Some(data), ..Secret::default() }
}

/// Who may use the server.
#[derive(Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) username: &'a str,
    pub(super) password: &'a str,
    /// Database of the server, where that is a part of addresses.
    pub(super) database: Option<&'a str>,
}

impl Login<'_> {
    /// What the Secret holds: credentials, the address with them, and what the product adds.
    pub(super) fn data(&self, address: &str, more: Vec<(&'static str, String)>) -> BTreeMap<String, String> {
        let ours = [
            (URL, self.url(address)),
            (USERNAME, self.username.to_owned()),
            (PASSWORD, self.password.to_owned()),
        ];
        ours.into_iter().chain(more).map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// The address with everything a client needs. One without a scheme has no place for credentials.
    fn url(&self, address: &str) -> String {
        let Some((scheme, host)) = address.split_once("://") else { return address.to_owned() };
        let user = format!("{}:{}", escaped(self.username), escaped(self.password));
        let path = self.database.map(|database| format!("/{}", escaped(database))).unwrap_or_default();
        format!("{scheme}://{user}@{host}{path}")
    }
}
