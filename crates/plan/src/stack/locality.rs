//! In which namespace each pattern and backend of a stack lives.
//!
//! A backend that asks for collocation draws the patterns that use it into its own namespace, if that
//! has consented: by the label `prism.io/backend-type`, perhaps narrowed to the stack's namespace.

use std::collections::{BTreeMap, BTreeSet};

use prism_api::{
    backend::LocalityStrategy,
    condition::reason,
    connection::BackendUse,
    stack::{StackBackend, StackPattern},
};

use super::{facts::Facts, resolved::ResolvedStack};
use crate::invalid::Invalid;

/// Where everything lives, and what stands against it.
#[derive(Clone, Debug, Default)]
pub(super) struct Locality {
    /// Namespace of each backend, by its name in the stack.
    backends: BTreeMap<String, String>,
    home: String,
    /// Reason and message of what could not be done as asked.
    pub(super) problems: Vec<(&'static str, String)>,
}

impl Locality {
    /// Looks at every backend of the stack.
    pub(super) fn new(stack: &ResolvedStack, facts: &Facts) -> Result<Self, Invalid> {
        let mut locality = Self { home: stack.namespace.clone(), ..Self::default() };
        for (index, backend) in stack.spec.backends.iter().enumerate() {
            let namespace = locality.of_backend(stack, index, backend, facts)?;
            locality.backends.insert(backend.name.clone(), namespace);
        }
        Ok(locality)
    }

    fn of_backend(
        &mut self,
        stack: &ResolvedStack,
        index: usize,
        backend: &StackBackend,
        facts: &Facts,
    ) -> Result<String, Invalid> {
        let wish = backend.spec.data_locality.as_ref();
        let Some(wish) = wish.filter(|wish| wish.strategy == Some(LocalityStrategy::Collocate)) else {
            return Ok(self.home.clone());
        };
        let of_service = || backend.spec.service_ref.as_ref().and_then(|service| service.namespace.clone());
        let namespace = wish.namespace.clone().or_else(of_service).ok_or_else(|| {
            Invalid::new(
                format!("spec.backends[{index}].dataLocality.namespace"),
                "name the namespace of the backend, in which its patterns are to run",
            )
        })?;
        let place = (namespace.clone(), stack.child_name(&backend.name));
        let has_consent = facts.consents.get(&namespace).is_some_and(|consent| consent.includes(&self.home));
        let is_watched = facts.scope.as_ref().is_none_or(|scope| *scope == namespace);
        if namespace == self.home || (has_consent && is_watched) {
            return Ok(namespace);
        }
        self.problems.push((
            reason::REF_NOT_PERMITTED,
            if is_watched {
                format!(
                    "spec.backends[{index}]: namespace {namespace} does not exist or has not consented to patterns of {}; let it carry the label prism.io/backend-type, or remove dataLocality",
                    self.home
                )
            } else {
                format!(
                    "spec.backends[{index}]: this operator does not look at namespace {namespace}: remove dataLocality, or let the operator watch all namespaces"
                )
            },
        ));
        // Consent that was withdrawn moves nobody: what runs there is left where it is.
        Ok(if facts.backends.contains_key(&place) { namespace } else { self.home.clone() })
    }

    /// Namespace of the backend of that name.
    pub(super) fn backend(&self, name: &str) -> &str {
        self.backends.get(name).map_or(&self.home, String::as_str)
    }

    /// Namespace of a pattern: that of its collocated backend, otherwise the stack's.
    pub(super) fn pattern(&mut self, pattern: &StackPattern) -> String {
        let used = names(pattern);
        let away: BTreeSet<&str> =
            used.iter().map(|name| self.backend(name)).filter(|namespace| *namespace != self.home).collect();
        if away.len() > 1 {
            let namespaces = away.iter().copied().collect::<Vec<_>>().join(" and ");
            self.problems.push((
                reason::COLLOCATION_CONFLICT,
                format!(
                    "pattern {} uses backends that are collocated in {namespaces}: let only one of them be collocated",
                    pattern.name
                ),
            ));
        }
        let first = used.iter().map(|name| self.backend(name)).find(|namespace| *namespace != self.home);
        first.unwrap_or(&self.home).to_owned()
    }
}

/// Names of the backends that a pattern uses, the first one first.
pub(super) fn names(pattern: &StackPattern) -> Vec<String> {
    let first = pattern.spec.backend.clone();
    first.into_iter().chain(pattern.spec.backends.iter().map(BackendUse::name).map(str::to_owned)).collect()
}
