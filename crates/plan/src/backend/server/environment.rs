//! Variables of the servers.

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, SecretKeySelector};

/// A variable with a value that is no secret. `$(NAME)` in it stands for a variable before it.
pub(super) fn literal(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), value_from: None }
}

/// A variable that a key of the Secret holds. The pod waits until the Secret is there: no server
/// starts without its password.
pub(super) fn from_secret(name: &str, secret: &str, key: &str) -> EnvVar {
    let selector = SecretKeySelector { name: secret.to_owned(), key: key.to_owned(), optional: None };
    sourced(name, EnvVarSource { secret_key_ref: Some(selector), ..EnvVarSource::default() })
}

/// A variable that holds a field of the pod.
pub(super) fn from_pod(name: &str, path: &str) -> EnvVar {
    let selector = ObjectFieldSelector { field_path: path.to_owned(), api_version: None };
    sourced(name, EnvVarSource { field_ref: Some(selector), ..EnvVarSource::default() })
}

fn sourced(name: &str, source: EnvVarSource) -> EnvVar {
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}
