//! The replay itself.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use prism_api::scaling::ScalingDecision;

use super::{
    outcome::{Outcome, Point},
    queue::{Pods, Queue, Waiting},
    series::{Sample, Series},
};
use crate::{
    decide::{Observation, Problem, ProblemKind, Reading, State, decide, is_same_decision},
    policy::{Policy, PolicyMetric, Target},
};

/// How to replay.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// Replicas at the beginning, ready. `None`: the fewest that the policy allows.
    pub replicas: Option<i32>,
    /// Time from the decision for a new replica until it is ready.
    pub start_up: SignedDuration,
    /// What waits is computed from arrivals. `None`: it is replayed, too.
    pub queue: Option<Queue>,
    /// Columns for metrics whose column has another name than they have.
    pub columns: BTreeMap<String, String>,
}

/// A metric of the policy that the series does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the series has no column {column}: it has {}", known.join(", "))]
pub struct MissingColumn {
    /// The column.
    pub column: String,
    /// Those that it has.
    pub known: Vec<String>,
}

/// Where the readings of a metric come from.
struct Source {
    /// Its column; `None` if it is what waits in the simulated queue.
    value: Option<usize>,
    /// The column of its throughput; `None` if that is the simulated queue's, or not needed.
    throughput: Option<usize>,
}

/// Replays `series` under `policy`, which decides as often as its polling interval says and is carried out
/// whatever its mode. A value holds until the next one, but no longer than twice the usual time between two.
/// While no arrivals are recorded, as many come as did before.
///
/// # Errors
/// [`MissingColumn`] if a metric has no column. The only metric and the only column belong together, whatever
/// their names.
pub fn simulate(policy: &Policy, series: &Series, setup: &Setup) -> Result<Outcome, MissingColumn> {
    let sources = policy.metrics.iter().map(|metric| source(metric, policy, series, setup));
    let sources: Vec<Source> = sources.collect::<Result<_, _>>()?;
    let arrivals = setup.queue.as_ref().map(|queue| column(series, &queue.arrivals)).transpose()?;
    let policy = Policy { mode: prism_api::autoscaling::ScalingMode::Active, ..policy.clone() };
    let patience = series.spacing().saturating_mul(2);

    let mut replicas = setup.replicas.unwrap_or(policy.limits.min).max(0);
    let mut pods = Pods::new(replicas);
    let mut queue = Waiting::default();
    let mut state = State::default();
    let mut outcome = Outcome {
        points: Vec::new(),
        decisions: Vec::new(),
        over_target: SignedDuration::ZERO,
        blind_looks: 0,
        reacts: setup.queue.is_some(),
        step: policy.polling_interval,
    };
    let (mut sample, mut looked_at, mut arriving) = (0, None, 0.0);
    for at in looks(series, policy.polling_interval) {
        while series.samples.get(sample + 1).is_some_and(|next| next.at <= at) {
            sample += 1;
        }
        let fresh = &series.samples[sample];
        let fresh = Some(fresh).filter(|fresh| at.duration_since(fresh.at) <= patience);
        if let (Some(model), Some(arrivals), Some(before)) = (&setup.queue, arrivals, looked_at) {
            let recorded = fresh.and_then(|fresh| fresh.values[arrivals]);
            arriving = recorded.filter(|rate| rate.is_finite() && *rate >= 0.0).unwrap_or(arriving);
            work(&mut queue, &mut pods, before, at, arriving, model.rate);
        }
        pods.settle(at);
        let metrics = sources.iter().map(|source| read(source, fresh, &queue, at)).collect();
        let seen = Observation { at, current: replicas, ready: pods.ready, metrics };
        if is_over(&policy, &seen, setup) {
            outcome.over_target = outcome.over_target.saturating_add(outcome.step);
        }
        let (decision, next) = decide(&policy, &state, &seen);
        state = next;
        replicas = decision.desired;
        pods.scale(replicas, at.checked_add(setup.start_up).unwrap_or(Timestamp::MAX));
        pods.settle(at);
        outcome.blind_looks += u32::from(decision.proposals.iter().any(|proposal| proposal.wanted.is_err()));
        let value =
            seen.metrics.first().and_then(|reading| reading.as_ref().ok()).map(|reading| reading.value);
        outcome.points.push(Point { at, replicas, ready: seen.ready, value });
        note(&mut outcome.decisions, decision.record());
        looked_at = Some(at);
    }
    Ok(outcome)
}

/// The times of the looks, from the first sample to the last.
fn looks(series: &Series, step: SignedDuration) -> impl Iterator<Item = Timestamp> {
    let step = step.max(SignedDuration::from_secs(1));
    let first = series.samples.first().map(|sample| sample.at);
    let last = series.samples.last().map(|sample| sample.at);
    std::iter::successors(first, move |at| at.checked_add(step).ok().filter(|next| Some(*next) <= last))
}

/// From `from` to `to`, arrivals wait for the replicas that are ready, also for those that become so meanwhile.
fn work(queue: &mut Waiting, pods: &mut Pods, from: Timestamp, to: Timestamp, arrivals: f64, rate: f64) {
    let whole = to.duration_since(from);
    let (mut now, mut done) = (from, 0.0);
    while now < to {
        let next = pods.next_ready().map_or(to, |ready| ready.clamp(now, to));
        let span = next.duration_since(now);
        queue.pass(span, arrivals, f64::from(pods.ready) * rate);
        done += if span.is_zero() { 0.0 } else { queue.throughput * span.as_secs_f64() };
        now = next;
        pods.settle(now);
    }
    queue.throughput = done / whole.as_secs_f64();
}

fn source(
    metric: &PolicyMetric,
    policy: &Policy,
    series: &Series,
    setup: &Setup,
) -> Result<Source, MissingColumn> {
    let named = |name: &String| setup.columns.get(name).unwrap_or(name).clone();
    let is_alone = policy.metrics.len() == 1 && series.names.len() == 1;
    let own =
        series.column(&named(&metric.name)).or_else(|| (is_alone && setup.queue.is_none()).then_some(0));
    let is_queued = own.is_none() && setup.queue.is_some();
    let value =
        if is_queued { None } else { Some(own.map_or_else(|| column(series, &named(&metric.name)), Ok)?) };
    let needs_rate = matches!(metric.target, Target::DrainWithin { .. }) && !is_queued;
    let rate = metric.rate.clone().unwrap_or_else(|| format!("{}.throughput", metric.name));
    let throughput = needs_rate.then(|| column(series, &named(&rate))).transpose()?;
    Ok(Source { value, throughput })
}

fn column(series: &Series, name: &str) -> Result<usize, MissingColumn> {
    let missing = || MissingColumn { column: name.to_owned(), known: series.names.clone() };
    series.column(name).ok_or_else(missing)
}

fn read(source: &Source, fresh: Option<&Sample>, queue: &Waiting, at: Timestamp) -> Result<Reading, Problem> {
    let Some(value) = source.value else {
        return Ok(Reading { throughput: Some(queue.throughput), ..Reading::new(queue.waiting, at) });
    };
    let recorded = |column: usize| fresh.and_then(|fresh| fresh.values[column]);
    let value = recorded(value).ok_or_else(|| Problem::new(ProblemKind::Unasked, "nothing was recorded"))?;
    Ok(Reading { throughput: source.throughput.and_then(recorded), ..Reading::new(value, at) })
}

/// Whether any metric is above its target for the replicas that are ready.
fn is_over(policy: &Policy, seen: &Observation, setup: &Setup) -> bool {
    let ready = f64::from(seen.ready);
    policy.metrics.iter().zip(&seen.metrics).any(|(metric, reading)| {
        let Ok(reading) = reading else { return false };
        match metric.target {
            Target::Value(target) => reading.value > target,
            Target::AverageValue(target) => reading.value > target * ready,
            Target::Utilization(target) => reading.value * 100.0 > target,
            Target::DrainWithin { seconds } => {
                let rate = setup.queue.as_ref().map(|queue| queue.rate * ready);
                reading.value > seconds * rate.or(reading.throughput).unwrap_or(0.0)
            }
        }
    })
}

fn note(decisions: &mut Vec<ScalingDecision>, decision: ScalingDecision) {
    if decisions.last().is_none_or(|last| !is_same_decision(last, &decision)) {
        decisions.push(decision);
    }
}
