//! Schemas that derive cannot express, and the tidying of whole schemas.

use k8s_openapi::api::{
    autoscaling::v2::HorizontalPodAutoscalerBehavior,
    core::v1::{ContainerPort, EnvVar, VolumeMount},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// An object of any shape.
pub type FreeForm = Map<String, Value>;

/// What Kubernetes reads as a quantity: 100m, 1.5, 2Gi, 1e3.
pub const QUANTITY_PATTERN: &str =
    r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$";

/// A duration as Go and Prometheus write it: 15s, 1h30m, 250ms.
pub const DURATION_PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// A DNS label: lower case letters, digits and inner hyphens.
pub const DNS_LABEL_PATTERN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// Properties whose schema comes from Kubernetes itself. Its descriptions are long: below these
/// names only the first sentence stays, or nothing at all where a schema would grow too large.
const KUBERNETES_PROPERTIES: &[&str] = &[
    "affinity",
    "behavior",
    "conditions",
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

/// An object of any shape.
pub(crate) fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A quantity, as a string or a whole number.
pub(crate) fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "pattern": QUANTITY_PATTERN,
        "maxLength": 64,
    })
}

/// A quantity or a duration, as a string or a whole number.
pub(crate) fn amount(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "pattern": r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+|ms|s|h)?$",
        "maxLength": 64,
    })
}

/// A number of pods or a percentage of them.
pub(crate) fn count_or_percentage(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "pattern": "^([0-9]+|100%|[0-9]{1,2}%)$",
        "minimum": 0,
        "maximum": i32::MAX,
        "maxLength": 16,
    })
}

/// Requests and limits of a container.
pub(crate) fn resources(generator: &mut SchemaGenerator) -> Schema {
    let values = quantity(generator);
    let amounts = |description: &str| {
        json!({
            "description": description,
            "type": "object",
            "maxProperties": 32,
            "additionalProperties": values,
        })
    };
    json_schema!({
        "type": "object",
        "properties": {
            "claims": {
                "description": "Resource claims of the pod that the container uses.",
                "type": "array",
                "maxItems": 32,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"description": "Name of the claim.", "type": "string", "maxLength": 253},
                        "request": {"description": "Name of one request of the claim.", "type": "string", "maxLength": 253},
                    },
                },
            },
            "limits": amounts("What the container may use at most, such as cpu: 500m or memory: 1Gi."),
            "requests": amounts("What the container is sure to get, such as cpu: 100m or memory: 128Mi. CPU and memory targets of autoscaling are percentages of these."),
        },
    })
}

/// Volumes of a pod: the name is checked here, the source by Kubernetes.
pub(crate) fn volumes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {
                    "description": "Name of the volume.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 63,
                    "pattern": DNS_LABEL_PATTERN,
                },
            },
            "x-kubernetes-preserve-unknown-fields": true,
        },
    })
}

/// Environment variables, one for each name.
pub(crate) fn env(generator: &mut SchemaGenerator) -> Schema {
    map_list::<EnvVar>(generator, &["name"], 256)
}

/// Volume mounts, one for each path.
pub(crate) fn volume_mounts(generator: &mut SchemaGenerator) -> Schema {
    map_list::<VolumeMount>(generator, &["mountPath"], 64)
}

/// Ports of a container, one for each number and protocol.
pub(crate) fn container_ports(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = map_list::<ContainerPort>(generator, &["containerPort", "protocol"], 32);
    if let Some(protocol) = schema.pointer_mut("/items/properties/protocol") {
        protocol["default"] = json!("TCP");
        protocol["enum"] = json!(["TCP", "UDP", "SCTP"]);
    }
    for port in ["containerPort", "hostPort"] {
        if let Some(port) = schema.pointer_mut(&format!("/items/properties/{port}")) {
            port["minimum"] = json!(1);
            port["maximum"] = json!(65535);
        }
    }
    schema
}

/// Scaling behavior of a `HorizontalPodAutoscaler`, with the bounds that its own API checks.
pub(crate) fn behavior(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = inlined::<HorizontalPodAutoscalerBehavior>(generator);
    for direction in ["scaleUp", "scaleDown"] {
        let Some(rules) = schema.pointer_mut(&format!("/properties/{direction}/properties")) else {
            continue;
        };
        rules["stabilizationWindowSeconds"]["minimum"] = json!(0);
        rules["stabilizationWindowSeconds"]["maximum"] = json!(3600);
        rules["selectPolicy"]["enum"] = json!(["Max", "Min", "Disabled"]);
        rules["policies"]["maxItems"] = json!(16);
        rules["policies"]["x-kubernetes-list-type"] = json!("atomic");
        let policy = &mut rules["policies"]["items"]["properties"];
        policy["type"]["enum"] = json!(["Pods", "Percent"]);
        policy["value"]["minimum"] = json!(1);
        policy["periodSeconds"]["minimum"] = json!(1);
        policy["periodSeconds"]["maximum"] = json!(1800);
    }
    schema
}

/// A list that server-side apply merges by keys.
fn map_list<T: JsonSchema>(generator: &mut SchemaGenerator, keys: &[&str], max: u32) -> Schema {
    let items = inlined::<T>(generator);
    json_schema!({
        "type": "array",
        "maxItems": max,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": keys,
        "items": items,
    })
}

/// The schema of a type with everything it refers to in place.
fn inlined<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

/// How much of Kubernetes' own descriptions a schema keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descriptions {
    /// The first sentence of each.
    FirstSentence,
    /// None.
    None,
}

/// Makes a derived schema fit for a cluster.
///
/// - `nullable` goes: without it, the API server removes a null like an absent field, and no null
///   ever reaches the operator.
/// - Numbers get the bounds of the Rust type that reads them: one object that cannot be decoded
///   would stop a whole watch.
/// - Descriptions that come from Kubernetes shrink.
pub fn tidy(schema: &mut Value, descriptions: Descriptions) {
    tidy_below(schema, None, descriptions);
}

fn tidy_below(schema: &mut Value, inside: Option<Descriptions>, descriptions: Descriptions) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    object.remove("nullable");
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
    match line.find(". ") {
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
    fn nulls_are_left_to_the_api_server() {
        let mut schema = json!({"type": "object", "properties": {"a": {"type": "string", "nullable": true}}});
        tidy(&mut schema, Descriptions::FirstSentence);
        assert_eq!(
            schema,
            json!({"type": "object", "properties": {"a": {"type": "string"}}})
        );
    }
}
