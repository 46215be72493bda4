//! The operator, from nothing to everything Ready, and afterwards.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use prism_rig::{Note, OperatorProcess};
use prism_testbed::audit::{Mark, writes};
use prism_testbed::eventually;
use serde::Serialize;

use crate::bed::Bed;
use crate::capture::is_creation;
use crate::error::{Error, Result};
use crate::figures::{Span, Writes, seconds};
use crate::patterns;
use crate::usage::{self, Cpu, Usage};

/// The operator's name in the audit log.
pub(crate) const USER: &str = "bench-operator";
/// Who creates the custom resources.
pub(crate) const CREATOR: &str = "bench-user";
/// All patterns are Ready within this time.
pub(crate) const READY_TIMEOUT: Duration = Duration::from_mins(10);
/// Time between two questions whether they are.
pub(crate) const ASK_EVERY: Duration = Duration::from_millis(500);

/// One run of an operator.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Product {
    /// Creations of children, from the first custom resource on.
    pub(crate) writes: Writes,
    /// The same, by resource.
    pub(crate) spans: BTreeMap<String, Span>,
    /// Seconds in which the custom resources were created.
    pub(crate) input_seconds: f64,
    /// Seconds from the first custom resource until all are Ready and at rest.
    pub(crate) ready_seconds: f64,
    /// Requests until then by verb and resource, watches included.
    pub(crate) requests: BTreeMap<String, usize>,
    /// Status writes before the last child was made.
    pub(crate) early_reports: usize,
    pub(crate) cpu: Cpu,
    /// CPU seconds of the operator until the last child.
    pub(crate) operator_cpu_seconds: f64,
    pub(crate) peak_mib: f64,
    pub(crate) quiet: Option<Quiet>,
}

/// After everything is settled.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Quiet {
    pub(crate) seconds: u64,
    /// Writes of the operator, leases apart.
    pub(crate) writes: Vec<String>,
    pub(crate) lease_writes: usize,
    pub(crate) cpu_seconds: f64,
}

/// Arguments of every operator that is started.
pub(crate) fn arguments(bed: &Bed) -> Vec<&str> {
    bed.arguments.operator.iter().map(String::as_str).collect()
}

/// Measures one operator in a new namespace; counts its writes for `quiet` seconds afterwards.
pub(crate) async fn measure(
    bed: &mut Bed,
    children: usize,
    label: &str,
    quiet: Option<u64>,
) -> Result<Product> {
    eprintln!("{label}: operator");
    let place = bed.place("operator").await?;
    let (client, patterns) = (bed.client(CREATOR).await?, bed.patterns.clone());
    let mut operator = OperatorProcess::start(&bed.user(USER, false)?, &arguments(bed))?;
    bed.steps.step("    operator", async |note| operator.leads(note).await).await?;
    bed.calm().await?;

    let audit = bed.testbed.audit()?;
    let mark = audit.mark()?;
    let before = Usage::now(bed.testbed.cluster(), operator.pid())?;
    let made = async |note: &Note| {
        let created = async { patterns.create(&client, &place.name).await };
        let (created, made) = tokio::join!(created, all_made(&operator, children, note));
        created.and(made)
    };
    bed.steps.step("    children", made).await?;
    let cpu = Usage::now(bed.testbed.cluster(), operator.pid())?.since(&before);
    let ready =
        async |note: &Note| all_ready(&mut operator, &client, &place.name, patterns.count, note).await;
    let ready_at = bed.steps.step("    all Ready", ready).await?;
    bed.calm().await?;
    let peak_mib = operator.pid().map_or(Ok(0.0), usage::peak_mib)?;
    let quiet = match quiet {
        Some(seconds) => Some(stay_quiet(bed, &operator, seconds).await?),
        None => None,
    };
    operator.stop().await;
    let product = read(bed, mark, ready_at, cpu, peak_mib, quiet);
    bed.clear(place).await?;
    bed.calm().await?;
    product
}

/// Makes the figures of what the audit log says.
fn read(
    bed: &Bed,
    mark: Mark,
    ready_at: Timestamp,
    cpu: Cpu,
    peak_mib: f64,
    quiet: Option<Quiet>,
) -> Result<Product> {
    let entries = bed.testbed.audit()?.since(mark, |user| user == USER || user == CREATOR)?;
    let (own, input): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.user == USER);
    let input: Vec<_> = input.into_iter().filter(|entry| entry.verb == "create").collect();
    let first =
        input.iter().map(|entry| entry.received).min().ok_or(Error::NothingSeen("custom resource"))?;
    let last_input = input.iter().map(|entry| entry.logged).max().unwrap_or(first);
    let creations: Vec<_> = own.iter().filter(|entry| is_creation(entry)).cloned().collect();
    let writes = Writes::beginning(first, &creations)?;
    let last_child = creations.iter().map(|entry| entry.logged).max().unwrap_or(first);
    let is_early = |entry: &&_| is_report(entry) && entry.logged < last_child;
    let mut requests = BTreeMap::new();
    let spans = Span::by_resource(first, &creations);
    for entry in own.iter().filter(|entry| entry.received < ready_at) {
        let slash = if entry.subresource.is_empty() { "" } else { "/" };
        let what = format!("{} {}{slash}{}", entry.verb, entry.resource, entry.subresource);
        *requests.entry(what).or_default() += 1;
    }
    Ok(Product {
        writes,
        spans,
        input_seconds: seconds(first, last_input),
        ready_seconds: seconds(first, ready_at),
        requests,
        early_reports: own.iter().filter(is_early).count(),
        operator_cpu_seconds: cpu.seconds_of("operator"),
        cpu,
        peak_mib,
        quiet,
    })
}

fn is_report(entry: &prism_testbed::audit::Entry) -> bool {
    entry.subresource == "status"
}

/// Waits until the operator has made so many children.
async fn all_made(operator: &OperatorProcess, children: usize, note: &Note) -> Result<()> {
    let all = eventually("all children are made", READY_TIMEOUT, async || {
        tokio::time::sleep(ASK_EVERY).await;
        let made = operator.metric("prism_operator_resource_created_total").await;
        note.set(&format!("{made:.0} of {children}"));
        #[allow(clippy::cast_precision_loss, reason = "a count of children")]
        if made >= children as f64 { Ok(()) } else { Err(format!("{made:.0} of {children} are")) }
    });
    Ok(all.await?)
}

/// Waits until all patterns are Ready and at rest; returns when that was seen.
pub(crate) async fn all_ready(
    operator: &mut OperatorProcess,
    client: &Client,
    namespace: &str,
    count: u32,
    note: &Note,
) -> Result<Timestamp> {
    let all = eventually("all patterns are Ready", READY_TIMEOUT, async || {
        let ready = patterns::ready(client, namespace).await.map_err(|error| error.to_string())?;
        let state = format!("{ready} of {count}");
        note.set(&state);
        if ready == count as usize {
            return Ok(Timestamp::now());
        }
        tokio::time::sleep(ASK_EVERY).await;
        Err(state)
    });
    operator.watched(async { Ok(all.await?) }).await
}

async fn stay_quiet(bed: &mut Bed, operator: &OperatorProcess, length: u64) -> Result<Quiet> {
    let audit = bed.testbed.audit()?;
    let mark = audit.mark()?;
    let before = operator.pid().map_or(Ok(0.0), usage::cpu_seconds)?;
    let listened = async |note: &Note| -> Result<()> {
        let end = Instant::now() + Duration::from_secs(length);
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            note.set(&format!("{} s left", left.as_secs()));
            tokio::time::sleep(left.min(Duration::from_secs(1))).await;
        }
        Ok(())
    };
    bed.steps.step("    listened for writes", listened).await?;
    let writes = writes(audit.since(mark, |user| user == USER)?);
    let cpu_seconds = operator.pid().map_or(Ok(0.0), usage::cpu_seconds)? - before;
    let shown = writes.objects.iter().map(|entry| format!("{} {}", entry.verb, entry.uri)).collect();
    Ok(Quiet { seconds: length, writes: shown, lease_writes: writes.leases.len(), cpu_seconds })
}
