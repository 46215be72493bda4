//! What may cross from one namespace into another: the one place where that is decided.
//!
//! Whoever asks for something asks on behalf of a namespace: that of the custom resource whose author
//! wrote the reference. A namespace grants everything to itself. To others it grants what its owner has
//! written on the `Namespace` object: the label `prism.io/backend-type` consents, and annotations say
//! for whom, to which Secrets, and to which settings of pods. What an object says about itself grants
//! nothing.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use prism_api::labels;

use crate::restricted::Setting;

/// The consent of one namespace, to be used by others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// The namespaces that it is meant for; `None`: all.
    namespaces: Option<BTreeSet<String>>,
    /// The Secrets that a backend may name as its own; `None`: any one.
    secrets: Option<BTreeSet<String>>,
    /// Settings of pods that are allowed beyond the restricted form.
    settings: BTreeSet<Setting>,
}

/// The consents of all namespaces that have given one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consents(BTreeMap<String, Consent>);

/// Something that crosses, or does not, from the namespace that asks into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing<'a> {
    /// Objects of a stack are made and changed in `namespace`.
    Place {
        /// Where they live.
        namespace: &'a str,
    },
    /// The address of a Service in `namespace` is read.
    Service {
        /// Where the Service lives.
        namespace: &'a str,
    },
    /// The address in a `PrismBackend` of `namespace` is read.
    Backend {
        /// Where the `PrismBackend` lives.
        namespace: &'a str,
        /// Whether it was made for the stack that asks.
        is_own: bool,
    },
    /// Pods in the namespace `pods` get values of a Secret in `namespace`.
    Secret {
        /// Where the Secret lives.
        namespace: &'a str,
        /// Its name.
        name: &'a str,
        /// Where the pods run.
        pods: &'a str,
    },
}

impl Consent {
    /// The consent that the metadata of a `Namespace` gives; `None` without the label.
    #[must_use]
    pub fn of(namespace: &ObjectMeta) -> Option<Self> {
        namespace.labels.as_ref().filter(|all| all.contains_key(labels::BACKEND_TYPE))?;
        let list = |key: &str| {
            let list = namespace.annotations.as_ref()?.get(key)?;
            let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
            Some(words.map(str::to_owned).collect::<BTreeSet<_>>())
        };
        let settings = list(labels::ALLOWED_SETTINGS).unwrap_or_default();
        Some(Self {
            namespaces: list(labels::ALLOWED_NAMESPACES),
            secrets: list(labels::ALLOWED_SECRETS),
            settings: settings.iter().filter_map(|word| Setting::named(word)).collect(),
        })
    }

    fn includes(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|allowed| allowed.contains(namespace))
    }

    fn names(&self, secret: &str) -> bool {
        self.secrets.as_ref().is_none_or(|allowed| allowed.contains(secret))
    }

    /// Settings of pods that are allowed beyond the restricted form.
    #[must_use]
    pub fn settings(&self) -> &BTreeSet<Setting> {
        &self.settings
    }
}

impl Consents {
    /// Whether `crossing` may happen on behalf of the namespace `asker`.
    #[must_use]
    pub fn permit(&self, asker: &str, crossing: Crossing<'_>) -> bool {
        match crossing {
            Crossing::Place { namespace } | Crossing::Service { namespace } => {
                namespace == asker || self.for_guest(asker, namespace).is_some()
            }
            Crossing::Backend { namespace, is_own } => namespace == asker || is_own,
            // Nothing is copied: a Secret is used where it lies.
            Crossing::Secret { namespace, pods, .. } if namespace != pods => false,
            Crossing::Secret { namespace, name, .. } => {
                namespace == asker
                    || self.for_guest(asker, namespace).is_some_and(|consent| consent.names(name))
            }
        }
    }

    /// Why the children of an object in `namespace` stay as they are: a stack of the namespace `home` has
    /// placed it there, and `namespace` no longer consents to that.
    #[must_use]
    pub fn hold(&self, home: Option<&str>, namespace: &str) -> Option<String> {
        let home = home.filter(|home| !self.permit(home, Crossing::Place { namespace }))?;
        Some(format!(
            "namespace {namespace} no longer consents to patterns of {home}, so nothing is changed here: give the namespace the label prism.io/backend-type, and name {home} in its annotation prism.io/allowed-namespaces if it has one, or take the backend or its dataLocality out of the stack"
        ))
    }

    /// The consent of `host` that is meant for `guest`, another namespace.
    #[must_use]
    pub fn for_guest(&self, guest: &str, host: &str) -> Option<&Consent> {
        self.0.get(host).filter(|consent| consent.includes(guest))
    }
}

impl FromIterator<(String, Consent)> for Consents {
    fn from_iter<T: IntoIterator<Item = (String, Consent)>>(consents: T) -> Self {
        Self(consents.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn consents(annotations: &Value) -> Consents {
        let metadata = json!({"labels": {"prism.io/backend-type": "postgres"}, "annotations": annotations});
        let consent = Consent::of(&serde_json::from_value(metadata).unwrap()).unwrap();
        [("data".to_owned(), consent)].into_iter().collect()
    }

    const PLACE: Crossing<'_> = Crossing::Place { namespace: "data" };
    const SERVICE: Crossing<'_> = Crossing::Service { namespace: "data" };
    const BACKEND: Crossing<'_> = Crossing::Backend { namespace: "data", is_own: false };
    const OWN_BACKEND: Crossing<'_> = Crossing::Backend { namespace: "data", is_own: true };
    const SECRET: Crossing<'_> = Crossing::Secret { namespace: "data", name: "login", pods: "data" };
    const COPY: Crossing<'_> = Crossing::Secret { namespace: "data", name: "login", pods: "shop" };

    #[rstest]
    #[case::the_label_lets_in_all(json!({}), [true, true, false, true, true, false])]
    #[case::a_list_that_names_the_asker(json!({"prism.io/allowed-namespaces": "a, shop"}), [true, true, false, true, true, false])]
    #[case::a_list_of_others(json!({"prism.io/allowed-namespaces": "a"}), [false, false, false, true, false, false])]
    #[case::an_empty_list(json!({"prism.io/allowed-namespaces": ""}), [false, false, false, true, false, false])]
    #[case::another_secret(json!({"prism.io/allowed-secrets": "other"}), [true, true, false, true, false, false])]
    #[case::this_secret(json!({"prism.io/allowed-secrets": "other,login"}), [true, true, false, true, true, false])]
    #[case::no_secret(json!({"prism.io/allowed-secrets": ""}), [true, true, false, true, false, false])]
    fn what_crosses_with_consent(#[case] annotations: Value, #[case] expected: [bool; 6]) {
        let consents = consents(&annotations);
        let all = [PLACE, SERVICE, BACKEND, OWN_BACKEND, SECRET, COPY];
        assert_eq!(all.map(|crossing| consents.permit("shop", crossing)), expected);
    }

    #[test]
    fn nothing_crosses_without_consent_and_everything_is_ones_own_at_home() {
        let all = [PLACE, SERVICE, BACKEND, SECRET, COPY];
        assert_eq!(all.map(|crossing| Consents::default().permit("shop", crossing)), [false; 5]);
        assert_eq!(
            all.map(|crossing| Consents::default().permit("data", crossing)),
            [true, true, true, true, false],
            "only a copy of a Secret leaves the namespace"
        );
    }

    #[test]
    fn a_namespace_without_the_label_consents_to_nothing_whatever_its_annotations_say() {
        let metadata = json!({"annotations": {"prism.io/allowed-namespaces": "shop"}});
        assert_eq!(Consent::of(&serde_json::from_value(metadata).unwrap()), None);
    }

    #[test]
    fn settings_are_widened_by_name_and_unknown_words_widen_nothing() {
        let consents = consents(&json!({"prism.io/allowed-settings": "podTemplate, rootAccess"}));
        let settings = consents.for_guest("shop", "data").unwrap().settings();
        assert_eq!(settings, &[Setting::PodTemplate].into());
    }
}
