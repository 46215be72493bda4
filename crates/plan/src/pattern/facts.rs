//! What the planner has to be told of the world.

use std::collections::BTreeMap;

use prism_api::{backend::PrismBackendSpec, connection::SecretRef, workload::WorkloadKind};

use crate::defaults::Defaults;

/// All that a plan depends on, beside the pattern itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The Deployment of this pattern, if it exists.
    pub deployment: Option<WorkloadFacts>,
    /// The `StatefulSet` of this pattern, if it exists.
    pub stateful_set: Option<WorkloadFacts>,
    /// The `PrismBackend`s of the pattern's namespace that it names, by name.
    pub backends: BTreeMap<String, BackendFacts>,
    /// What this operator fills in.
    pub defaults: Defaults,
}

impl Facts {
    /// The workload of that kind, if it exists.
    #[must_use]
    pub fn workload(&self, kind: WorkloadKind) -> Option<&WorkloadFacts> {
        match kind {
            WorkloadKind::Deployment => self.deployment.as_ref(),
            WorkloadKind::StatefulSet => self.stateful_set.as_ref(),
        }
    }
}

/// A workload as it is in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadFacts {
    /// Whether its controller has seen its current spec.
    pub is_observed: bool,
    /// `spec.replicas`.
    pub desired: i32,
    /// Pods that exist.
    pub replicas: i32,
    /// Pods that are ready.
    pub ready: i32,
    /// Pods that have been ready for long enough.
    pub available: i32,
    /// Pods of the current template.
    pub updated: i32,
    /// Why it is stuck, in its controller's words.
    pub failure: Option<String>,
    /// Its volume claim templates.
    pub claims: Vec<Claim>,
}

/// A volume claim template as it is in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Name of the template.
    pub name: String,
    /// Size, a Kubernetes quantity.
    pub size: String,
    /// Storage class, if one was asked for.
    pub storage_class: Option<String>,
    /// Access modes.
    pub access_modes: Vec<String>,
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
}

/// Words for what a backend is for, in place of what it is.
const CATEGORIES: [&str; 4] = ["messaging", "database", "cache", "storage"];

impl From<&PrismBackendSpec> for BackendFacts {
    fn from(spec: &PrismBackendSpec) -> Self {
        let connection = spec.connection.clone().unwrap_or_default();
        let url = connection.url.or_else(|| spec.connection_string.clone());
        let scheme =
            url.as_deref().and_then(|url| url.split_once("://")).map(|(scheme, _)| scheme.to_owned());
        let product = spec.type_.clone().filter(|type_| !CATEGORIES.contains(&type_.as_str()));
        Self {
            provider: spec.provider.clone().or(product).or_else(|| scheme.map(provider_of_scheme)),
            secret: connection.secret_ref.or_else(|| spec.secret_ref.clone()),
            url,
        }
    }
}

fn provider_of_scheme(scheme: String) -> String {
    match scheme.as_str() {
        "rediss" => "redis".to_owned(),
        "postgresql" => "postgres".to_owned(),
        "amqp" | "amqps" => "rabbitmq".to_owned(),
        "tls" => "nats".to_owned(),
        _ => scheme,
    }
}
