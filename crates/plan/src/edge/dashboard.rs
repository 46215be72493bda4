//! A dashboard for Grafana.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use super::Edge;
use crate::text;

/// Label by which Grafana's sidecar finds dashboards.
const SIDECAR_LABEL: (&str, &str) = ("grafana_dashboard", "1");

/// A `ConfigMap` with the dashboard as its one file.
pub(super) fn build(edge: &Edge) -> Option<ConfigMap> {
    edge.observed()?.grafana.as_ref().filter(|grafana| grafana.enabled.unwrap_or(true))?;
    let mut metadata = edge.metadata(edge.name("-dashboard"));
    let (key, value) = SIDECAR_LABEL;
    metadata.labels.get_or_insert_default().insert(key.to_owned(), value.to_owned());
    // The sidecar puts the files of all namespaces into one folder.
    let file = format!("prism-{}-{}.json", edge.namespace, edge.stack);
    Some(ConfigMap {
        metadata,
        data: Some(BTreeMap::from([(file, format!("{:#}", dashboard(edge)))])),
        ..ConfigMap::default()
    })
}

fn dashboard(edge: &Edge) -> Value {
    let gauges = edge.gauges("");
    let id = format!("{}/{}", edge.namespace, edge.stack);
    json!({
        "uid": format!("prism-{}", text::hash(id.as_bytes(), 16)),
        "title": format!("Prism {}", edge.stack),
        "tags": ["prism"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
        ]},
        "panels": [
            phase(&format!("max by (phase) (prism_cluster_phase{gauges}) == 1")),
            readiness(
                (2, 4, 8),
                "Components",
                &format!("max by (component) (prism_cluster_components_ready{gauges})"),
                "{{component}}",
            ),
            readiness(
                (3, 12, 12),
                "Patterns",
                &format!("max by (pattern) (prism_cluster_patterns_ready{gauges})"),
                "{{pattern}}",
            ),
        ],
    })
}

/// The current phase, by name: older ones would show up in a range.
fn phase(expr: &str) -> Value {
    json!({
        "id": 1, "title": "Phase", "type": "stat",
        "gridPos": {"x": 0, "y": 0, "w": 24, "h": 4},
        "datasource": datasource(),
        "targets": [{"refId": "A", "expr": expr, "legendFormat": "{{phase}}", "instant": true, "range": false}],
        "options": {"textMode": "name", "colorMode": "none", "reduceOptions": {"calcs": ["lastNotNull"]}},
    })
}

/// Gauges of 1 and 0 over time, in a panel with that id, distance from the top and height.
fn readiness((id, top, height): (u32, u32, u32), title: &str, expr: &str, legend: &str) -> Value {
    json!({
        "id": id, "title": title, "type": "state-timeline",
        "gridPos": {"x": 0, "y": top, "w": 24, "h": height},
        "datasource": datasource(),
        "targets": [{"refId": "A", "expr": expr, "legendFormat": legend}],
        "fieldConfig": {"overrides": [], "defaults": {"mappings": [{"type": "value", "options": {
            "0": {"text": "not ready", "color": "red", "index": 0},
            "1": {"text": "ready", "color": "green", "index": 1},
        }}]}},
        "options": {"mergeValues": true, "showValue": "never", "legend": {"showLegend": false}},
    })
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}
