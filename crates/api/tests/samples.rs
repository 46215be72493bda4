//! Everything that users are shown can be read, and comes back as it was.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use prism_api::{
    PrismAutoscaler, PrismBackend, PrismCluster, PrismFederation, PrismNamespace, PrismPattern,
    PrismPatternSpec, PrismStack, connection::BackendUse,
};
use rstest::rstest;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

/// Reads a document as the type of its kind, writes it, and reads that again.
fn round_trip(document: &Value) -> Result<(), String> {
    fn check<T: DeserializeOwned + Serialize + PartialEq>(document: &Value) -> Result<(), String> {
        let first: T = serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
        let written = serde_json::to_value(&first).map_err(|error| error.to_string())?;
        let second: T = serde_json::from_value(written.clone()).map_err(|error| error.to_string())?;
        if first != second {
            return Err("is not what it was after writing and reading it".to_owned());
        }
        // The type writes its storage version, whichever version it was read from.
        let mut document = document.clone();
        document["apiVersion"] = written["apiVersion"].clone();
        match lost("", &document, &written) {
            Some(path) => Err(format!("loses {path}")),
            None => Ok(()),
        }
    }
    match document["kind"].as_str() {
        Some("PrismAutoscaler") => check::<PrismAutoscaler>(document),
        Some("PrismBackend") => check::<PrismBackend>(document),
        Some("PrismCluster") => check::<PrismCluster>(document),
        Some("PrismFederation") => check::<PrismFederation>(document),
        Some("PrismNamespace") => check::<PrismNamespace>(document),
        Some("PrismPattern") => check::<PrismPattern>(document),
        Some("PrismStack") => check::<PrismStack>(document),
        Some("Namespace" | "Service") => Ok(()),
        kind => Err(format!("has an unknown kind: {kind:?}")),
    }
}

/// The path of the first field that was read and not written. Empty lists and objects may go.
fn lost(path: &str, read: &Value, written: &Value) -> Option<String> {
    match (read, written) {
        (Value::Object(read), Value::Object(written)) => read.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            match written.get(name) {
                Some(below) => lost(&path, value, below),
                None => (!is_empty(value)).then_some(path),
            }
        }),
        (Value::Array(read), Value::Array(written)) if read.len() == written.len() => {
            read.iter().zip(written).find_map(|(read, written)| lost(&format!("{path}[]"), read, written))
        }
        (Value::Number(read), Value::String(written)) if read.to_string() == *written => None,
        (read, written) => (read != written).then(|| path.to_owned()),
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
}

/// Checks every document of every file in a directory, and says how many there were.
fn check_directory(directory: &Path) -> usize {
    let mut documents = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for document in serde_saphyr::from_multiple::<Value>(&text).unwrap() {
            let name = &document["metadata"]["name"];
            if let Err(error) = round_trip(&document) {
                panic!("{}: {name} {error}", path.display());
            }
            documents += 1;
        }
    }
    documents
}

#[test]
fn every_sample_of_ours_can_be_read() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/samples");
    assert!(check_directory(&directory) >= 6);
}

/// Samples from elsewhere, where there are any: their directory is in `PRISM_SEED_SAMPLES`.
#[test]
fn every_sample_from_elsewhere_can_be_read() {
    let directory = env::var_os("PRISM_SEED_SAMPLES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seed-samples"),
        PathBuf::from,
    );
    if directory.is_dir() {
        assert!(check_directory(&directory) > 0);
    }
}

#[rstest]
#[case::kind(json!({"kind": "DaemonSet"}))]
#[case::scaler(json!({"autoscaling": {"scaler": "vpa"}}))]
#[case::runtime_profile(json!({"runtimeProfile": "Standard"}))]
#[case::service_type(json!({"service": {"type": "ExternalName"}}))]
#[case::access_mode(json!({"storage": {"accessModes": ["ReadWrite"]}}))]
#[case::placement_strategy(json!({"placement": {"strategy": "multizone"}}))]
#[case::trigger_metadata_takes_strings(json!({"autoscaling": {"triggers": [{"type": "kafka", "metadata": {"lagThreshold": 5}}]}}))]
fn an_unknown_word_is_refused(#[case] spec: Value) {
    assert!(serde_json::from_value::<PrismPatternSpec>(spec).is_err());
}

#[test]
fn a_backend_is_a_name_or_an_object_with_one() {
    let spec: PrismPatternSpec = serde_json::from_value(json!({
        "backends": ["redis", null, {"name": "minio", "slot": "storage", "config": {"bucket": "mail"}}],
    }))
    .unwrap();
    let names: Vec<&str> = spec.backends.iter().map(BackendUse::name).collect();
    assert_eq!(names, ["redis", "minio"]);
    assert_eq!(spec.backends[1].slot(), Some("storage"));
    assert_eq!(spec.backends[1].config().unwrap()["bucket"], "mail");
}

#[test]
fn a_quantity_may_be_written_as_a_number() {
    let spec: PrismPatternSpec =
        serde_json::from_value(json!({"resources": {"limits": {"cpu": 2, "memory": "1Gi"}}})).unwrap();
    let limits = spec.resources.unwrap().limits.unwrap();
    assert_eq!((limits["cpu"].0.as_str(), limits["memory"].0.as_str()), ("2", "1Gi"));
}

#[test]
fn a_block_that_is_there_is_on() {
    let spec: PrismPatternSpec = serde_json::from_value(json!({"autoscaling": {"maxReplicas": 3}})).unwrap();
    assert!(spec.autoscaling.unwrap().is_enabled());
}

#[test]
fn the_pattern_of_a_stack_says_all_that_a_pattern_may() {
    let stack: PrismStack = serde_json::from_value(json!({
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismStack",
        "metadata": {"name": "demo"},
        "spec": {"patterns": [{"name": "a", "type": "consumer", "terminationGracePeriodSeconds": 5}]},
    }))
    .unwrap();
    let pattern = &stack.spec.patterns[0];
    assert_eq!(pattern.name, "a");
    assert_eq!(pattern.spec.pattern_type(), Some("consumer"));
    assert_eq!(pattern.spec.termination_grace_period_seconds, Some(5));
}
