//! What people are woken up for.

use std::collections::BTreeMap;

use super::Edge;
use crate::types::{Alert, PrometheusRule, PrometheusRuleSpec, RuleGroup};

/// Alerts on the gauges that the operator serves about the stack. They hold when a part is reported
/// as not ready, and are silent about parts that the stack does not have.
pub(super) fn build(edge: &Edge) -> Option<PrometheusRule> {
    edge.scraped()?;
    let rules = vec![component_down(edge, &ADMIN), component_down(edge, &PROXY), pattern(edge), phase(edge)];
    let spec = PrometheusRuleSpec { groups: vec![RuleGroup { name: "prism-stack".to_owned(), rules }] };
    Some(PrometheusRule::new(edge.metadata(edge.name("")), spec))
}

/// A component without which a stack is of no use.
struct Vital {
    component: &'static str,
    alert: &'static str,
    consequence: &'static str,
}

const ADMIN: Vital = Vital {
    component: "admin",
    alert: "PrismAdminDown",
    consequence: "What runs goes on with the configuration it has; changes do not get through.",
};

const PROXY: Vital = Vital {
    component: "proxy",
    alert: "PrismProxyDown",
    consequence: "Clients cannot reach the patterns behind it.",
};

fn component_down(edge: &Edge, vital: &Vital) -> Alert {
    let Vital { component, alert, consequence } = vital;
    let gauges = edge.gauges(&format!(r#",component="{component}""#));
    Alert {
        alert,
        expr: format!("max by (namespace, cluster, component) (prism_cluster_components_ready{gauges}) == 0"),
        lasts: "2m",
        labels: severity("critical"),
        annotations: annotations(
            format!("The {component} of stack {} is down", edge.stack),
            format!("It has not been ready for 2 minutes. {consequence} {}", look(edge)),
        ),
    }
}

fn pattern(edge: &Edge) -> Alert {
    let gauges = edge.gauges("");
    Alert {
        alert: "PrismPatternNotReady",
        expr: format!("max by (namespace, cluster, pattern) (prism_cluster_patterns_ready{gauges}) == 0"),
        lasts: "10m",
        labels: severity("warning"),
        annotations: annotations(
            format!("Pattern {{{{ $labels.pattern }}}} of stack {} is not ready", edge.stack),
            format!("It has not been ready for 10 minutes. {}", look(edge)),
        ),
    }
}

fn phase(edge: &Edge) -> Alert {
    let gauges = edge.gauges(r#",phase="failed""#);
    Alert {
        alert: "PrismStackFailed",
        expr: format!("max by (namespace, cluster) (prism_cluster_phase{gauges}) == 1"),
        lasts: "5m",
        labels: severity("critical"),
        annotations: annotations(
            format!("Stack {} has failed", edge.stack),
            format!("It has been in phase Failed for 5 minutes: somebody has to act. {}", look(edge)),
        ),
    }
}

fn severity(severity: &'static str) -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([("severity", severity)])
}

fn annotations(summary: String, description: String) -> BTreeMap<&'static str, String> {
    BTreeMap::from([("summary", summary), ("description", description)])
}

/// Where the reason stands.
fn look(edge: &Edge) -> String {
    let Edge { stack, namespace, .. } = edge;
    format!("The conditions say why: kubectl describe prismstack {stack} --namespace {namespace}")
}
