//! Plans of whole clusters.

use prism_api::workload::WorkloadKind;
use serde_json::json;

use super::*;

fn cluster(spec: &serde_json::Value) -> PrismCluster {
    serde_json::from_value(json!({
        "apiVersion": "prism.io/v1alpha1", "kind": "PrismCluster",
        "metadata": {"name": "local", "namespace": "prism", "uid": "0000-1111"}, "spec": spec,
    }))
    .unwrap()
}

#[test]
fn the_name_of_a_pattern_is_its_type_and_its_type_the_kind() {
    let plan = plan(&cluster(
        &json!({"patterns": [{"name": "keyvalue", "type": "StatefulSet", "backends": ["redis"]}]}),
    ));
    let pattern = plan.unwrap().stack.spec.patterns.remove(0);
    assert_eq!(pattern.spec.pattern_type(), Some("keyvalue"));
    assert_eq!(pattern.spec.kind, Some(WorkloadKind::StatefulSet));
}

#[test]
fn a_backend_that_is_switched_off_is_none() {
    let spec =
        json!({"backends": {"redis": {"enabled": true, "storage": "1Gi"}, "kafka": {"enabled": false}}});
    let backends = plan(&cluster(&spec)).unwrap().stack.spec.backends;
    assert_eq!(backends.iter().map(|backend| backend.name.as_str()).collect::<Vec<_>>(), ["redis"]);
    assert!(backends[0].spec.provision.is_some());
}
