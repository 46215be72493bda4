//! What the planner has to be told of the world.

use std::collections::BTreeMap;

use prism_api::{backend::PrismBackendSpec, connection::SecretRef};

use crate::{
    backend::{self, ResolvedBackend, ServiceView},
    consent::Consents,
    defaults::Defaults,
    program::ProgramFacts,
};

/// All that a plan depends on, beside the pattern itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The runner, as far as it exists.
    pub runner: ProgramFacts,
    /// The `PrismBackend`s that the pattern may use, by the name it uses.
    pub backends: BTreeMap<String, BackendFacts>,
    /// Host and port of the admin of its stack.
    pub admin: Option<String>,
    /// Namespace of the stack that has placed it, where that is another one: on behalf of that namespace it
    /// refers to things. `None`: on behalf of its own.
    pub home: Option<String>,
    /// What namespaces let others do in them.
    pub consents: Consents,
    /// What this operator fills in.
    pub defaults: Defaults,
}

/// A `PrismBackend`, as far as its patterns are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendFacts {
    /// What speaks at the other end: `redis`, `nats`, `kafka` …; `None` if nothing tells.
    pub provider: Option<String>,
    /// Its address, as written.
    pub url: Option<String>,
    /// The Secret that holds its address or credentials.
    pub secret: Option<SecretRef>,
    /// The namespace of the `PrismBackend`, and of a Secret that names none.
    pub namespace: String,
    /// Whether it refers to a Service in a namespace that does not consent to that.
    pub is_refused: bool,
}

impl BackendFacts {
    /// What `spec` says of the backend `name` of `namespace`. `service` is what is known of the Service
    /// that its `serviceRef` names.
    #[must_use]
    pub fn new(spec: &PrismBackendSpec, name: &str, namespace: &str, service: &ServiceView) -> Self {
        let ResolvedBackend { namespace, provider, is_provider_told, address, secret, .. } =
            backend::resolve(spec, name, namespace, service.facts());
        Self {
            provider: Some(provider).filter(|_| is_provider_told),
            is_refused: *service == ServiceView::Refused && address.is_none(),
            url: address,
            secret,
            namespace,
        }
    }
}
