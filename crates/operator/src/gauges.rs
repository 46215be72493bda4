//! How the stacks are, as metrics: read from the cache at each scrape, so that nothing has to be
//! kept up to date, and nothing is left of a stack that is gone.

use std::{fmt, sync::Arc};

use kube::ResourceExt;
use prism_api::{component::ComponentStatus, pattern::Phase, stack::PrismStackStatus};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder},
    metrics::{MetricType, gauge::ConstGauge},
};

use crate::context::Context;

/// Labels of one gauge: namespace and name of the stack, and what it is about.
type Labels<'a> = [(&'static str, &'a str); 3];

/// A collector over the cache of stacks.
pub(crate) struct Gauges(pub(crate) Arc<Context>);

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gauges")
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stacks: Vec<(String, String, PrismStackStatus)> = self
            .0
            .stacks
            .find(|_| true)
            .into_iter()
            .filter_map(|stack| {
                let status = stack.0.as_ref().ok()?.status.clone()?;
                Some((stack.namespace().unwrap_or_default(), stack.name_any(), status))
            })
            .collect();
        let mut phases = gauge(&mut encoder, "prism_cluster_phase", "1 for the phase that a stack is in")?;
        for (namespace, name, status) in &stacks {
            for phase in [Phase::Pending, Phase::Running, Phase::Degraded, Phase::Failed] {
                let word = format!("{phase:?}").to_lowercase();
                let labels = [("namespace", namespace.as_str()), ("cluster", name), ("phase", &word)];
                set(&mut phases, labels, status.phase == Some(phase))?;
            }
        }
        let help = "1 while a component of a stack is ready";
        let mut components = gauge(&mut encoder, "prism_cluster_components_ready", help)?;
        each(&mut components, &stacks, "component", |status| &status.components)?;
        let help = "1 while a pattern of a stack is ready";
        let mut patterns = gauge(&mut encoder, "prism_cluster_patterns_ready", help)?;
        each(&mut patterns, &stacks, "pattern", |status| &status.patterns)
    }
}

fn gauge<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &'a str,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)
}

fn each(
    encoder: &mut MetricEncoder<'_>,
    stacks: &[(String, String, PrismStackStatus)],
    label: &'static str,
    parts: fn(&PrismStackStatus) -> &Vec<ComponentStatus>,
) -> Result<(), fmt::Error> {
    for (namespace, name, status) in stacks {
        for part in parts(status) {
            let labels = [("namespace", namespace.as_str()), ("cluster", name), (label, &part.name)];
            set(encoder, labels, part.ready)?;
        }
    }
    Ok(())
}

fn set(encoder: &mut MetricEncoder<'_>, labels: Labels<'_>, is_true: bool) -> Result<(), fmt::Error> {
    ConstGauge::new(i64::from(is_true)).encode(encoder.encode_family(&labels)?)
}
