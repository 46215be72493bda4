//! Schemas of single fields, for `schema_with`.

use k8s_openapi::api::{
    autoscaling::v2::HorizontalPodAutoscalerBehavior,
    core::v1::{ContainerPort, EnvVar, VolumeMount},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::{DNS_LABEL_PATTERN, QUANTITY_PATTERN};

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
        rules["policies"]["minItems"] = json!(1);
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
