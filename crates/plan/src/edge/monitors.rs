//! What Prometheus scrapes.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use prism_api::{labels, observability::Prometheus};

use super::{Edge, METRICS_LABEL};
use crate::invalid::Invalid;
use crate::types::{
    NamespaceSelector, PodEndpoint, PodMonitor, PodMonitorSpec, ServiceEndpoint, ServiceMonitor,
    ServiceMonitorSpec,
};

/// What helps where the Prometheus operator is not installed.
pub(super) const REMEDY: &str =
    "install the Prometheus operator, or set spec.observability.prometheus.enabled to false";

/// Components that serve metrics through a Service.
const COMPONENTS: [&str; 3] = ["admin", "proxy", "web-console"];
/// Name of the port in their Services.
const PORT: &str = "metrics";
/// Where metrics are, unless the spec says otherwise.
const PATH: &str = "/metrics";

/// Scraping of admin, proxy and web console.
pub(super) fn of_services(edge: &Edge) -> Option<ServiceMonitor> {
    let prometheus = edge.scraped()?;
    let mut selector = selector(edge, [(METRICS_LABEL, "true")]);
    selector.match_expressions = Some(vec![LabelSelectorRequirement {
        key: labels::COMPONENT.to_owned(),
        operator: "In".to_owned(),
        values: Some(COMPONENTS.map(str::to_owned).to_vec()),
    }]);
    let endpoint =
        ServiceEndpoint { port: PORT, path: path(edge), interval: prometheus.scrape_interval.clone() };
    let spec = ServiceMonitorSpec { selector, endpoints: vec![endpoint] };
    Some(ServiceMonitor::new(edge.metadata(edge.name("")), spec))
}

/// Scraping of the runners of patterns, which have no Service in common, wherever they run.
pub(super) fn of_pods(edge: &Edge) -> Option<PodMonitor> {
    let prometheus = edge.scraped()?;
    let endpoint = PodEndpoint {
        port_number: edge.metrics_port,
        path: path(edge),
        interval: prometheus.scrape_interval.clone(),
    };
    let elsewhere = edge.pattern_namespaces.iter().map(String::as_str);
    let namespaces: BTreeSet<&str> = elsewhere.chain([edge.namespace]).collect();
    let spec = PodMonitorSpec {
        selector: selector(edge, [(labels::COMPONENT, "pattern")]),
        namespace_selector: NamespaceSelector {
            match_names: namespaces.into_iter().map(str::to_owned).collect(),
        },
        pod_metrics_endpoints: vec![endpoint],
    };
    Some(PodMonitor::new(edge.metadata(edge.name("-patterns")), spec))
}

/// The schema of the interval also takes durations that only Go understands, and with one of those
/// the Prometheus operator ignores the whole monitor.
pub(super) fn check(edge: &Edge) -> Result<(), Invalid> {
    let interval = edge.scraped().and_then(|Prometheus { scrape_interval, .. }| scrape_interval.as_deref());
    if interval.is_none_or(|interval| milliseconds(interval).is_some_and(|time| time > 0)) {
        return Ok(());
    }
    Err(Invalid::new(
        "spec.observability.prometheus.scrapeInterval",
        "Prometheus takes whole numbers above 0, the largest unit first: write it as in 30s or 1m30s",
    ))
}

/// Length of a duration as Prometheus reads it, and nothing if it does not.
fn milliseconds(text: &str) -> Option<u64> {
    let mut units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)].into_iter();
    let (mut rest, mut sum) = (text, 0_u64);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
        // The search goes on where the last one ended: a unit that is larger, or comes again, is not found.
        let (_, size) = units.find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(size)?)?;
        rest = tail;
    }
    Some(sum)
}

/// What is of the stack and carries the label `mark`.
fn selector(edge: &Edge, mark: [(&str, &str); 1]) -> LabelSelector {
    let labels = [(labels::STACK, edge.stack)].into_iter().chain(mark);
    let labels: BTreeMap<_, _> = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    LabelSelector { match_labels: Some(labels), match_expressions: None }
}

fn path(edge: &Edge) -> String {
    let metrics = edge.observed().and_then(|observability| observability.metrics.as_ref());
    metrics.and_then(|metrics| metrics.path.clone()).unwrap_or_else(|| PATH.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::seconds("30s", Some(30_000))]
    #[case::mixed("1h2m3s4ms", Some(3_723_004))]
    #[case::zero("0s", Some(0))]
    #[case::fraction("1.5h", None)]
    #[case::wrong_order("30s1m", None)]
    #[case::twice("1m1m", None)]
    #[case::without_unit("30", None)]
    #[case::too_long("99999999999999999999h", None)]
    fn durations_are_read_as_prometheus_reads_them(#[case] text: &str, #[case] expected: Option<u64>) {
        assert_eq!(milliseconds(text), expected);
    }
}
