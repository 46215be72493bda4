//! Taking over what somebody else has made: only what says that it is meant, and never unseen.
//!
//! An object that nobody controls, and that carries the operator's own value of one label, may be
//! taken over. What that would change in it is asked of the API server by a dry run. There is always something: the
//! object gets a controller, and goes when that goes. So its owner is told field by field, labels and annotations
//! included, and the object is taken over when it carries an annotation that agrees.

use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    Engine,
    child::{Child, Content},
    error::{Error, has_code},
    foreign::{paths, removals},
    live::Live,
    object::ObjectKey,
};

/// Fields that an error names before it only counts.
const NAMED: usize = 12;

impl Engine {
    /// Whether `child` may take the place of `found`, which nobody controls.
    pub(crate) async fn may_adopt(&self, child: &Child, found: &Live) -> Result<bool, Error> {
        let signature = self.ledger.signature();
        let label =
            |labels: Option<&Value>| labels?.get(signature.adoption_label)?.as_str().map(str::to_owned);
        let ours = label(child.body["metadata"].get("labels"));
        let theirs = found.metadata.labels.as_ref().and_then(|all| all.get(signature.adoption_label));
        let is_controlled =
            found.metadata.owner_references.iter().flatten().any(|owner| owner.controller == Some(true));
        // What was drawn has a name and keys of its own: whoever has restored it may have no labels for it.
        let is_meant = child.content != Content::Planned || (ours.is_some() && ours.as_ref() == theirs);
        if is_controlled || !is_meant {
            return Ok(false);
        }
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &child.key.namespace, &child.key.kind.api_resource());
        let refused = |error: &kube::Error| cannot(&child.key, error);
        let before = api.get(&child.key.name).await.map_err(|error| refused(&error))?;
        let params = PatchParams::apply(self.ledger.manager()).force().dry_run();
        let body = Patch::Apply(self.body(child, &found.uid()).await?);
        let after = api.patch(&child.key.name, &params, &body).await.map_err(|error| refused(&error))?;
        let mut fields = changes(&before, &after, self.ledger.stamp());
        if self.ledger.signature().owner_kinds.contains(&child.key.kind) {
            let entries = found.metadata.managed_fields.as_deref().unwrap_or_default();
            fields.extend(paths("spec", &removals(entries, self.ledger.manager(), false)));
        }
        let annotations = found.metadata.annotations.as_ref();
        let agrees = annotations
            .and_then(|all| all.get(signature.adoption_consent))
            .is_some_and(|word| word == "true");
        if agrees {
            tracing::info!(
                kind = child.key.kind.name,
                object = &*child.key.name,
                "Adopted {}",
                child.key.kind
            );
            return Ok(true);
        }
        Err(Error::NameTaken {
            key: child.key.clone(),
            holder: format!(
                "was made by somebody else, and taking it over would change {}: to agree, annotate it with {}=true",
                named(&fields),
                signature.adoption_consent
            ),
        })
    }
}

/// The dry run says that a field cannot change.
fn cannot(key: &ObjectKey, error: &kube::Error) -> Error {
    match error {
        kube::Error::Api(status) if has_code(error, 422) => Error::NameTaken {
            key: key.clone(),
            holder: format!(
                "was made by somebody else, and cannot be taken over in place: {}",
                causes(status)
            ),
        },
        error => Error::of_write(key, error),
    }
}

/// The fields that the API server refuses to change, without the values: those are somebody else's.
fn causes(status: &kube::core::Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let fields: Vec<_> = causes.map(|cause| cause.field.clone()).filter(|field| !field.is_empty()).collect();
    if fields.is_empty() { status.reason.clone() } else { format!("{} cannot change", named(&fields)) }
}

fn named(fields: &[String]) -> String {
    let text = fields.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match fields.len().checked_sub(NAMED) {
        None | Some(0) => text,
        Some(more) => format!("{text} and {more} more fields"),
    }
}

/// Paths of what an apply that makes `after` of `before` changes. Of the metadata, what people and controllers go by;
/// the rest moves by itself, and so does the annotation `stamp`.
fn changes(before: &DynamicObject, after: &DynamicObject, stamp: &str) -> Vec<String> {
    let mut fields = Vec::new();
    differences("", &before.data, &after.data, &mut fields);
    fields.retain(|field| !field.starts_with("status"));
    let is_stamp = |path: &String| path.strip_prefix("metadata.annotations.") == Some(stamp);
    let parts = [
        ("metadata.annotations", json!(before.metadata.annotations), json!(after.metadata.annotations)),
        ("metadata.labels", json!(before.metadata.labels), json!(after.metadata.labels)),
    ];
    if before.metadata.owner_references != after.metadata.owner_references {
        fields.push("metadata.ownerReferences".to_owned());
    }
    for (path, before, after) in parts {
        // One that has none at all is like one that has an empty map: its entries are named, and not the map.
        let map = |value: Value| if value.is_null() { json!({}) } else { value };
        differences(path, &map(before), &map(after), &mut fields);
    }
    fields.retain(|field| !is_stamp(field));
    fields
}

/// Paths at which `before` and `after` differ, never values: they may be secret.
fn differences(path: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let missing = Value::Null;
            let mut keys: Vec<_> = before.keys().chain(after.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let (before, after) =
                    (before.get(key).unwrap_or(&missing), after.get(key).unwrap_or(&missing));
                differences(&path, before, after, found);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                differences(&format!("{path}[{index}]"), before, after, found);
            }
        }
        (before, after) if before != after => found.push(path.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_by_path_and_never_by_value() {
        let before =
            json!({"spec": {"replicas": 1, "containers": [{"image": "a", "env": [{"value": "secret"}]}]}});
        let after =
            json!({"spec": {"replicas": 1, "containers": [{"image": "b", "env": []}], "paused": true}});
        let mut found = Vec::new();
        differences("", &before, &after, &mut found);
        assert_eq!(found, ["spec.containers[0].env", "spec.containers[0].image", "spec.paused"]);
    }

    #[test]
    fn labels_annotations_and_the_controller_count_and_bookkeeping_does_not() {
        let object = |metadata: Value| -> DynamicObject {
            let body = json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata,
                "spec": {"ingressClassName": "nginx"}, "status": {"loadBalancer": metadata["resourceVersion"]},
            });
            serde_json::from_value(body).unwrap()
        };
        let before = object(json!({
            "name": "shop", "resourceVersion": "1", "generation": 1, "labels": {"app": "prism"},
            "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "secret", "theirs": "stays"},
        }));
        let after = object(json!({
            "name": "shop", "resourceVersion": "2", "generation": 2,
            "managedFields": [{"manager": "prism-operator"}],
            "labels": {"app": "prism", "app.kubernetes.io/managed-by": "prism-operator"},
            "annotations": {
                "nginx.ingress.kubernetes.io/proxy-body-size": "8m", "theirs": "stays", "prism.io/applied": "abc",
            },
            "ownerReferences": [{"apiVersion": "prism.io/v1alpha1", "kind": "PrismStack", "name": "shop", "uid": "u"}],
        }));
        assert_eq!(
            changes(&before, &after, "prism.io/applied"),
            [
                "metadata.ownerReferences",
                "metadata.annotations.nginx.ingress.kubernetes.io/proxy-body-size",
                "metadata.labels.app.kubernetes.io/managed-by",
            ]
        );
        let bare = object(json!({"name": "shop"}));
        assert!(changes(&bare, &after, "prism.io/applied").contains(&"metadata.labels.app".to_owned()));
        assert!(changes(&after, &after, "prism.io/applied").is_empty());
    }
}
