//! Policies from files.

use prism_api::{PrismAutoscalerSpec, autoscaling::Autoscaling};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{invalid::Invalid, policy::Policy};

/// Why a file has no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file is no YAML, or not what its kind looks like.
    #[error("{0}")]
    Form(String),
    /// An object without an autoscaling policy.
    #[error(
        "a {0} has no autoscaling policy: give a PrismAutoscaler, a PrismPattern or an autoscaling block"
    )]
    Kind(String),
    /// A `PrismPattern` without autoscaling.
    #[error("spec.autoscaling is missing: the pattern has a fixed number of replicas")]
    NoAutoscaling,
    /// A field that the API does not have.
    #[error("{0} is no field: correct its spelling or remove it")]
    Unknown(String),
    /// A field that cannot be followed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// The policy in `text`: YAML or JSON with a `PrismAutoscaler`, a `PrismPattern` or a bare autoscaling block.
///
/// # Errors
/// [`PolicyError`], with the field.
pub fn read_policy(text: &str) -> Result<Policy, PolicyError> {
    let whole: Value = serde_saphyr::from_str(text).map_err(|error| PolicyError::Form(error.to_string()))?;
    match whole.get("kind").and_then(Value::as_str) {
        None => Ok(Policy::of(&typed(&whole, "")?, "")?),
        Some("PrismAutoscaler") => {
            let spec = whole.get("spec").unwrap_or(&Value::Null);
            Ok(Policy::of_autoscaler(&typed::<PrismAutoscalerSpec>(spec, "spec")?)?)
        }
        Some("PrismPattern") => {
            let block = whole.pointer("/spec/autoscaling").ok_or(PolicyError::NoAutoscaling)?;
            Ok(Policy::of(&typed::<Autoscaling>(block, "spec.autoscaling")?, "spec.autoscaling")?)
        }
        Some(kind) => Err(PolicyError::Kind(kind.to_owned())),
    }
}

fn typed<T: DeserializeOwned + Serialize>(value: &Value, field: &str) -> Result<T, PolicyError> {
    let form = |error: serde_json::Error| PolicyError::Form(error.to_string());
    let typed: T = serde_json::from_value(value.clone()).map_err(form)?;
    match unknown(field, value, &serde_json::to_value(&typed).map_err(form)?) {
        Some(path) => Err(PolicyError::Unknown(path)),
        None => Ok(typed),
    }
}

/// Path of the first field of `given` that did not come through into `known`.
fn unknown(path: &str, given: &Value, known: &Value) -> Option<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => given.iter().find_map(|(name, value)| {
            let path = crate::invalid::below(path, name);
            match known.get(name) {
                Some(known) => unknown(&path, value, known),
                None if value.is_null() || value.as_array().is_some_and(Vec::is_empty) => None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::block("{maxReplicas: 10, metrics: [{type: AdminMetric, name: lag, target: 1k}]}")]
    #[case::pattern(
        "kind: PrismPattern
spec: {autoscaling: {maxReplicas: 10, metrics: [{type: AdminMetric, name: lag, target: 1k}]}}"
    )]
    #[case::autoscaler(
        "kind: PrismAutoscaler
spec: {targetRef: {kind: Deployment, name: a}, metrics: [{type: AdminMetric, name: lag, target: 1k}]}"
    )]
    fn a_policy_stands_in_three_kinds_of_file(#[case] text: &str) {
        let policy = read_policy(text).unwrap();
        assert_eq!((policy.limits.max, policy.metrics[0].name.as_str()), (10, "lag"));
    }

    #[rstest]
    #[case::kind("kind: Deployment", "a Deployment has no autoscaling policy")]
    #[case::pattern("kind: PrismPattern\nspec: {}", "spec.autoscaling is missing")]
    #[case::typo("maxReplicas: 10\ncooldown: 5", "cooldown is no field")]
    #[case::limit("minReplicas: 3", "maxReplicas: is required")]
    fn a_file_without_a_policy_says_what_is_missing(#[case] text: &str, #[case] expected: &str) {
        let error = read_policy(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} should say {expected:?}");
    }
}
