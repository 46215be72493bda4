//! Free-form blocks that become Kubernetes types, without losing what was misspelt.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::invalid::Invalid;

/// `value` as a `T`.
///
/// # Errors
/// When it does not fit, or has fields that `T` does not know: those would vanish silently.
pub fn typed<T: DeserializeOwned + Serialize>(field: &str, value: &Value) -> Result<T, Invalid> {
    let typed: T = serde_json::from_value(value.clone())
        .map_err(|error| Invalid::new(field, format!("{error}: correct it as on a Kubernetes pod")))?;
    let known = serde_json::to_value(&typed).map_err(|error| Invalid::new(field, error.to_string()))?;
    match unknown(field, value, &known) {
        Some(path) => {
            Err(Invalid::new(path, "is not a field of a Kubernetes pod: correct its spelling or remove it"))
        }
        None => Ok(typed),
    }
}

/// Path of the first field of `given` that is missing in `known`.
fn unknown(path: &str, given: &Value, known: &Value) -> Option<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => given.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            match known.get(name) {
                Some(known) => unknown(&path, value, known),
                None if is_empty(value) => None,
                None => Some(path),
            }
        }),
        (Value::Array(given), Value::Array(known)) => given
            .iter()
            .zip(known)
            .enumerate()
            .find_map(|(index, (given, known))| unknown(&format!("{path}[{index}]"), given, known)),
        _ => None,
    }
}

/// Serialising a Kubernetes type leaves these out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::PodTemplateSpec;
    use serde_json::json;

    #[test]
    fn a_misspelt_field_is_named_with_its_path() {
        let patch = json!({"spec": {"containers": [{"name": "a", "imagePullPollicy": "Always"}]}});
        let invalid = typed::<PodTemplateSpec>("spec.podTemplate", &patch).unwrap_err();
        assert_eq!(invalid.field, "spec.podTemplate.spec.containers[0].imagePullPollicy");
    }

    #[test]
    fn a_correct_block_passes() {
        let patch = json!({"spec": {"hostNetwork": true, "containers": [], "volumes": [{"name": "a", "emptyDir": {}}]}});
        assert!(typed::<PodTemplateSpec>("spec.podTemplate", &patch).is_ok());
    }
}
