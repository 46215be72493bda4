//! What every custom resource definition must be, as far as it can be seen without a cluster. A
//! real API server has the last word; these tests say early what it would say late.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::{collections::BTreeSet, sync::LazyLock};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use prism_api::all_crds;
use serde_json::{Map, Value};

/// What fits into the annotation that `kubectl apply` keeps.
const KUBECTL_APPLY_LIMIT: usize = 256 * 1024;

/// Properties below which Kubernetes itself describes things, or an alias repeats them.
const DESCRIBED_ELSEWHERE: &[&str] = &[
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
    "runnerSpec",
    "securityContext",
    "startup",
    "tolerations",
    "topologySpreadConstraints",
    "volumeMounts",
];

/// All definitions: making them takes a while.
fn definitions() -> &'static Vec<CustomResourceDefinition> {
    static DEFINITIONS: LazyLock<Vec<CustomResourceDefinition>> = LazyLock::new(|| all_crds().unwrap());
    &DEFINITIONS
}

/// Calls `visit` with the path of every schema of every version, and the schema.
fn visit_all(visit: &mut dyn FnMut(&str, &Map<String, Value>)) {
    for crd in definitions().clone() {
        for version in &crd.spec.versions {
            let schema = version.schema.as_ref().unwrap();
            let schema = serde_json::to_value(&schema.open_api_v3_schema).unwrap();
            let path = format!("{}/{}", crd.spec.names.kind, version.name);
            visit_below(&path, &schema, visit);
        }
    }
}

fn visit_below(path: &str, schema: &Value, visit: &mut dyn FnMut(&str, &Map<String, Value>)) {
    let Value::Object(schema) = schema else {
        return;
    };
    visit(path, schema);
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        visit_below(&format!("{path}.{name}"), property, visit);
    }
    for (keyword, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(below) = schema.get(keyword) {
            visit_below(&format!("{path}{mark}"), below, visit);
        }
    }
}

fn is_true(schema: &Map<String, Value>, keyword: &str) -> bool {
    schema.get(keyword) == Some(&Value::Bool(true))
}

#[test]
fn every_kind_has_its_definition() {
    let kinds: Vec<String> = definitions().iter().cloned().map(|crd| crd.spec.names.kind).collect();
    assert_eq!(
        kinds,
        [
            "PrismAutoscaler",
            "PrismBackend",
            "PrismCluster",
            "PrismFederation",
            "PrismNamespace",
            "PrismPattern",
            "PrismStack"
        ]
    );
}

#[test]
fn every_definition_is_small_enough_for_kubectl_apply() {
    for crd in definitions().clone() {
        let size = serde_json::to_string(&crd).unwrap().len();
        assert!(size < KUBECTL_APPLY_LIMIT, "{} has {size} bytes", crd.spec.names.kind);
    }
}

#[test]
fn every_property_is_described() {
    let mut missing = Vec::new();
    visit_all(&mut |path, schema| {
        let is_property = path.contains('.') && !path.ends_with(']') && !path.ends_with('}');
        let is_ours = !path
            .split('.')
            .rev()
            .skip(1)
            .any(|name| DESCRIBED_ELSEWHERE.contains(&name.trim_end_matches("[]")));
        if is_property && is_ours && !schema.contains_key("description") {
            missing.push(path.to_owned());
        }
    });
    assert!(missing.is_empty(), "without a description: {missing:#?}");
}

#[test]
fn every_schema_is_structural() {
    visit_all(&mut |path, schema| {
        let may_lack_a_type = is_true(schema, "x-kubernetes-int-or-string")
            || is_true(schema, "x-kubernetes-preserve-unknown-fields");
        assert!(schema.get("type").is_some_and(Value::is_string) || may_lack_a_type, "{path} has no type");
        for keyword in ["$ref", "definitions", "nullable", "oneOf", "anyOf", "allOf", "title", "uniqueItems"]
        {
            assert!(!schema.contains_key(keyword), "{path} has {keyword}");
        }
        assert!(
            !(schema.contains_key("properties") && schema.contains_key("additionalProperties")),
            "{path} has both properties and additionalProperties"
        );
        if schema.get("type").and_then(Value::as_str) == Some("array") {
            assert!(schema.contains_key("items"), "{path} has no items");
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            let properties = schema.get("properties").and_then(Value::as_object);
            assert!(
                properties.is_some_and(|known| known.contains_key(name.as_str().unwrap())),
                "{path} requires {name}, which it does not have"
            );
        }
    });
}

#[test]
fn the_keys_of_a_map_list_are_always_there() {
    visit_all(&mut |path, schema| {
        for key in schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten() {
            let item = &schema["items"];
            let is_required = item["required"].as_array().is_some_and(|names| names.contains(key));
            let has_default = item["properties"][key.as_str().unwrap()].get("default").is_some();
            assert!(is_required || has_default, "{path}: {key} may be missing");
        }
    });
}

#[test]
fn no_number_is_too_large_to_be_read() {
    visit_all(&mut |path, schema| {
        let is_int32 = schema.get("format").and_then(Value::as_str) == Some("int32");
        let is_number_or_name =
            is_true(schema, "x-kubernetes-int-or-string") && !schema.contains_key("pattern");
        if is_int32 || is_number_or_name {
            let maximum = schema.get("maximum").and_then(Value::as_f64);
            assert!(maximum.is_some_and(|max| max <= f64::from(i32::MAX)), "{path} has no upper bound");
        }
    });
}

#[test]
fn every_rule_says_what_to_do() {
    visit_all(&mut |path, schema| {
        for rule in schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
            let message = rule["message"].as_str().unwrap_or_default();
            assert!(message.contains(' ') && !message.contains('\n'), "{path}: {rule}");
        }
    });
}

#[test]
fn both_versions_of_a_kind_have_one_schema_and_no_webhook() {
    for crd in definitions().clone() {
        let versions = &crd.spec.versions;
        assert_eq!(versions.iter().filter(|version| version.storage).count(), 1);
        assert!(versions.iter().all(|version| version.served));
        assert!(versions.windows(2).all(|pair| pair[0].schema == pair[1].schema));
        assert_eq!(crd.spec.conversion.unwrap().strategy, "None");
    }
    assert_eq!(versions_of("PrismPattern"), ["v1alpha1", "v1beta1"]);
    assert_eq!(versions_of("PrismNamespace"), ["v1alpha1", "v1alpha2"]);
    assert_eq!(versions_of("PrismFederation"), ["v1alpha3"]);
}

#[test]
fn a_pattern_shows_at_a_glance_how_it_is() {
    let columns = definition("PrismPattern").spec.versions[0].additional_printer_columns.clone().unwrap();
    let narrow: Vec<String> = columns
        .into_iter()
        .filter(|column| column.priority.unwrap_or(0) == 0)
        .map(|column| column.name.to_uppercase())
        .collect();
    assert_eq!(narrow, ["READY", "REASON", "KIND", "REPLICAS", "DESIRED", "SCALER", "BACKEND", "AGE"]);
}

#[test]
fn every_kind_has_a_status_and_belongs_to_the_category() {
    let mut short_names = BTreeSet::new();
    for crd in definitions().clone() {
        let names = crd.spec.names;
        assert_eq!(names.categories.unwrap(), ["prism"]);
        for name in names.short_names.unwrap() {
            assert!(short_names.insert(name.clone()), "{name} is used twice");
        }
        for version in crd.spec.versions {
            let subresources = version.subresources.unwrap();
            assert!(subresources.status.is_some());
            assert_eq!(subresources.scale.is_some(), names.kind == "PrismPattern");
        }
    }
}

fn definition(kind: &str) -> CustomResourceDefinition {
    definitions().iter().find(|crd| crd.spec.names.kind == kind).cloned().unwrap()
}

fn versions_of(kind: &str) -> Vec<String> {
    definition(kind).spec.versions.into_iter().map(|version| version.name).collect()
}
