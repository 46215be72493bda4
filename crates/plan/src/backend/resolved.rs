//! Where a backend is: what the planners of backends and of patterns agree on.

use prism_api::{
    backend::{Connection, PrismBackendSpec, ProvisionSpec},
    connection::{SecretRef, ServiceRef},
};

use super::{
    address::{host_port, qualified, scheme, with_scheme, without_credentials},
    facts::ServiceFacts,
    provider, secret, server,
};

/// A backend after aliases, defaults and references.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedBackend {
    /// Name of the `PrismBackend`.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// What speaks at the other end: `redis`, `nats`, `kafka` …
    pub provider: String,
    /// Whether anything but the name says so.
    pub is_provider_told: bool,
    /// Its address as it was written, with the scheme of the provider where it had none. Whoever wrote
    /// credentials into it finds them here: it is for pods, and never for a status, event or log.
    pub address: Option<String>,
    /// Its address without credentials; none if there is none, or none that could be shown for sure.
    pub endpoint: Option<String>,
    /// The Secret that holds its address or credentials. Without a namespace, it is in this one.
    pub secret: Option<SecretRef>,
}

impl ResolvedBackend {
    /// Whether the address is known, hidden in the Secret, or not needed.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.address.is_some()
            || self.secret.as_ref().is_some_and(|secret| secret.keys.contains_key("url"))
            || provider::SELF_CONTAINED.contains(&self.provider.as_str())
    }
}

/// Whether the operator runs the backend.
#[must_use]
pub fn is_provisioned(spec: &PrismBackendSpec) -> bool {
    spec.provision.as_ref().is_some_and(ProvisionSpec::is_enabled)
}

/// Resolves the backend `name` of `namespace`. `service` is what is known of the Service that
/// `serviceRef` names.
#[must_use]
pub fn resolve(
    spec: &PrismBackendSpec,
    name: &str,
    namespace: &str,
    service: Option<&ServiceFacts>,
) -> ResolvedBackend {
    let connection = spec.connection.clone().unwrap_or_default();
    let is_provisioned = is_provisioned(spec);
    let written = written(spec, &connection).filter(|_| !is_provisioned);
    let found = Found::of(spec, namespace, service).filter(|_| !is_provisioned);
    let is_elsewhere = written.is_some() || connection.host.is_some();
    let of_service = found.as_ref().filter(|_| !is_elsewhere);
    let told = provider(spec, written.as_deref(), of_service);
    let provider = told.clone().unwrap_or_else(|| name.to_owned());
    let address = if is_provisioned {
        Some(server::address(name, namespace, &provider))
    } else {
        written
            .or_else(|| from_host(&connection, &provider))
            .or_else(|| of_service.map(|found| found.address(&provider)))
    };
    let address = address.map(|address| with_scheme(&address, &provider));
    ResolvedBackend {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        endpoint: address.as_deref().and_then(without_credentials),
        address,
        secret: if is_provisioned {
            Some(generated(name, namespace, &provider))
        } else {
            connection.secret_ref.or_else(|| spec.secret_ref.clone())
        },
        is_provider_told: told.is_some(),
        provider,
    }
}

/// The address that stands in the spec.
fn written(spec: &PrismBackendSpec, connection: &Connection) -> Option<String> {
    connection.url.clone().or_else(|| spec.connection_string.clone())
}

fn from_host(connection: &Connection, provider: &str) -> Option<String> {
    let host = connection.host.as_deref()?;
    let port = connection.port.or_else(|| provider::default_port(provider));
    let database = connection.database.as_deref().filter(|_| matches!(provider, "postgres" | "mysql"));
    let path = database.map(|database| format!("/{}", super::address::escaped(database)));
    Some(format!("{}{}", host_port(host, port), path.unwrap_or_default()))
}

/// What speaks at the other end, by anything but the name of the backend.
fn provider(spec: &PrismBackendSpec, written: Option<&str>, service: Option<&Found<'_>>) -> Option<String> {
    let product = spec.type_.as_deref().filter(|type_| !provider::is_category(type_));
    let by_scheme = || {
        let found = service.and_then(|found| found.facts.connection_string.as_deref());
        written.or(found).and_then(scheme).and_then(provider::of_scheme)
    };
    let by_service = || {
        let found = service.and_then(|found| found.facts.backend_type.as_deref());
        found.filter(|type_| !provider::is_category(type_))
    };
    spec.provider.as_deref().or(product).or_else(by_scheme).or_else(by_service).map(str::to_owned)
}

/// A Service that was found.
struct Found<'a> {
    reference: &'a ServiceRef,
    namespace: &'a str,
    facts: &'a ServiceFacts,
}

impl<'a> Found<'a> {
    fn of(spec: &'a PrismBackendSpec, namespace: &'a str, facts: Option<&'a ServiceFacts>) -> Option<Self> {
        let reference = spec.service_ref.as_ref()?;
        let namespace = reference.namespace.as_deref().unwrap_or(namespace);
        Some(Self { reference, namespace, facts: facts? })
    }

    /// What its annotation says, otherwise the Service itself.
    fn address(&self, provider: &str) -> String {
        if let Some(address) = &self.facts.connection_string {
            return qualified(address, self.namespace);
        }
        let usual = provider::default_port(provider);
        let ports = &self.facts.ports;
        let offered = usual.filter(|usual| ports.contains(usual)).or_else(|| ports.first().copied());
        let port = self.reference.port.or(offered).or(usual);
        host_port(&format!("{}.{}.svc", self.reference.name, self.namespace), port)
    }
}

/// The Secret of a server of ours. Where clients take the address apart from the credentials, it does
/// not count as the one that has the address.
fn generated(name: &str, namespace: &str, provider: &str) -> SecretRef {
    let keys: &[&str] = match provider {
        "minio" | "kafka" => &[secret::USERNAME, secret::PASSWORD],
        _ => &[secret::URL, secret::USERNAME, secret::PASSWORD],
    };
    let keys = keys.iter().map(|key| ((*key).to_owned(), (*key).to_owned()));
    SecretRef { name: secret::name(name), namespace: Some(namespace.to_owned()), keys: keys.collect() }
}
