//! What the planner of a stack has to be told of the world.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{consent::Consents, defaults::Defaults, edge::Apis, program::ProgramFacts};

/// All that a plan depends on, beside the stack itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The admin, with its members.
    pub admin: ProgramFacts,
    /// The proxy.
    pub proxy: ProgramFacts,
    /// The web console.
    pub console: ProgramFacts,
    /// The `PrismPattern`s that this stack has made, by namespace and name.
    pub patterns: BTreeMap<Place, ChildFacts>,
    /// The `PrismBackend`s that this stack has made, by namespace and name.
    pub backends: BTreeMap<Place, ChildFacts>,
    /// What namespaces let others do in them.
    pub consents: Consents,
    /// The only namespace that this operator looks at, if not all.
    pub scope: Option<String>,
    /// Optional APIs that the cluster serves.
    pub apis: Apis,
    /// Why others are not served, by kind, where more is known than that they are not.
    pub obstacles: BTreeMap<&'static str, String>,
    /// What this operator fills in.
    pub defaults: Defaults,
}

/// Namespace and name of an object.
pub type Place = (String, String);

/// Where the object with `metadata` is.
pub(super) fn place(metadata: &ObjectMeta) -> Place {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

/// A `PrismPattern` or `PrismBackend` of the stack, as far as it tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChildFacts {
    /// Whether its status speaks of its current spec.
    pub is_current: bool,
    /// Hash of the spec that it was given.
    pub spec_hash: Option<String>,
    /// Status of its condition `Ready`: `None` while there is none, or it is unknown.
    pub ready: Option<bool>,
    /// What its condition `Ready` says.
    pub message: String,
    /// Reason and message of what is wrong with a backend it names.
    pub complaint: Option<(String, String)>,
    /// Pods that are wanted.
    pub replicas: Option<i32>,
    /// Pods that serve.
    pub available: Option<i32>,
}

impl ChildFacts {
    /// Whether it is ready, as the spec with `hash` wants it.
    #[must_use]
    pub fn is_ready(&self, hash: Option<&String>) -> bool {
        self.is_current && self.spec_hash.as_ref() == hash && self.ready == Some(true)
    }
}
