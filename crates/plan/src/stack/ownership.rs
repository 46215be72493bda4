//! Whether an object is one of a stack, as the stack has it.
//!
//! An owner reference, an annotation or a label on an object is a claim of whoever wrote the object.
//! What counts is on the side of the stack: its inventory, which names what the operator made, by UID,
//! and its spec, which says what is to be made, and where.

use prism_api::stack::PrismStack;

use super::{
    locality::{names, wish},
    resolved::child_name,
};

/// A custom resource that may be one of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Its kind: `PrismPattern` or `PrismBackend`; a stack makes no other custom resource.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
}

/// Whether `stack` has made `candidate`, or is about to take it for what it makes.
#[must_use]
pub fn owns(stack: &PrismStack, candidate: Candidate<'_>) -> bool {
    is_recorded(stack, candidate) || is_placed(stack, candidate)
}

/// Whether `stack` may have anything in `namespace`: by its inventory, or by its spec.
#[must_use]
pub fn reaches(stack: &PrismStack, namespace: &str) -> bool {
    let home = stack.metadata.namespace.as_deref().unwrap_or_default();
    let recorded = stack.status.iter().flat_map(|status| &status.inventory);
    namespace == home
        || recorded.into_iter().any(|entry| entry.namespace.as_deref() == Some(namespace))
        || stack.spec.backends.iter().any(|backend| wish(backend) == Some(namespace))
}

fn is_recorded(stack: &PrismStack, candidate: Candidate<'_>) -> bool {
    let Candidate { kind, namespace, name, uid } = candidate;
    let home = stack.metadata.namespace.as_deref().unwrap_or_default();
    let mut recorded = stack.status.iter().flat_map(|status| &status.inventory);
    recorded.any(|entry| {
        entry.uid == uid
            && entry.kind == kind
            && entry.name == name
            && entry.namespace.as_deref().unwrap_or(home) == namespace
    })
}

fn is_placed(stack: &PrismStack, candidate: Candidate<'_>) -> bool {
    let Candidate { kind, namespace, name, .. } = candidate;
    let home = stack.metadata.namespace.as_deref().unwrap_or_default();
    let own = stack.metadata.name.as_deref().unwrap_or_default();
    let backends = &stack.spec.backends;
    let wished = |names: &[String]| {
        let mut used = backends.iter().filter(|backend| names.contains(&backend.name));
        namespace == home || used.any(|backend| wish(backend) == Some(namespace))
    };
    match kind {
        "PrismPattern" => {
            let mut patterns = stack.spec.patterns.iter();
            patterns.any(|pattern| child_name(own, &pattern.name) == name && wished(&names(pattern)))
        }
        "PrismBackend" => {
            let mut all = backends.iter();
            all.any(|backend| {
                child_name(own, &backend.name) == name && wished(std::slice::from_ref(&backend.name))
            })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn stack() -> PrismStack {
        serde_json::from_value(json!({
            "apiVersion": "prism.io/v1alpha1", "kind": "PrismStack",
            "metadata": {"name": "orders", "namespace": "shop", "uid": "u"},
            "spec": {
                "backends": [
                    {"name": "db", "dataLocality": {"strategy": "collocate", "namespace": "data"}},
                    {"name": "cache"},
                ],
                "patterns": [{"name": "reader", "backend": "db"}, {"name": "web", "backend": "cache"}],
            },
            "status": {"inventory": [
                {"kind": "PrismPattern", "name": "orders-gone", "uid": "1", "applied": "", "owned": ""},
                {"kind": "PrismPattern", "name": "orders-old", "namespace": "archive", "uid": "2", "applied": "", "owned": ""},
            ]},
        }))
        .unwrap()
    }

    #[rstest]
    #[case::at_home("PrismPattern", "shop", "orders-web", "9", true)]
    #[case::beside_its_backend("PrismPattern", "data", "orders-reader", "9", true)]
    #[case::its_backend("PrismBackend", "data", "orders-db", "9", true)]
    #[case::still_at_home("PrismPattern", "shop", "orders-reader", "9", true)]
    #[case::what_it_made_and_no_longer_wants("PrismPattern", "shop", "orders-gone", "1", true)]
    #[case::the_same_elsewhere("PrismPattern", "archive", "orders-old", "2", true)]
    #[case::another_of_that_name("PrismPattern", "shop", "orders-gone", "9", false)]
    #[case::elsewhere("PrismPattern", "tenant", "orders-reader", "9", false)]
    #[case::beside_a_backend_that_it_does_not_use("PrismPattern", "data", "orders-web", "9", false)]
    #[case::of_another_name("PrismPattern", "data", "mine", "9", false)]
    #[case::a_backend_elsewhere("PrismBackend", "tenant", "orders-db", "9", false)]
    #[case::of_another_kind("PrismAutoscaler", "shop", "orders-web", "9", false)]
    fn a_stack_owns_what_its_inventory_or_its_spec_says(
        #[case] kind: &str,
        #[case] namespace: &str,
        #[case] name: &str,
        #[case] uid: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(owns(&stack(), Candidate { kind, namespace, name, uid }), expected);
    }

    #[rstest]
    #[case("shop", true)]
    #[case("data", true)]
    #[case("archive", true)]
    #[case("tenant", false)]
    fn a_stack_reaches_its_own_namespace_and_those_that_it_names(
        #[case] namespace: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(reaches(&stack(), namespace), expected);
    }
}
