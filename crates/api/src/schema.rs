//! Schemas that derive cannot express, and the tidying of whole schemas.

use std::mem;

use kube::core::schema::StructuralSchemaRewriter;
use schemars::{
    JsonSchema, Schema,
    generate::SchemaSettings,
    transform::{Transform, transform_subschemas},
};
use serde_json::{Map, Value, json};

mod fields;
pub(crate) use fields::*;

/// An object of any shape.
pub type FreeForm = Map<String, Value>;

/// What Kubernetes reads as a quantity: 100m, 1.5, 2Gi, 1e3.
pub const QUANTITY_PATTERN: &str =
    r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$";

/// A duration as Go and Prometheus write it: 15s, 1h30m, 250ms.
pub const DURATION_PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// A DNS label: lower case letters, digits and inner hyphens.
pub const DNS_LABEL_PATTERN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// A DNS subdomain, which names of most objects are: they reach URLs of the API server, where a slash or a question
/// mark would lead elsewhere.
pub const DNS_SUBDOMAIN_PATTERN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// The same, or nothing.
pub const OPTIONAL_NAME_PATTERN: &str =
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$";

/// Properties whose schema comes from Kubernetes itself. Its descriptions are long: below these
/// names only the first sentence stays, or nothing at all where a schema would grow too large.
const KUBERNETES_PROPERTIES: &[&str] = &[
    "affinity",
    "behavior",
    "containerResource",
    "env",
    "envFrom",
    "external",
    "liveness",
    "object",
    "podSecurityContext",
    "pods",
    "ports",
    "readiness",
    "resource",
    "securityContext",
    "startup",
    "tolerations",
    "topologySpreadConstraints",
    "volumeMounts",
];

/// Properties that repeat another one under a second name: described there.
const ALIASES: &[&str] = &["runnerSpec"];

/// Properties inside those that are quantities, which the schemas of Kubernetes do not say.
const QUANTITY_PROPERTIES: &[&str] = &["averageValue", "divisor", "sizeLimit", "tolerance"];

/// How much of Kubernetes' own descriptions a schema keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descriptions {
    /// The first sentence of each.
    FirstSentence,
    /// None.
    None,
}

/// The schema of a custom resource, fit for a cluster.
///
/// - No field takes a null: the API server refuses one, or puts the default in its place, and none
///   ever reaches the operator.
/// - Numbers get the bounds of the Rust type that reads them: one object that cannot be decoded
///   would stop a whole watch.
/// - Descriptions that come from Kubernetes shrink.
#[must_use]
pub fn of<T: JsonSchema>(descriptions: Descriptions) -> Value {
    let generator = SchemaSettings::openapi3()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
            settings.transforms.insert(0, Box::new(OptionsWithoutNull));
        })
        .with_transform(StructuralSchemaRewriter)
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    tidy_below(&mut schema, None, descriptions);
    schema
}

/// Writes `Option<T>` as `T`: in a custom resource, a field that is not required may be absent, and
/// that is all an option means.
#[derive(Clone, Debug)]
struct OptionsWithoutNull;

impl Transform for OptionsWithoutNull {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_mut_slice() {
                let only = only.take();
                object.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(choices)) = object.get_mut("anyOf")
            && let [Value::Object(some), none] = choices.as_mut_slice()
            && *none == json!({"type": "null"})
        {
            let some = mem::take(some);
            object.remove("anyOf");
            for (keyword, value) in some {
                object.entry(keyword).or_insert(value);
            }
        }
    }
}

fn tidy_below(schema: &mut Value, inside: Option<Descriptions>, descriptions: Descriptions) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    object.remove("title");
    bound(object);
    if let Some(Value::String(text)) = object.get_mut("description") {
        match inside {
            Some(Descriptions::None) => {
                object.remove("description");
            }
            Some(Descriptions::FirstSentence) => *text = first_sentence(text),
            None => *text = text.replace('\n', " "),
        }
    }
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        for (name, property) in properties {
            if inside.is_some() && QUANTITY_PROPERTIES.contains(&name.as_str()) {
                property["pattern"] = json!(QUANTITY_PATTERN);
                property["maxLength"] = json!(64);
            }
            let kubernetes = KUBERNETES_PROPERTIES.contains(&name.as_str());
            let description = property.get("description").cloned();
            let is_alias = ALIASES.contains(&name.as_str());
            let below = match inside {
                None if is_alias => Some(Descriptions::None),
                None if kubernetes => Some(descriptions),
                _ => inside,
            };
            tidy_below(property, below, descriptions);
            if let (true, None, Some(Value::String(text))) = (kubernetes || is_alias, inside, description) {
                property["description"] = Value::String(text.replace('\n', " "));
            }
        }
    }
    for below in ["items", "additionalProperties"] {
        if let Some(schema) = object.get_mut(below) {
            tidy_below(schema, inside, descriptions);
        }
    }
}

/// Gives integers the bounds of the type they are read into.
fn bound(schema: &mut Map<String, Value>) {
    let is_text_or_number = schema.get("x-kubernetes-int-or-string") == Some(&json!(true));
    let is_quantity = is_text_or_number && schema.contains_key("pattern");
    let is_int32 = schema.get("format") == Some(&json!("int32"));
    if is_int32 || (is_text_or_number && !is_quantity) {
        schema.entry("minimum").or_insert(json!(i32::MIN));
        schema.entry("maximum").or_insert(json!(i32::MAX));
    }
}

/// The first sentence of a text.
fn first_sentence(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let ends = line.match_indices(". ").map(|(end, _)| end);
    let mut sentence_ends = ends.filter(|end| line[end + 2..].trim_start().starts_with(char::is_uppercase));
    match sentence_ends.next() {
        Some(end) => line[..=end].to_owned(),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_description_keeps_its_first_sentence() {
        assert_eq!(first_sentence("What. More.\nEven more."), "What.");
        assert_eq!(first_sentence("No end"), "No end");
    }

    #[test]
    fn an_abbreviation_does_not_end_a_sentence() {
        assert_eq!(first_sentence("Rules (e.g. spread). More."), "Rules (e.g. spread).");
    }

    #[test]
    fn an_optional_enum_keeps_the_description_of_its_field() {
        /// Of the type.
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema counts")]
        enum Choice {
            /// One.
            One,
            /// Two.
            Two,
        }

        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema counts")]
        struct Holder {
            /// Of the field.
            choice: Option<Choice>,
        }

        assert_eq!(
            of::<Holder>(Descriptions::FirstSentence)["properties"]["choice"],
            json!({"description": "Of the field.", "type": "string", "enum": ["One", "Two"]})
        );
    }
}
