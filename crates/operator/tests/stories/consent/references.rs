//! The references, and what may arrive by each.

use serde_json::{Value, json};

/// Name of the stack, and the beginning of the names of all that it makes, in the namespace that asks.
pub(super) const OURS: &str = "main";

/// A field by which the namespace `a` refers to the namespace `b`.
pub(super) struct Reference {
    pub(super) kind: &'static str,
    pub(super) field: &'static str,
    /// What is created in `a`: kind, name and spec.
    pub(super) objects: fn(&str) -> Vec<(&'static str, &'static str, Value)>,
    /// What arrives without consent, with it, after it was withdrawn, and with forged marks.
    pub(super) expected: [&'static str; 4],
}

/// Nothing of the other namespace.
const NOTHING: [&str; 4] = ["-", "-", "-", "-"];
/// The address, for as long as there is consent; then what runs with it is left as it is.
const ADDRESS: [&str; 4] = ["-", "address", "frozen", "-"];

fn backend(spec: Value) -> Vec<(&'static str, &'static str, Value)> {
    let pattern = json!({"pattern": "keyvalue", "backend": "store"});
    vec![("PrismBackend", "store", spec), ("PrismPattern", "main-reader", pattern)]
}

fn stack(backend: &Value) -> Vec<(&'static str, &'static str, Value)> {
    let mut backend = backend.clone();
    backend["name"] = json!("store");
    let pattern = json!({"name": "reader", "type": "keyvalue", "backend": "store"});
    let spec = json!({"proxy": {"enabled": false}, "backends": [backend], "patterns": [pattern]});
    vec![("PrismStack", OURS, spec)]
}

pub(super) const REFERENCES: [Reference; 17] = [
    Reference {
        kind: "PrismBackend",
        field: "serviceRef",
        objects: |b| backend(json!({"type": "redis", "serviceRef": {"name": "db", "namespace": b}})),
        expected: ADDRESS,
    },
    Reference {
        kind: "PrismBackend",
        field: "secretRef",
        objects: |b| {
            backend(
                json!({"connectionString": "redis://own", "secretRef": {"name": "login", "namespace": b}}),
            )
        },
        expected: NOTHING,
    },
    Reference {
        kind: "PrismBackend",
        field: "connection.secretRef",
        objects: |b| {
            backend(
                json!({"connection": {"url": "redis://own", "secretRef": {"name": "login", "namespace": b}}}),
            )
        },
        expected: NOTHING,
    },
    Reference {
        kind: "PrismBackend",
        field: "connection.tls.secretRef",
        objects: |b| {
            backend(
                json!({"connection": {"url": "redis://own", "tls": {"secretRef": {"name": "login", "namespace": b}}}}),
            )
        },
        expected: NOTHING,
    },
    Reference {
        kind: "PrismBackend",
        field: "dataLocality",
        objects: |b| {
            backend(
                json!({"connectionString": "redis://own", "dataLocality": {"strategy": "collocate", "namespace": b}}),
            )
        },
        expected: NOTHING,
    },
    Reference {
        kind: "PrismPattern",
        field: "backend",
        objects: |_| vec![("PrismPattern", "main-reader", json!({"pattern": "keyvalue", "backend": "db"}))],
        expected: NOTHING,
    },
    Reference {
        kind: "PrismPattern",
        field: "backendConfig",
        objects: |b| {
            vec![(
                "PrismPattern",
                "main-reader",
                json!({"pattern": "keyvalue", "backend": "store", "backendConfig": {"name": "db", "namespace": b}}),
            )]
        },
        expected: NOTHING,
    },
    Reference {
        kind: "PrismStack",
        field: "backends[].serviceRef",
        objects: |b| stack(&json!({"type": "redis", "serviceRef": {"name": "db", "namespace": b}})),
        expected: ADDRESS,
    },
    Reference {
        kind: "PrismStack",
        field: "backends[].secretRef",
        objects: |b| {
            stack(&json!({"connectionString": "redis://own", "secretRef": {"name": "login", "namespace": b}}))
        },
        expected: NOTHING,
    },
    Reference {
        kind: "PrismStack",
        field: "backends[].connection.secretRef",
        objects: |b| {
            stack(
                &json!({"connection": {"url": "redis://own", "secretRef": {"name": "login", "namespace": b}}}),
            )
        },
        expected: NOTHING,
    },
    Reference {
        kind: "PrismStack",
        field: "backends[].connection.tls.secretRef",
        objects: |b| {
            stack(
                &json!({"connection": {"url": "redis://own", "tls": {"secretRef": {"name": "login", "namespace": b}}}}),
            )
        },
        expected: NOTHING,
    },
    Reference {
        kind: "PrismStack",
        field: "backends[].dataLocality",
        objects: |b| {
            stack(&json!({
                "type": "redis", "serviceRef": {"name": "db", "namespace": b},
                "secretRef": {"name": "login", "namespace": b}, "dataLocality": {"strategy": "collocate"},
            }))
        },
        expected: ["-", "address, objects, secret", "frozen", "-"],
    },
    Reference {
        kind: "PrismStack",
        field: "patterns[].backendConfig",
        objects: |b| {
            let pattern = json!({"name": "reader", "type": "keyvalue", "backend": "store", "backendConfig": {"name": "db", "namespace": b}});
            vec![("PrismStack", OURS, json!({"proxy": {"enabled": false}, "patterns": [pattern]}))]
        },
        expected: NOTHING,
    },
    Reference {
        kind: "PrismStack",
        field: "ingress.gateway",
        objects: |b| {
            vec![("PrismStack", OURS, json!({"ingress": {"gateway": {"name": "db", "namespace": b}}}))]
        },
        expected: NOTHING,
    },
    Reference {
        kind: "PrismCluster",
        field: "ingress.gateway",
        objects: |b| {
            vec![("PrismCluster", OURS, json!({"ingress": {"gateway": {"name": "db", "namespace": b}}}))]
        },
        expected: NOTHING,
    },
    Reference {
        kind: "PrismNamespace",
        field: "proxyRef",
        objects: |b| vec![("PrismNamespace", OURS, json!({"proxyRef": {"name": "orders", "namespace": b}}))],
        expected: NOTHING,
    },
    Reference {
        kind: "PrismAutoscaler",
        field: "targetRef",
        objects: |_| {
            let metric = json!({"type": "AdminMetric", "adminMetric": {"metricName": "lag", "target": {"value": "1"}}});
            let spec =
                json!({"targetRef": {"kind": "Deployment", "name": "main-worker"}, "metrics": [metric]});
            vec![("PrismAutoscaler", "main-worker", spec)]
        },
        expected: NOTHING,
    },
];
