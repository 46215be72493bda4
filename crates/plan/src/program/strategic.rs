//! Strategic merge patches, as `kubectl patch` knows them: `null` deletes a field, lists that have keys merge entry
//! by entry, all others are replaced, and `$patch` says what else is meant.

use serde_json::{Map, Value};

use super::lists::{key, keys_of};

/// Key of the directive: `delete`, `replace` or `merge`.
const DIRECTIVE: &str = "$patch";
/// Beginning of the key whose list names values to take out of a list of plain values.
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList/";

/// What cannot be followed: the path, and why.
pub(super) type Refusal = (String, String);

/// Applies `patch` to `target`.
///
/// # Errors
/// When a directive or the key of an entry is not one that is known.
pub(super) fn merge(
    path: &str,
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<(), Refusal> {
    match directive(path, patch)? {
        Directive::Merge => {}
        Directive::Replace => {
            *target = plain(patch);
            return Ok(());
        }
        Directive::Delete => {
            target.clear();
            return Ok(());
        }
    }
    for (name, value) in patch.iter().filter(|(name, _)| *name != DIRECTIVE) {
        let path = format!("{path}.{name}");
        if let Some(list) = name.strip_prefix(DELETE_PRIMITIVES) {
            if let Some(values) = target.get_mut(list).and_then(Value::as_array_mut) {
                values.retain(|known| !value.as_array().is_some_and(|gone| gone.contains(known)));
            }
        } else if name.starts_with('$') {
            return Err((path, "is a directive that the operator does not follow: remove it".to_owned()));
        } else {
            field(&path, name, target, value)?;
        }
    }
    Ok(())
}

fn field(path: &str, name: &str, target: &mut Map<String, Value>, value: &Value) -> Result<(), Refusal> {
    match value {
        Value::Null => drop(target.remove(name)),
        Value::Object(patch) if matches!(directive(path, patch)?, Directive::Delete) => {
            target.remove(name);
        }
        Value::Object(patch) => match target.get_mut(name).and_then(Value::as_object_mut) {
            Some(known) => merge(path, known, patch)?,
            None => {
                let mut made = Map::new();
                merge(path, &mut made, patch)?;
                target.insert(name.to_owned(), Value::Object(made));
            }
        },
        Value::Array(entries) => match keys_of(name) {
            Some(keys) => {
                let known = target.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                if !known.is_array() {
                    *known = Value::Array(Vec::new());
                }
                if let Some(known) = known.as_array_mut() {
                    list(path, keys, known, entries)?;
                }
            }
            None => drop(target.insert(name.to_owned(), without_directives(value))),
        },
        value => drop(target.insert(name.to_owned(), value.clone())),
    }
    Ok(())
}

fn list(path: &str, keys: &[&str], target: &mut Vec<Value>, patch: &[Value]) -> Result<(), Refusal> {
    for (index, entry) in patch.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(fields) = entry.as_object() else {
            return Err((path, "is not an entry of that list: write a block".to_owned()));
        };
        let directive = directive(&path, fields)?;
        let Some(wanted) = key(entry, keys) else {
            // Without a key, the directive is about the list as a whole.
            match directive {
                Directive::Replace | Directive::Delete if fields.len() == 1 => {
                    target.clear();
                    continue;
                }
                _ => {
                    return Err((
                        path,
                        format!("has no {}, by which entries of the list are told apart", keys[0]),
                    ));
                }
            }
        };
        let place = target.iter().position(|known| key(known, keys).as_ref() == Some(&wanted));
        match (directive, place) {
            (Directive::Delete, place) => drop(place.map(|place| target.remove(place))),
            (Directive::Replace, Some(place)) => target[place] = Value::Object(plain(fields)),
            (Directive::Merge, Some(place)) => {
                if let Some(known) = target[place].as_object_mut() {
                    merge(&path, known, fields)?;
                }
            }
            (Directive::Merge | Directive::Replace, None) => {
                let mut made = Map::new();
                merge(&path, &mut made, fields)?;
                target.push(Value::Object(made));
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(path: &str, patch: &Map<String, Value>) -> Result<Directive, Refusal> {
    match patch.get(DIRECTIVE).map(Value::as_str) {
        None | Some(Some("merge")) => Ok(Directive::Merge),
        Some(Some("replace")) => Ok(Directive::Replace),
        Some(Some("delete")) => Ok(Directive::Delete),
        Some(_) => Err((format!("{path}.{DIRECTIVE}"), "is none of delete, replace and merge".to_owned())),
    }
}

fn plain(fields: &Map<String, Value>) -> Map<String, Value> {
    let is_plain = |(name, value): &(&String, &Value)| !name.starts_with('$') && !value.is_null();
    fields.iter().filter(is_plain).map(|(name, value)| (name.clone(), without_directives(value))).collect()
}

/// `value` without nulls and directives: what of it is said in the words of the object itself.
pub(super) fn without_directives(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(plain(fields)),
        Value::Array(entries) => {
            let is_entry = |entry: &&Value| {
                !entry.as_object().is_some_and(|fields| fields.len() == 1 && fields.contains_key(DIRECTIVE))
            };
            Value::Array(entries.iter().filter(is_entry).map(without_directives).collect())
        }
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn patched(patch: &Value) -> Result<Value, Refusal> {
        let mut target = json!({
            "hostNetwork": true, "securityContext": {"runAsUser": 1, "runAsGroup": 2},
            "tolerations": [{"key": "a"}],
            "containers": [
                {"name": "main", "livenessProbe": {"periodSeconds": 5}, "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
                {"name": "side"},
            ],
        });
        merge("podTemplate", target.as_object_mut().unwrap(), patch.as_object().unwrap())?;
        Ok(target)
    }

    #[rstest]
    #[case::null_deletes(json!({"hostNetwork": null}), "/hostNetwork", json!(null))]
    #[case::null_deep(json!({"containers": [{"name": "main", "livenessProbe": null}]}), "/containers/0/livenessProbe", json!(null))]
    #[case::a_block_merges(json!({"securityContext": {"runAsUser": 3}}), "/securityContext", json!({"runAsUser": 3, "runAsGroup": 2}))]
    #[case::a_block_is_replaced(json!({"securityContext": {"$patch": "replace", "runAsUser": 3}}), "/securityContext", json!({"runAsUser": 3}))]
    #[case::a_block_is_deleted(json!({"securityContext": {"$patch": "delete"}}), "/securityContext", json!(null))]
    #[case::an_entry_is_deleted(json!({"containers": [{"name": "side", "$patch": "delete"}]}), "/containers/1", json!(null))]
    #[case::an_entry_is_replaced(json!({"containers": [{"name": "main", "$patch": "replace", "image": "x"}]}), "/containers/0", json!({"name": "main", "image": "x"}))]
    #[case::a_list_is_replaced(json!({"containers": [{"$patch": "replace"}, {"name": "only"}]}), "/containers", json!([{"name": "only"}]))]
    #[case::entries_merge_by_key(json!({"containers": [{"name": "main", "env": [{"name": "B", "value": "3"}, {"name": "C"}]}]}), "/containers/0/env", json!([{"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "C"}]))]
    #[case::a_list_without_keys_is_replaced(json!({"tolerations": [{"key": "b"}]}), "/tolerations", json!([{"key": "b"}]))]
    #[case::what_is_new_has_no_directives(json!({"affinity": {"$patch": "replace", "nodeAffinity": {"x": null}}}), "/affinity", json!({"nodeAffinity": {}}))]
    #[case::plain_values(json!({"$deleteFromPrimitiveList/finalizers": ["a"]}), "/finalizers", json!(null))]
    fn a_patch_does_what_kubectl_does(#[case] patch: Value, #[case] at: &str, #[case] expected: Value) {
        let after = patched(&patch).unwrap();
        assert_eq!(after.pointer(at).cloned().unwrap_or_default(), expected);
    }

    #[rstest]
    #[case(json!({"securityContext": {"$patch": "remove"}}), "podTemplate.securityContext.$patch")]
    #[case(json!({"$setElementOrder/containers": []}), "podTemplate.$setElementOrder/containers")]
    #[case(json!({"containers": [{"image": "x"}]}), "podTemplate.containers[0]")]
    fn what_cannot_be_followed_is_named(#[case] patch: Value, #[case] path: &str) {
        assert_eq!(patched(&patch).unwrap_err().0, path);
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            "(delete|replace|merge|a|b)".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let name = "(\\$patch|name|env|containers|ports|mountPath|x)";
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(name, inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_directive_is_left_and_a_second_time_changes_nothing(target in json_value(), patch in json_value()) {
            let (Value::Object(target), Value::Object(patch)) = (without_directives(&target), patch) else { return Ok(()) };
            let mut once = target;
            if merge("x", &mut once, &patch).is_ok() {
                prop_assert!(!Value::Object(once.clone()).to_string().contains("$patch\":"));
                let mut twice = once.clone();
                prop_assert!(merge("x", &mut twice, &patch).is_ok());
                prop_assert_eq!(once, twice);
            }
        }
    }
}
