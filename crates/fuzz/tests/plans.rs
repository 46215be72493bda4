//! Whatever stands in a spec is either planned or refused with a sentence, and reported.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use jiff::Timestamp;
use prism_api::{PrismAutoscaler, PrismBackend, PrismCluster, PrismPattern, PrismStack};
use prism_fuzz::documents::{edited, samples};
use prism_fuzz::fuzz;
use prism_plan::invalid::Invalid;
use prism_plan::report::Report;
use prism_plan::{autoscaler, backend, cluster, pattern, stack};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The document as the API server would keep it, if it is of that kind at all.
fn read<K: DeserializeOwned>(document: &Value) -> Option<K> {
    let mut document = document.clone();
    document["metadata"]["namespace"] = json!("shop");
    document["metadata"]["uid"] = json!("0000");
    document["metadata"]["generation"] = json!(1);
    serde_json::from_value(document).ok()
}

/// A refusal names a field of the spec and says what to do.
fn is_a_sentence(invalid: &Invalid) -> Result<(), TestCaseError> {
    prop_assert!(invalid.field.starts_with("spec"), "{invalid}");
    prop_assert!(!invalid.advice.is_empty(), "{invalid}");
    Ok(())
}

fn is_json(status: &impl Serialize) -> Result<(), TestCaseError> {
    prop_assert!(serde_json::to_value(status).is_ok());
    Ok(())
}

#[test]
fn fuzz_patterns() {
    let mut documents = samples("PrismPattern").unwrap();
    let patched: Vec<_> = documents.iter().cloned().map(with_patch).collect();
    documents.extend(patched);
    fuzz(file!(), &edited(documents), |document| {
        let Some(object) = read::<PrismPattern>(&document) else { return Ok(()) };
        let facts = pattern::Facts::default();
        match pattern::plan(&object, &facts) {
            Ok(plan) => {
                is_json(&pattern::status(&object, &plan, &facts, Report::default(), Timestamp::UNIX_EPOCH))
            }
            Err(invalid) => {
                is_json(&pattern::refused(&object, &invalid, &facts, Timestamp::UNIX_EPOCH))?;
                is_a_sentence(&invalid)
            }
        }
    });
}

/// The pattern with a patch of its pods, in which edits find something to spoil.
fn with_patch(mut pattern: Value) -> Value {
    pattern["spec"]["podTemplate"] = json!({
        "metadata": {"labels": {"team": "x"}},
        "spec": {
            "containers": [{
                "name": "sidecar", "image": "example.com/sidecar:1", "env": [{"name": "A", "value": "$(B)"}],
                "ports": [{"containerPort": 9999, "protocol": "TCP"}],
                "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
                "livenessProbe": null,
            }],
            "volumes": [{"name": "cache", "emptyDir": {}}, {"$patch": "delete", "name": "config"}],
            "tolerations": [{"$patch": "replace"}, {"key": "gpu", "operator": "Exists"}],
            "nodeSelector": {"disk": "ssd", "zone": null},
        },
    });
    pattern
}

#[test]
fn fuzz_backends() {
    fuzz(file!(), &edited(samples("PrismBackend").unwrap()), |document| {
        let Some(object) = read::<PrismBackend>(&document) else { return Ok(()) };
        let facts = backend::Facts::default();
        match backend::plan(&object, &facts) {
            Ok(plan) => {
                is_json(&backend::status(&object, &plan, &facts, Report::default(), Timestamp::UNIX_EPOCH))
            }
            Err(invalid) => {
                is_json(&backend::refused(&object, &invalid, &facts, Timestamp::UNIX_EPOCH))?;
                is_a_sentence(&invalid)
            }
        }
    });
}

#[test]
fn fuzz_stacks() {
    fuzz(file!(), &edited(samples("PrismStack").unwrap()), |document| {
        let Some(object) = read::<PrismStack>(&document) else { return Ok(()) };
        let facts = stack::Facts::default();
        match stack::plan(&object, &facts) {
            Ok(plan) => {
                is_json(&stack::status(&object, &plan, &facts, Report::default(), Timestamp::UNIX_EPOCH))
            }
            Err(invalid) => {
                is_json(&stack::refused(&object, &invalid, Timestamp::UNIX_EPOCH))?;
                is_a_sentence(&invalid)
            }
        }
    });
}

#[test]
fn fuzz_clusters() {
    fuzz(file!(), &edited(samples("PrismCluster").unwrap()), |document| {
        let Some(object) = read::<PrismCluster>(&document) else { return Ok(()) };
        let plan = cluster::plan(&object);
        is_json(&cluster::status(&object, &plan, None, Report::default(), Timestamp::UNIX_EPOCH))?;
        plan.err().map_or(Ok(()), |invalid| is_a_sentence(&invalid))
    });
}

#[test]
fn fuzz_autoscalers() {
    let sample = json!({
        "apiVersion": "prism.io/v1alpha1", "kind": "PrismAutoscaler", "metadata": {"name": "orders"},
        "spec": {
            "targetRef": {"kind": "Deployment", "name": "orders"}, "minReplicas": 1, "maxReplicas": 9,
            "pollingInterval": 10,
            "metrics": [
                {"type": "AdminMetric", "adminMetric": {
                    "endpoint": "admin:8980", "metricName": "lag",
                    "target": {"type": "AverageValue", "averageValue": "5"},
                }},
                {"type": "Prometheus", "prometheus": {
                    "serverAddress": "http://prometheus:9090", "query": "sum(up)", "threshold": "100m",
                }},
            ],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
            "windows": [{"name": "day", "start": "0 8 * * *", "end": "0 18 * * *", "minReplicas": 3}],
        },
    });
    fuzz(file!(), &edited(vec![sample]), |document| {
        let Some(object) = read::<PrismAutoscaler>(&document) else { return Ok(()) };
        let target = autoscaler::workload(&object);
        let facts = autoscaler::Facts { target, ..autoscaler::Facts::default() };
        match autoscaler::plan(&object, &facts) {
            Ok(plan) => {
                is_json(&autoscaler::status(&object, &plan, &facts, Report::default(), Timestamp::UNIX_EPOCH))
            }
            Err(invalid) => {
                is_json(&autoscaler::refused(&object, &invalid, Timestamp::UNIX_EPOCH))?;
                is_a_sentence(&invalid)
            }
        }
    });
}
