//! What processes have used, from /proc.

use std::collections::BTreeMap;
use std::fs;

use prism_testbed::Cluster;
use serde::Serialize;

use crate::error::{Error, Result};

/// CPU seconds of all processes concerned, up to now.
pub(crate) struct Usage(BTreeMap<String, f64>);

/// CPU seconds by process in a span of time; `idle` is what nobody used.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Cpu(pub(crate) BTreeMap<String, f64>);

impl Usage {
    /// Of the cluster's processes, this one, and an operator if there is one.
    pub(crate) fn now(cluster: &Cluster, operator: Option<u32>) -> Result<Self> {
        let mut used = BTreeMap::new();
        for component in cluster.components() {
            // `command` is this program's own parent's note of it.
            if component.name != "command" {
                used.insert(component.name, cpu_seconds(component.pid)?);
            }
        }
        used.insert("bench".to_owned(), cpu_seconds(std::process::id())?);
        if let Some(pid) = operator {
            used.insert("operator".to_owned(), cpu_seconds(pid)?);
        }
        used.insert("idle".to_owned(), idle_seconds()?);
        Ok(Self(used))
    }

    /// What was used since `before`.
    pub(crate) fn since(&self, before: &Self) -> Cpu {
        let difference = |(name, now): (&String, &f64)| {
            (name.clone(), now - before.0.get(name).copied().unwrap_or_default())
        };
        Cpu(self.0.iter().map(difference).collect())
    }
}

impl Cpu {
    /// CPU seconds of one process.
    pub(crate) fn seconds_of(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

/// CPU seconds, user and system, of a process and its threads.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let text = read(&format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in brackets, which may hold spaces.
    let fields = text.rsplit(") ").next().unwrap_or_default();
    let ticks = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u32>().ok());
    Ok(in_seconds(ticks.map(f64::from).sum()))
}

/// Most memory that a process ever held, in MiB.
pub(crate) fn peak_mib(pid: u32) -> Result<f64> {
    let text = read(&format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u32>().ok());
    Ok(f64::from(kib.unwrap_or_default()) / 1024.0)
}

/// Seconds in which CPUs had nothing to do, all CPUs together.
fn idle_seconds() -> Result<f64> {
    let text = read("/proc/stat")?;
    let ticks = text.split_whitespace().nth(4).and_then(|field| field.parse::<f64>().ok());
    Ok(in_seconds(ticks.unwrap_or_default()))
}

#[allow(clippy::cast_precision_loss, reason = "a hundred, or thereabouts")]
fn in_seconds(ticks: f64) -> f64 {
    ticks / rustix::param::clock_ticks_per_second() as f64
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|source| Error::Io { action: "read", path: path.into(), source })
}
