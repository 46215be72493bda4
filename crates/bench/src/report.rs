//! The figures, for people and for programs.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use crate::bed::Bed;
use crate::error::{Error, Result};
use crate::figures::Spread;
use crate::machine::Machine;
use crate::product::Product;
use crate::raw::Raw;

/// The share of the bare rate that the operator should reach.
const GOAL: f64 = 0.8;

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    at: Timestamp,
    machine: Machine,
    patterns: u32,
    children: usize,
    /// Bare apply over different numbers of connections.
    pub(crate) sweep: Vec<Raw>,
    /// Bare apply over the best number, round by round.
    pub(crate) raw: Vec<Raw>,
    /// The operator, round by round.
    pub(crate) operator: Vec<Product>,
}

impl Report {
    /// A report without figures yet.
    pub(crate) fn new(bed: &Bed, children: usize) -> Self {
        Self {
            at: Timestamp::now(),
            machine: Machine::look(bed.testbed.cluster()),
            patterns: bed.arguments.patterns,
            children,
            sweep: Vec::new(),
            raw: Vec::new(),
            operator: Vec::new(),
        }
    }

    /// The number of connections with the best rate.
    pub(crate) fn best_connections(&self) -> usize {
        let best = self.sweep.iter().max_by(|a, b| a.writes.per_second.total_cmp(&b.writes.per_second));
        best.map_or(16, |raw| raw.connections)
    }

    /// Writes everything to a new file.
    pub(crate) fn save(&self) -> Result<PathBuf> {
        save(self.at, self)
    }

    fn raw_rate(&self) -> Spread {
        Spread::of(self.raw.iter().map(|raw| raw.writes.per_second))
    }

    fn operator_of(&self, figure: impl Fn(&Product) -> f64) -> Spread {
        Spread::of(self.operator.iter().map(figure))
    }
}

/// Writes `report` as JSON to a file of the build folder that is named by the time.
pub(crate) fn save(at: Timestamp, report: &impl Serialize) -> Result<PathBuf> {
    let io = |action, path: &PathBuf| {
        let path = path.clone();
        move |source| Error::Io { action, path, source }
    };
    let own = std::env::current_exe().map_err(io("find", &"this program".into()))?;
    let folder = own.ancestors().nth(2).unwrap_or(&own).join("bench");
    fs::create_dir_all(&folder).map_err(io("create", &folder))?;
    let path = folder.join(format!("{}.json", at.as_second()));
    let text = serde_json::to_string_pretty(report).map_err(|error| Error::Json("the report", error))?;
    fs::write(&path, text).map_err(io("write", &path))?;
    Ok(path)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} patterns with an autoscaler, {} children", self.patterns, self.children)?;
        writeln!(f, "{}\n", self.machine)?;

        writeln!(f, "{:40} {:>10}   {:>10} .. greatest", "", "median", "least")?;
        let connections = self.best_connections();
        let raw = self.raw_rate();
        let rate = self.operator_of(|product| product.writes.per_second);
        row(f, &format!("bare apply, {connections} connections, objects/s"), raw)?;
        row(f, "operator, children/s", rate)?;
        row(f, "operator, s to the last child", self.operator_of(|product| product.writes.seconds))?;
        row(f, "operator, s until all are Ready", self.operator_of(|product| product.ready_seconds))?;
        row(
            f,
            "operator, CPU s to the last child",
            self.operator_of(|product| product.operator_cpu_seconds),
        )?;
        row(f, "operator, peak memory, MiB", self.operator_of(|product| product.peak_mib))?;
        let ratio = if raw.median > 0.0 { rate.median / raw.median } else { 0.0 };
        let verdict = if ratio >= GOAL { "reached" } else { "MISSED" };
        writeln!(f, "\noperator / bare apply: {ratio:.2} (goal {GOAL:.2}: {verdict})")?;

        self.details(f)
    }
}

impl Report {
    fn details(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nBare apply by connections")?;
        for Raw { connections, writes, .. } in &self.sweep {
            let (rate, in_flight) = (writes.per_second, writes.in_flight);
            writeln!(f, "  {connections:4}  {rate:7.1}/s, {in_flight:.1} in the API server on average")?;
        }
        if let Some(unchanged) = self.raw.iter().find_map(|raw| raw.unchanged.as_ref()) {
            writeln!(f, "  the same again, when nothing differs: {:.1}/s", unchanged.per_second)?;
        }
        if let (Some(raw), Some(product)) = (self.raw.last(), self.operator.last()) {
            writeln!(f, "\nCPU seconds to the last child, last round {:>10} {:>10}", "bare", "operator")?;
            for name in product.cpu.0.keys() {
                let (bare, operator) = (raw.cpu.seconds_of(name), product.cpu.seconds_of(name));
                writeln!(f, "  {name:40} {bare:8.1} {operator:10.1}")?;
            }
            writeln!(
                f,
                "  requests in the API server on average {:11.1} {:10.1}",
                raw.writes.in_flight, product.writes.in_flight
            )?;
            writeln!(f, "\nThe operator's requests until all are Ready, last round")?;
            for (what, count) in &product.requests {
                writeln!(f, "  {count:6}  {what}")?;
            }
            let (early, input) = (product.early_reports, product.input_seconds);
            writeln!(
                f,
                "  status writes before the last child: {early}; custom resources created in {input:.1} s"
            )?;
        }
        if let Some(quiet) = self.operator.iter().find_map(|product| product.quiet.as_ref()) {
            let (count, length, cpu) = (quiet.writes.len(), quiet.seconds, quiet.cpu_seconds);
            writeln!(
                f,
                "\nAt rest, for {length} s: {count} writes, {cpu:.2} CPU s, {} lease renewals",
                quiet.lease_writes
            )?;
            quiet.writes.iter().take(5).try_for_each(|write| writeln!(f, "  {write}"))?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, spread: Spread) -> fmt::Result {
    let Spread { median, least, greatest } = spread;
    writeln!(f, "{name:40} {median:10.1}   {least:10.1} .. {greatest:.1}")
}
