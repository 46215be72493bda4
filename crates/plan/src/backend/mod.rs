//! What becomes of a `PrismBackend`: where it is, and the server that is made for it.

pub(crate) mod address;
mod facts;
mod labels;
pub(crate) mod provider;
mod resolved;
mod secret;
mod server;
mod status;

#[cfg(test)]
mod tests;

use prism_api::backend::PrismBackend;

pub use facts::{Facts, ServiceFacts, ServiceView};
pub use resolved::{ResolvedBackend, is_provisioned, resolve};
pub use secret::name as secret_name;
pub use server::{KIND, Server, workload_name};
pub use status::{is_progress_only, refused, status};

use crate::invalid::Invalid;

/// Everything that is to be done for one backend.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the backend is.
    pub backend: ResolvedBackend,
    /// The server, where the operator provides it.
    pub server: Option<Server>,
    /// Why nothing of it is changed, if nothing is.
    pub hold: Option<String>,
}

/// Plans `backend`.
///
/// # Errors
/// When the spec asks for a server that cannot be made, or not in this way.
pub fn plan(backend: &PrismBackend, facts: &Facts) -> Result<Plan, Invalid> {
    let name = backend.metadata.name.clone().unwrap_or_default();
    let namespace = backend.metadata.namespace.clone().unwrap_or_default();
    let resolved = resolve(&backend.spec, &name, &namespace, facts.service.facts());
    let server = match backend.spec.provision.as_ref().filter(|provision| provision.is_enabled()) {
        Some(provision) => Some(server::plan(backend, provision, &resolved, facts)?),
        None => None,
    };
    let hold = facts.consents.hold(facts.home.as_deref(), &namespace);
    Ok(Plan { backend: resolved, server, hold })
}
