//! How a pattern names a backend, and how a backend is reached.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use crate::schema::FreeForm;

/// One backend in the list of a pattern: its name, or its name with details.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BackendUse {
    /// `- redis`
    Name(String),
    /// `- {name: redis, slot: store, config: {...}}`
    Detailed {
        /// Name of the backend.
        name: String,
        /// What the pattern uses it for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<String>,
        /// Settings of the backend for this pattern.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        config: Option<FreeForm>,
    },
}

impl BackendUse {
    /// The name of the backend.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Detailed { name, .. } => name,
        }
    }

    /// What the pattern uses the backend for, if it says so.
    #[must_use]
    pub fn slot(&self) -> Option<&str> {
        match self {
            Self::Name(_) => None,
            Self::Detailed { slot, .. } => slot.as_deref(),
        }
    }

    /// Settings of the backend for this pattern.
    #[must_use]
    pub fn config(&self) -> Option<&FreeForm> {
        match self {
            Self::Name(_) => None,
            Self::Detailed { config, .. } => config.as_ref(),
        }
    }
}

/// Reads a list and drops the nulls in it: the one value that the schema of [`BackendUse`] cannot
/// keep out.
pub(crate) fn without_nulls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<BackendUse>, D::Error> {
    let items = Vec::<Option<BackendUse>>::deserialize(deserializer)?;
    Ok(items.into_iter().flatten().collect())
}

impl JsonSchema for BackendUse {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "BackendUse".into()
    }

    /// A string or an object, which a structural schema can only say from behind: it has no type,
    /// objects need a name, and the bounds are such that no number, list or boolean meets them.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Name of a backend, or an object with its name, slot and config.",
            "x-kubernetes-preserve-unknown-fields": true,
            "minLength": 1,
            "maxLength": 253,
            "minimum": 1,
            "maximum": 0,
            "minItems": 1,
            "maxItems": 0,
            "not": {"enum": [true, false]},
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
    #[schemars(length(min = 1, max = 253), regex(pattern = crate::schema::DNS_SUBDOMAIN_PATTERN))]
    pub name: String,
    /// Namespace of the object. Another namespace than this one must consent. Default: this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = crate::schema::DNS_LABEL_PATTERN))]
    pub namespace: Option<String>,
}

/// A Secret, and which of its keys hold what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = crate::schema::DNS_SUBDOMAIN_PATTERN))]
    pub name: String,
    /// Namespace of the Secret. Another namespace than this one must consent. Default: this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = crate::schema::DNS_LABEL_PATTERN))]
    pub namespace: Option<String>,
    /// Which key of the Secret holds what: url, username, password, token, accessKey, secretKey,
    /// ca, cert, key. Default: the key of the same name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub keys: BTreeMap<String, String>,
}

/// A Service, and which of its ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRef {
    /// Name of the Service.
    #[schemars(length(min = 1, max = 253), regex(pattern = crate::schema::DNS_SUBDOMAIN_PATTERN))]
    pub name: String,
    /// Namespace of the Service. Another namespace than this one must consent. Default: this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = crate::schema::DNS_LABEL_PATTERN))]
    pub namespace: Option<String>,
    /// Port of the Service. Default: the provider's own, if the Service has it, otherwise the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
}
