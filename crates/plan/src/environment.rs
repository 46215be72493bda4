//! Environment variables of containers.

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, SecretKeySelector};

/// A variable with a value that is no secret. `$(NAME)` in it stands for a variable before it.
pub(crate) fn literal(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), value_from: None }
}

/// A variable that a key of a Secret holds. The pod waits until the Secret has it.
pub(crate) fn from_secret(name: &str, secret: &str, key: &str) -> EnvVar {
    keyed(name, secret, key, None)
}

/// A variable that a key of a Secret may hold.
pub(crate) fn from_secret_if_there(name: &str, secret: &str, key: &str) -> EnvVar {
    keyed(name, secret, key, Some(true))
}

/// A variable that holds a field of the pod.
pub(crate) fn from_pod(name: &str, path: &str) -> EnvVar {
    let selector = ObjectFieldSelector { field_path: path.to_owned(), api_version: None };
    sourced(name, EnvVarSource { field_ref: Some(selector), ..EnvVarSource::default() })
}

/// One variable of each name: the last one counts, in the place of the first.
pub(crate) fn overridden(ours: Vec<EnvVar>, theirs: &[EnvVar]) -> Vec<EnvVar> {
    let mut env: Vec<EnvVar> = Vec::with_capacity(ours.len() + theirs.len());
    for variable in ours.into_iter().chain(theirs.iter().cloned()) {
        match env.iter_mut().find(|known| known.name == variable.name) {
            Some(known) => *known = variable,
            None => env.push(variable),
        }
    }
    env
}

fn keyed(name: &str, secret: &str, key: &str, optional: Option<bool>) -> EnvVar {
    let selector = SecretKeySelector { name: secret.to_owned(), key: key.to_owned(), optional };
    sourced(name, EnvVarSource { secret_key_ref: Some(selector), ..EnvVarSource::default() })
}

fn sourced(name: &str, source: EnvVarSource) -> EnvVar {
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}
