//! What others own of an object beside us, read off its managed fields.
//!
//! A `fieldsV1` tree has a key for each field (`f:name`), entry of a list (`k:{"name":"x"}`, `v:x`, `i:0`), and for
//! the thing itself (`.`).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Map, Value};

use crate::{finalizer, live::is_applied_by, overwrite, release, scale};

/// Fields of `spec` that a merge patch must not take away from a workload: they may be a scaler's.
const REPLICAS: &str = "replicas";

/// What the operator puts behind its own name, where it writes as another field manager.
const SUFFIXES: [&str; 5] = ["", finalizer::SUFFIX, overwrite::SUFFIX, release::SUFFIX, scale::SUFFIX];

/// What others own of `spec`, and what `manager` does.
struct Spec<'a> {
    ours: Option<&'a Value>,
    theirs: Vec<&'a Value>,
}

impl<'a> Spec<'a> {
    fn of(entries: &'a [ManagedFieldsEntry], manager: &str) -> Self {
        let spec = |entry: &'a ManagedFieldsEntry| entry.fields_v1.as_ref()?.0.get("f:spec");
        let is_ours = |entry: &&ManagedFieldsEntry| {
            entry
                .manager
                .as_deref()
                .and_then(|name| name.strip_prefix(manager))
                .is_some_and(|rest| SUFFIXES.contains(&rest))
        };
        Self {
            ours: entries.iter().find(|entry| is_applied_by(entry, manager)).and_then(spec),
            theirs: entries.iter().filter(|entry| !is_ours(entry)).filter_map(spec).collect(),
        }
    }
}

/// Whether others own anything of `spec` that `manager` does not.
pub(crate) fn is_extended(entries: &[ManagedFieldsEntry], manager: &str) -> bool {
    let Spec { ours, theirs } = Spec::of(entries, manager);
    theirs.into_iter().any(|theirs| exceeds(theirs, ours))
}

/// A merge patch of `spec` that takes away the fields that others own and `manager` does not. Entries of lists in
/// which both have some are none of them: a merge patch writes a list as a whole. `spec.replicas` stays, if it may be
/// that of a scaler.
pub(crate) fn removals(
    entries: &[ManagedFieldsEntry],
    manager: &str,
    keeps_replicas: bool,
) -> Map<String, Value> {
    let Spec { ours, theirs } = Spec::of(entries, manager);
    let mut all = Map::new();
    for theirs in theirs {
        remove(theirs, ours, &mut all);
    }
    if keeps_replicas {
        all.remove(REPLICAS);
    }
    all
}

/// Paths of what `removals` takes away.
pub(crate) fn paths(prefix: &str, removals: &Map<String, Value>) -> Vec<String> {
    let path = |(name, below): (&String, &Value)| {
        let path = format!("{prefix}.{name}");
        below.as_object().map_or_else(|| vec![path.clone()], |below| paths(&path, below))
    };
    removals.iter().flat_map(path).collect()
}

fn fields(tree: &Value) -> impl Iterator<Item = (&String, &Value)> {
    tree.as_object().into_iter().flatten().filter(|(key, _)| *key != ".")
}

fn exceeds(theirs: &Value, ours: Option<&Value>) -> bool {
    fields(theirs).any(|(key, below)| match ours.and_then(|ours| ours.get(key)) {
        None => true,
        Some(ours) => exceeds(below, Some(ours)),
    })
}

fn remove(theirs: &Value, ours: Option<&Value>, found: &mut Map<String, Value>) {
    for (key, below) in fields(theirs) {
        let Some(name) = key.strip_prefix("f:") else { continue };
        match ours.and_then(|ours| ours.get(key)) {
            None => drop(found.insert(name.to_owned(), Value::Null)),
            Some(ours) => {
                let mut inner = Map::new();
                remove(below, Some(ours), &mut inner);
                if !inner.is_empty() {
                    merge(found.entry(name).or_insert_with(|| Value::Object(Map::new())), inner);
                }
            }
        }
    }
}

/// Another manager may own more of the same field.
fn merge(known: &mut Value, more: Map<String, Value>) {
    let Some(known) = known.as_object_mut() else { return };
    for (name, value) in more {
        match (known.get_mut(&name), value) {
            (Some(known @ Value::Object(_)), Value::Object(more)) => merge(known, more),
            (_, value) => drop(known.insert(name, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn entry(manager: &str, operation: &str, spec: &Value) -> ManagedFieldsEntry {
        serde_json::from_value(
            json!({"manager": manager, "operation": operation, "fieldsV1": {"f:spec": spec, "f:metadata": {}}}),
        )
        .unwrap()
    }

    #[rstest]
    #[case::nothing_more(json!({"f:image": {}}), json!({}), false)]
    #[case::a_field(json!({"f:args": {}}), json!({"args": null}), true)]
    #[case::inside_a_block(json!({"f:service": {".": {}, "f:type": {}}}), json!({"service": {"type": null}}), true)]
    #[case::an_entry_of_a_list(json!({"f:patterns": {"k:{\"name\":\"b\"}": {".": {}}}}), json!({}), true)]
    #[case::the_same_entry(json!({"f:patterns": {"k:{\"name\":\"a\"}": {".": {}}}}), json!({}), false)]
    #[case::a_list_of_theirs(json!({"f:env": {"k:{\"name\":\"b\"}": {".": {}}}}), json!({"env": null}), true)]
    fn what_others_add_is_found_and_taken_away(
        #[case] theirs: Value,
        #[case] expected: Value,
        #[case] is_more: bool,
    ) {
        let ours = json!({"f:image": {}, "f:service": {"f:port": {}}, "f:patterns": {"k:{\"name\":\"a\"}": {".": {}}}});
        let entries = [entry("us", "Apply", &ours), entry("kubectl-edit", "Update", &theirs)];
        assert_eq!(json!(removals(&entries, "us", false)), expected);
        assert_eq!(is_extended(&entries, "us"), is_more);
    }

    #[test]
    fn managers_of_ours_are_not_others_and_replicas_may_be_a_scalers() {
        let replicas = json!({"f:replicas": {}});
        let entries = [entry("us", "Apply", &json!({})), entry("us-scaler", "Update", &replicas)];
        assert!(!is_extended(&entries, "us"));
        let entries = [entry("us", "Apply", &json!({})), entry("us-not", "Update", &replicas)];
        assert!(is_extended(&entries, "us"), "a name that begins like ours is a claim");
        let entries = [entry("us", "Apply", &json!({})), entry("usurper", "Update", &replicas)];
        assert!(is_extended(&entries, "us"));
        assert_eq!(removals(&entries, "us", true), Map::new());
        assert_eq!(paths("spec", &removals(&entries, "us", false)), ["spec.replicas"]);
    }
}
