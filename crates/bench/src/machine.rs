//! What was measured on, and with.

use std::fmt;
use std::fs;

use prism_testbed::Cluster;
use serde::Serialize;

/// Machine and versions.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) system: String,
    pub(crate) kubernetes: String,
    pub(crate) operator: &'static str,
    /// How this program, and so the operator beside it, was built.
    pub(crate) build: &'static str,
    /// Processes that wanted a core in the last minute, on average.
    pub(crate) load: String,
}

impl Machine {
    /// This machine and that cluster. What the system does not tell stays empty.
    pub(crate) fn look(cluster: &Cluster) -> Self {
        let cpus = read("/proc/cpuinfo");
        let memory = read("/proc/meminfo");
        let kib = field(&memory, "MemTotal").split(' ').next().and_then(|number| number.parse().ok());
        Self {
            cpu: field(&cpus, "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: kib.map_or(0.0, |kib: f64| kib / 1024.0 / 1024.0),
            system: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
            kubernetes: cluster.version().to_owned(),
            operator: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory_gib, system, kubernetes, build, load, operator } = self;
        writeln!(f, "{cores} cores ({cpu}), {memory_gib:.0} GiB, {system}, load {load} at the beginning")?;
        write!(f, "Kubernetes {kubernetes}, operator {operator}, {build} build")
    }
}

/// First value of `name` in lines of the form `name : value`.
fn field(text: &str, name: &str) -> String {
    let values = text.lines().filter_map(|line| line.split_once(':'));
    let mut found = values.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
    found.next().unwrap_or_default().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
