//! Which backends a pattern uses, and how its pods reach them.

use prism_api::{
    connection::{BackendUse, SecretRef},
    pattern::{PrismPattern, PrismPatternSpec},
    schema::FreeForm,
};
use serde_json::Value;

use super::facts::{BackendFacts, Facts};
use crate::{
    backend::{address::with_scheme, provider::SELF_CONTAINED},
    consent::Crossing,
};

/// Backend types that a pattern may name directly, with the settings that hold their address.
const KNOWN_TYPES: [(&str, &[&str]); 9] = [
    ("redis", &["redisUrl"]),
    ("nats", &["natsUrl"]),
    ("kafka", &["bootstrapServers", "brokers"]),
    ("postgres", &["postgresUrl", "databaseUrl"]),
    ("mysql", &["databaseUrl"]),
    ("minio", &["minioUrl", "endpoint"]),
    ("s3", &["endpoint"]),
    ("rabbitmq", &["rabbitmqUrl", "amqpUrl"]),
    ("sqs", &["queueURL", "queueUrl"]),
];

/// Settings that hold the address of any backend.
const COMMON_ADDRESSES: [&str; 2] = ["connectionString", "url"];

/// One backend of a pattern, as far as it could be found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backend {
    /// The name in the spec.
    pub name: String,
    /// What speaks at the other end; the name, if nothing tells.
    pub provider: String,
    /// Its address, when that is no secret.
    pub url: Option<String>,
    /// The Secret, in the pattern's own namespace, that holds address or credentials.
    pub secret: Option<SecretRef>,
    /// Settings of this backend for this pattern.
    pub config: Option<FreeForm>,
    /// How it was found.
    pub found: Found,
}

/// How a backend was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Found {
    /// A `PrismBackend` of that name.
    Resource,
    /// A type that lives inside the runner, or whose address stands in the settings.
    BuiltIn,
    /// A type whose address stands nowhere.
    WithoutAddress,
    /// It refers to something in a namespace that does not consent.
    NotPermitted,
    /// Nothing of that name.
    #[default]
    Nowhere,
}

/// The backends of `pattern`, in the order of their use.
pub(super) fn resolve(pattern: &PrismPattern, facts: &Facts) -> Vec<Backend> {
    let namespace = pattern.metadata.namespace.as_deref().unwrap_or_default();
    let mut backends: Vec<Backend> = Vec::new();
    for used in named(&pattern.spec) {
        if backends.iter().all(|known| known.name != used.name()) {
            backends.push(find(&pattern.spec, &used, namespace, facts));
        }
    }
    backends
}

/// What is said of a backend that refers to something that it may not use.
pub(super) fn not_permitted(name: &str) -> String {
    format!(
        "backend {name} refers to another namespace, which does not consent to that: use a PrismBackend and a Secret of this namespace, or let the other namespace carry the label prism.io/backend-type"
    )
}

fn named(spec: &PrismPatternSpec) -> Vec<BackendUse> {
    let first = spec.backend.clone().map(BackendUse::Name);
    first.into_iter().chain(spec.backends.iter().cloned()).collect()
}

/// A `PrismBackend` of that name, or the one that `backendConfig` refers to, or a built-in type.
fn find(spec: &PrismPatternSpec, used: &BackendUse, namespace: &str, facts: &Facts) -> Backend {
    let backend =
        Backend { name: used.name().to_owned(), config: used.config().cloned(), ..Backend::default() };
    if let Some(resource) = facts.backends.get(used.name()) {
        return from_resource(backend, resource, namespace, facts);
    }
    let built_in = built_in(backend.clone(), spec);
    match spec.backend_config.as_ref().and_then(reference) {
        _ if built_in.found == Found::BuiltIn => built_in,
        Some((_, Some(other))) if other != namespace => Backend { found: Found::NotPermitted, ..built_in },
        Some((name, _)) => match facts.backends.get(name) {
            Some(resource) => from_resource(backend, resource, namespace, facts),
            None => built_in,
        },
        None => built_in,
    }
}

/// The backend, with the Secret that the pods in `namespace` may use.
fn from_resource(backend: Backend, resource: &BackendFacts, namespace: &str, facts: &Facts) -> Backend {
    let asker = facts.home.as_deref().unwrap_or(namespace);
    let may_use = |secret: &SecretRef| {
        let holder = secret.namespace.as_ref().unwrap_or(&resource.namespace);
        let crossing = Crossing::Secret { namespace: holder, name: &secret.name, pods: namespace };
        facts.consents.permit(asker, crossing)
    };
    let is_permitted = !resource.is_refused && resource.secret.as_ref().is_none_or(may_use);
    Backend {
        provider: provider_of(resource, &backend).to_owned(),
        url: resource.url.as_deref().map(|url| with_scheme(url, provider_of(resource, &backend))),
        secret: resource.secret.clone().filter(|_| is_permitted),
        found: if is_permitted { Found::Resource } else { Found::NotPermitted },
        ..backend
    }
}

fn provider_of<'a>(resource: &'a BackendFacts, backend: &'a Backend) -> &'a str {
    resource.provider.as_deref().unwrap_or(&backend.name)
}

fn built_in(backend: Backend, spec: &PrismPatternSpec) -> Backend {
    let provider = backend.name.clone();
    if SELF_CONTAINED.contains(&provider.as_str()) {
        return Backend { provider, found: Found::BuiltIn, ..backend };
    }
    let Some((_, keys)) = KNOWN_TYPES.iter().find(|(name, _)| *name == provider) else {
        return Backend { provider, ..backend };
    };
    let url = address(spec, &backend, keys).map(|url| with_scheme(&url, &provider));
    let found = if url.is_some() { Found::BuiltIn } else { Found::WithoutAddress };
    Backend { provider, url, found, ..backend }
}

/// The address in the settings: of the backend itself, then `backendConfig`, then `config`.
fn address(spec: &PrismPatternSpec, backend: &Backend, keys: &[&str]) -> Option<String> {
    let nested =
        spec.backend_config.as_ref().and_then(|all| all.get(&backend.name)).and_then(Value::as_object);
    let settings = [backend.config.as_ref(), nested, spec.backend_config.as_ref(), spec.config.as_ref()];
    settings.into_iter().flatten().find_map(|settings| {
        let mut keys = keys.iter().chain(&COMMON_ADDRESSES);
        keys.find_map(|key| settings.get(*key)).and_then(as_address)
    })
}

fn as_address(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")),
        _ => None,
    }
}

/// `backendConfig` as a reference to a `PrismBackend`: nothing but a name and perhaps a namespace.
pub(super) fn reference(config: &FreeForm) -> Option<(&str, Option<&str>)> {
    let is_reference = config.keys().all(|key| key == "name" || key == "namespace");
    let name = config.get("name").and_then(Value::as_str).filter(|_| is_reference)?;
    Some((name, config.get("namespace").and_then(Value::as_str)))
}

/// Names of the `PrismBackend`s that `spec` may mean: what has to be gathered for it.
#[must_use]
pub fn candidates(spec: &PrismPatternSpec) -> Vec<String> {
    let referred = spec.backend_config.as_ref().and_then(reference).map(|(name, _)| name.to_owned());
    named(spec).iter().map(|used| used.name().to_owned()).chain(referred).collect()
}
