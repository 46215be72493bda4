//! In which namespace each pattern and backend of a stack lives.
//!
//! A backend that asks for collocation draws the patterns that use it into its own namespace, if that
//! consents. Where it does not, or no longer does, nothing is made and nothing is changed there: what
//! exists stays as it is, and everything else runs at home.

use std::collections::{BTreeMap, BTreeSet};

use prism_api::{
    backend::LocalityStrategy,
    condition::reason,
    connection::BackendUse,
    stack::{StackBackend, StackPattern},
};

use super::{facts::Facts, resolved::ResolvedStack};
use crate::{
    backend::is_provisioned,
    consent::{Consent, Crossing},
    invalid::Invalid,
    restricted::{self, Setting},
};

/// Where one pattern or backend lives.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Spot {
    /// In the namespace of the stack.
    Home,
    /// In another one, on its terms.
    Guest(String, Consent),
    /// In another one that does not consent, or not to this: it stays as it is.
    Frozen(String),
    /// Nowhere yet, with what it waits for: it has data, which would not follow it.
    Waiting(String),
}

impl Spot {
    /// The namespace, where it is not that of the stack.
    pub(super) fn away(&self) -> Option<&str> {
        match self {
            Self::Home | Self::Waiting(_) => None,
            Self::Guest(namespace, _) | Self::Frozen(namespace) => Some(namespace),
        }
    }
}

/// Where everything lives, and what stands against it.
#[derive(Clone, Debug, Default)]
pub(super) struct Locality {
    /// Spot of each backend, by its name in the stack.
    backends: BTreeMap<String, Spot>,
    /// Reason and message of what could not be done as asked.
    pub(super) problems: Vec<(&'static str, String)>,
}

impl Locality {
    /// Finds a spot for every backend of the stack.
    pub(super) fn new(stack: &ResolvedStack, facts: &Facts) -> Result<Self, Invalid> {
        let mut locality = Self::default();
        for (index, backend) in stack.spec.backends.iter().enumerate() {
            let spot = locality.find(stack, index, backend, facts)?;
            locality.backends.insert(backend.name.clone(), spot);
        }
        Ok(locality)
    }

    fn find(
        &mut self,
        stack: &ResolvedStack,
        index: usize,
        backend: &StackBackend,
        facts: &Facts,
    ) -> Result<Spot, Invalid> {
        if !asks_for_collocation(backend) {
            return Ok(Spot::Home);
        }
        let namespace = wish(backend).ok_or_else(|| {
            Invalid::new(
                format!("spec.backends[{index}].dataLocality.namespace"),
                "name the namespace of the backend, in which its patterns are to run",
            )
        })?;
        if namespace == stack.namespace {
            return Ok(Spot::Home);
        }
        let refusal = match terms(stack, namespace, facts) {
            Ok(consent) => match restricted::refused_backend(&backend.spec, consent.settings()) {
                None => return Ok(Spot::Guest(namespace.to_owned(), consent.clone())),
                Some(setting) => disallowed(namespace, setting),
            },
            Err(refusal) => refusal,
        };
        let place = (namespace.to_owned(), stack.child_name(&backend.name));
        let exists = facts.backends.contains_key(&place);
        let left = if exists { LEFT } else { "" };
        self.problems.push((reason::REF_NOT_PERMITTED, format!("spec.backends[{index}]: {refusal}{left}")));
        Ok(if exists {
            Spot::Frozen(namespace.to_owned())
        } else if is_provisioned(&backend.spec) {
            Spot::Waiting(refusal)
        } else {
            Spot::Home
        })
    }

    /// Spot of the backend of that name.
    pub(super) fn backend(&self, name: &str) -> &Spot {
        self.backends.get(name).unwrap_or(&Spot::Home)
    }

    /// Spot of a pattern: that of its collocated backend, otherwise at home.
    pub(super) fn pattern(&mut self, stack: &ResolvedStack, pattern: &StackPattern, facts: &Facts) -> Spot {
        let used = names(pattern);
        let away: BTreeSet<&str> = used.iter().filter_map(|name| self.backend(name).away()).collect();
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
        let first = used.iter().map(|name| self.backend(name)).find(|spot| spot.away().is_some()).cloned();
        let Some(spot) = first else { return Spot::Home };
        let namespace = spot.away().unwrap_or(&stack.namespace).to_owned();
        let exists = facts.patterns.contains_key(&(namespace.clone(), stack.child_name(&pattern.name)));
        let Spot::Guest(_, consent) = &spot else {
            return if exists { Spot::Frozen(namespace) } else { Spot::Home };
        };
        let Some(setting) = restricted::refused_pattern(&pattern.spec, consent.settings()) else {
            return spot;
        };
        let left = if exists { LEFT } else { "" };
        let refusal = disallowed(&namespace, setting);
        self.problems.push((reason::REF_NOT_PERMITTED, format!("pattern {}: {refusal}{left}", pattern.name)));
        if exists { Spot::Frozen(namespace) } else { Spot::Home }
    }
}

/// What is added where something is there already.
const LEFT: &str = "; what runs there is left as it is";

/// The terms on which the stack may place objects in `namespace`, or why it may not.
fn terms<'a>(stack: &ResolvedStack, namespace: &str, facts: &'a Facts) -> Result<&'a Consent, String> {
    if facts.scope.as_ref().is_some_and(|scope| scope != namespace) {
        return Err(format!(
            "this operator does not watch namespace {namespace}: remove dataLocality, or let the operator watch all namespaces"
        ));
    }
    let is_permitted = facts.consents.permit(&stack.namespace, Crossing::Place { namespace });
    facts.consents.for_guest(&stack.namespace, namespace).filter(|_| is_permitted).ok_or_else(|| {
        format!(
            "namespace {namespace} does not exist or does not consent to patterns of {}: let it carry the label prism.io/backend-type, or remove dataLocality",
            stack.namespace
        )
    })
}

fn disallowed(namespace: &str, setting: Setting) -> String {
    format!(
        "namespace {namespace} does not allow {0} to others: add {0} to its annotation prism.io/allowed-settings, or remove it here",
        setting.word()
    )
}

/// Whether the backend draws its patterns to it.
pub(super) fn asks_for_collocation(backend: &StackBackend) -> bool {
    let wish = backend.spec.data_locality.as_ref();
    wish.is_some_and(|wish| wish.strategy == Some(LocalityStrategy::Collocate))
}

/// The namespace that a backend which asks for collocation is to be in, if it is named.
pub(super) fn wish(backend: &StackBackend) -> Option<&str> {
    let named = backend.spec.data_locality.as_ref().and_then(|wish| wish.namespace.as_deref());
    let of_service = || backend.spec.service_ref.as_ref().and_then(|service| service.namespace.as_deref());
    named.or_else(of_service).filter(|_| asks_for_collocation(backend))
}

/// Names of the backends that a pattern uses, the first one first.
pub(super) fn names(pattern: &StackPattern) -> Vec<String> {
    let first = pattern.spec.backend.clone();
    first.into_iter().chain(pattern.spec.backends.iter().map(BackendUse::name).map(str::to_owned)).collect()
}
