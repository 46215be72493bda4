//! How long many `ScaledObject`s take, and whose time that is.
//!
//! The patterns name a list of Redis, and no trigger: the operator works that out. Its requests are captured
//! and those for `ScaledObject`s replayed by this program, as everywhere here; then an operator is
//! measured that makes everything from nothing. A real KEDA, where one is wanted, is started after that, and
//! one more operator: from then on the audit log tells both apart by their names.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client};
use prism_rig::{Note, OperatorProcess};
use prism_testbed::audit::{Entry, Mark};
use prism_testbed::brokers::Redis;
use prism_testbed::{Keda, KedaPrograms, Progress, eventually, keda};
use serde::Serialize;

use crate::bed::{Bed, Place};
use crate::capture::is_creation;
use crate::error::{Error, Result};
use crate::figures::Span;
use crate::machine::Machine;
use crate::patterns::Patterns;
use crate::product::{ASK_EVERY, CREATOR, Product, READY_TIMEOUT, USER};
use crate::raw::Raw;
use crate::usage::cpu_seconds;
use crate::{Arguments, capture, product, raw, report};

/// Their plural name.
const SCALED_OBJECTS: &str = "scaledobjects";
/// What KEDA makes of each.
const AUTOSCALERS: &str = "horizontalpodautoscalers";
/// The API server among the processes of the cluster.
const API_SERVER: &str = "kube-apiserver";
/// An address that nobody is asked for: without KEDA nothing connects to Redis.
const NO_REDIS: &str = "redis.data.svc:6379";

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    at: Timestamp,
    machine: Machine,
    count: u32,
    /// Bare apply of the `ScaledObject`s alone, over the best number of connections.
    bare: Raw,
    /// The operator, with everything that it makes.
    operator: Product,
    /// Of that, the `ScaledObject`s.
    scaled_objects: Span,
    with_keda: Option<WithKeda>,
}

/// Operator and KEDA together.
#[derive(Clone, Debug, Serialize)]
struct WithKeda {
    version: String,
    /// `ScaledObject`s that the operator made, from the first pattern on.
    scaled_objects: Span,
    /// Autoscalers that KEDA made, from the first pattern on.
    autoscalers: Span,
    /// CPU seconds until the last autoscaler.
    operator_cpu_seconds: f64,
    keda_cpu_seconds: f64,
}

/// Measures `count` of them.
pub(crate) async fn run(arguments: &Arguments, count: u32) -> Result<()> {
    let redis = if arguments.keda { Some(Redis::start(None).await?) } else { None };
    let address = redis.as_ref().map_or_else(|| NO_REDIS.to_owned(), Redis::address);
    let mut bed = Bed::prepare(arguments, Patterns::with_scaled_object(count, &address)).await?;
    let client = bed.testbed.client();
    let installed = async |_: &Note| keda::install_definitions(&client).await;
    bed.steps.step("KEDA's definitions", installed).await?;
    let (at, machine) = (Timestamp::now(), Machine::look(bed.testbed.cluster()));

    let captured = capture::requests(&mut bed).await?;
    let children = captured.requests.len();
    let captured = captured.only(SCALED_OBJECTS);
    let mut bare: Option<Raw> = None;
    for &connections in &arguments.connections {
        let raw = raw::measure(&mut bed, &captured, connections, "ScaledObjects alone", false).await?;
        if bare.as_ref().is_none_or(|best| best.writes.per_second < raw.writes.per_second) {
            bare = Some(raw);
        }
    }
    let bare = bare.ok_or(Error::NothingSeen("bare apply"))?;
    let operator = product::measure(&mut bed, children, "everything", None).await?;
    let with_keda = if arguments.keda { Some(Box::pin(with_keda(&mut bed)).await?) } else { None };
    let scaled_objects = operator.spans.get(SCALED_OBJECTS).copied();
    let scaled_objects = scaled_objects.ok_or(Error::NothingSeen("ScaledObject"))?;
    let figures = Figures { at, machine, count, bare, operator, scaled_objects, with_keda };
    println!("\n{figures}");
    println!("\nAll figures: {}", report::save(at, &figures)?.display());
    Ok(())
}

/// Starts a KEDA, which ends with this call, and an operator; waits until KEDA has done its part.
async fn with_keda(bed: &mut Bed) -> Result<WithKeda> {
    eprintln!("with KEDA: everything");
    let programs = tokio::task::spawn_blocking(|| KedaPrograms::ensure(&Progress::stderr()));
    let programs = programs.await.map_err(|_| Error::Interrupted)??;
    let cluster = bed.testbed.cluster();
    let keda =
        bed.steps.step("    KEDA", async |_: &Note| Box::pin(Keda::start(cluster, &programs)).await).await?;
    let place = bed.place("keda").await?;
    let (client, patterns) = (bed.client(CREATOR).await?, bed.patterns.clone());
    let mut operator = OperatorProcess::start(&bed.user(USER, false)?, &product::arguments(bed))?;
    bed.steps.step("    operator", async |note| operator.leads(note).await).await?;
    bed.calm().await?;

    let mark = bed.testbed.audit()?.mark()?;
    let used = |pid: Option<u32>| pid.map_or(Ok(0.0), cpu_seconds);
    let before = (used(operator.pid())?, used(Some(keda.operator.pid()))?);
    let made = async |note: &Note| {
        let created = async { patterns.create(&client, &place.name).await };
        let made = async { operator.watched(all_scaled(&client, &place, patterns.count, note)).await };
        let (created, made) = tokio::join!(created, made);
        created.and(made)
    };
    bed.steps.step("    autoscalers of KEDA", made).await?;
    let after = (used(operator.pid())?, used(Some(keda.operator.pid()))?);
    operator.stop().await;
    let (scaled_objects, autoscalers) = spans(bed, mark)?;
    Ok(WithKeda {
        version: programs.version().to_owned(),
        scaled_objects,
        autoscalers,
        operator_cpu_seconds: after.0 - before.0,
        keda_cpu_seconds: after.1 - before.1,
    })
}

/// Waits until KEDA has made an autoscaler for each pattern.
async fn all_scaled(client: &Client, place: &Place, count: u32, note: &Note) -> Result<()> {
    let api = Api::<HorizontalPodAutoscaler>::namespaced(client.clone(), &place.name);
    let all = eventually("KEDA has made all autoscalers", READY_TIMEOUT, async || {
        tokio::time::sleep(ASK_EVERY).await;
        let made = api.list_metadata(&ListParams::default().match_any()).await;
        let state = format!("{} of {count}", made.map_err(|error| error.to_string())?.items.len());
        note.set(&state);
        if state == format!("{count} of {count}") { Ok(()) } else { Err(state) }
    });
    Ok(all.await?)
}

/// What the audit log says about the operator's part and KEDA's.
fn spans(bed: &Bed, mark: Mark) -> Result<(Span, Span)> {
    let entries = bed.testbed.audit()?.since(mark, |user| [USER, CREATOR, keda::USER].contains(&user))?;
    let is_made = |entry: &&Entry| entry.verb == "create" && entry.code == 201;
    let input = entries.iter().filter(|entry| entry.user == CREATOR).filter(is_made);
    let first = input.map(|entry| entry.received).min().ok_or(Error::NothingSeen("custom resource"))?;
    let span = |resource: &str, made: Vec<Entry>, missing| {
        let found = Span::by_resource(first, &made).get(resource).copied();
        found.ok_or(Error::NothingSeen(missing))
    };
    let operators = entries.iter().filter(|entry| entry.user == USER && is_creation(entry));
    let kedas = entries.iter().filter(|entry| entry.user == keda::USER).filter(is_made);
    Ok((
        span(SCALED_OBJECTS, operators.cloned().collect(), "ScaledObject")?,
        span(AUTOSCALERS, kedas.cloned().collect(), "autoscaler of KEDA")?,
    ))
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at: _, machine, count, bare, operator, scaled_objects: span, with_keda } = self;
        writeln!(f, "{count} patterns that KEDA scales, {} children of them", operator.writes.count)?;
        writeln!(f, "{machine}\n")?;
        let mean = |times: &BTreeMap<String, f64>| times.get(SCALED_OBJECTS).copied().unwrap_or_default();
        writeln!(f, "{:52} {:>10} {:>10}", "", "operator", "bare apply")?;
        let mut row = |name: &str, operator: f64, bare: Option<f64>| {
            let bare = bare.map_or_else(String::new, |bare| format!(" {bare:10.1}"));
            writeln!(f, "{name:52} {operator:10.1}{bare}")
        };
        row("s from the first to the last ScaledObject", span.seconds(), Some(bare.writes.seconds))?;
        row("ScaledObjects/s meanwhile", span.per_second(), Some(bare.writes.per_second))?;
        row("all children/s meanwhile", operator.writes.per_second, Some(bare.writes.per_second))?;
        row("s from the first pattern to the last ScaledObject", span.last, None)?;
        row(
            "ms in the API server for one",
            mean(&operator.writes.mean_ms),
            Some(mean(&bare.writes.mean_ms)),
        )?;
        row(
            "CPU s of the API server",
            operator.cpu.seconds_of(API_SERVER),
            Some(bare.cpu.seconds_of(API_SERVER)),
        )?;
        row(
            "CPU s of the operator, of the replay",
            operator.operator_cpu_seconds,
            Some(bare.cpu.seconds_of("bench")),
        )?;
        writeln!(
            f,
            "The operator makes the other children meanwhile, bare apply the ScaledObjects alone, over {} connections.",
            bare.connections
        )?;
        with_keda.as_ref().map_or(Ok(()), |with| write!(f, "\n{with}"))
    }
}

impl fmt::Display for WithKeda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, scaled_objects, autoscalers, operator_cpu_seconds, keda_cpu_seconds } = self;
        let rest = autoscalers.last - scaled_objects.last;
        writeln!(f, "With KEDA {version}, whose webhooks judge each ScaledObject, at 200 requests/s")?;
        writeln!(
            f,
            "{:52} {:10.1}",
            "s from the first pattern to the last ScaledObject", scaled_objects.last
        )?;
        writeln!(f, "{:52} {rest:10.1}", "s more until KEDA has made the last autoscaler")?;
        writeln!(f, "{:52} {:10.1}", "autoscalers/s of KEDA", autoscalers.per_second())?;
        writeln!(f, "{:52} {operator_cpu_seconds:10.1}", "CPU s of the operator until then")?;
        write!(f, "{:52} {keda_cpu_seconds:10.1}", "CPU s of KEDA's operator until then")
    }
}
