//! How a pattern names a backend, and how a backend is reached.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::schema::FreeForm;

/// One backend in the list of a pattern: its name, or its name with details.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BackendUse {
    /// `- redis`
    Name(String),
    /// `- {name: redis, slot: store, config: {...}}`
    Detailed(DetailedBackendUse),
}

/// A backend of a pattern, with details.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DetailedBackendUse {
    /// Name of the backend.
    pub name: String,
    /// What the pattern uses it for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// Settings of the backend for this pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<FreeForm>,
}

impl BackendUse {
    /// The name of the backend.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Detailed(detailed) => &detailed.name,
        }
    }

    /// What the pattern uses the backend for, if it says so.
    #[must_use]
    pub fn slot(&self) -> Option<&str> {
        match self {
            Self::Name(_) => None,
            Self::Detailed(detailed) => detailed.slot.as_deref(),
        }
    }

    /// Settings of the backend for this pattern.
    #[must_use]
    pub fn config(&self) -> Option<&FreeForm> {
        match self {
            Self::Name(_) => None,
            Self::Detailed(detailed) => detailed.config.as_ref(),
        }
    }
}

impl JsonSchema for BackendUse {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "BackendUse".into()
    }

    /// A string or an object: a structural schema cannot say so, and has no type here. What it can
    /// say is what each type must look like: objects have a name, and no number or list fits.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Name of a backend, or an object with its name, slot and config.",
            "x-kubernetes-preserve-unknown-fields": true,
            "required": ["name"],
            "properties": {
                "name": {
                    "description": "Name of the backend.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 253,
                },
                "slot": {
                    "description": "What the pattern uses the backend for, such as store, messages or storage. Default: by the type of the backend.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 63,
                },
                "config": {
                    "description": "Settings of the backend for this pattern, free in form.",
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": true,
                },
            },
        })
    }
}

/// The name of an object, in this or another namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the object. Another namespace than this one must consent. Default: this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// A Secret, and which of its keys hold what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the Secret. Another namespace than this one must consent. Default: this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Which key of the Secret holds what: url, username, password, token, accessKey, secretKey,
    /// ca, cert, key. Default: the key of the same name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub keys: BTreeMap<String, String>,
}
