//! Environment variables of containers.

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, SecretKeySelector};

/// A variable with a value that is no secret, as it is: Kubernetes makes one dollar sign of two, and looks for the
/// name of a variable behind one.
pub(crate) fn literal(name: &str, value: impl Into<String>) -> EnvVar {
    expanding(name, escaped(&value.into()))
}

/// A variable with a value that is no secret, in which `$(NAME)` stands for a variable before it.
pub(crate) fn expanding(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), value_from: None }
}

/// `text` as it has to stand in the environment, in a command or in its arguments, to come out as it is.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('$', "$$")
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

/// One variable of each name: the last one counts, in its place. So `theirs` keep their order, in which one may stand
/// for another, and may use `ours`.
pub(crate) fn overridden(ours: Vec<EnvVar>, theirs: &[EnvVar]) -> Vec<EnvVar> {
    let mut env = ours;
    for variable in theirs {
        env.retain(|known| known.name != variable.name);
        env.push(variable.clone());
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the kubelet makes of a value: `$$` becomes `$`, and `$(NAME)` a reference.
    fn read_back(value: &str) -> Option<String> {
        let (mut text, mut rest) = (String::new(), value.chars().peekable());
        while let Some(letter) = rest.next() {
            match (letter, rest.peek()) {
                ('$', Some('$')) => {
                    rest.next();
                    text.push('$');
                }
                ('$', Some('(')) => return None,
                (letter, _) => text.push(letter),
            }
        }
        Some(text)
    }

    proptest! {
        #[test]
        fn a_literal_comes_out_as_it_is(text in "[$()A-Z]{0,12}") {
            let value = literal("A", text.clone()).value.unwrap();
            prop_assert_eq!(read_back(&value), Some(text));
        }

        #[test]
        fn variables_of_the_spec_keep_their_order(ours in "[A-E]{0,5}", theirs in "[A-E]{0,5}") {
            let list = |text: &str, value: &str| -> Vec<EnvVar> {
                let mut names: Vec<char> = Vec::new();
                text.chars().for_each(|name| if !names.contains(&name) { names.push(name) });
                names.iter().map(|name| literal(&name.to_string(), value)).collect()
            };
            let (ours, theirs) = (list(&ours, "ours"), list(&theirs, "theirs"));
            let env = overridden(ours.clone(), &theirs);
            prop_assert_eq!(&env[env.len() - theirs.len()..], &theirs[..]);
            let before = &env[..env.len() - theirs.len()];
            prop_assert!(before.iter().all(|variable| ours.contains(variable)));
            prop_assert!(before.iter().all(|variable| theirs.iter().all(|other| other.name != variable.name)));
        }
    }
}
