//! `prism-backtest`: what a policy would have done with a recorded load.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use jiff::SignedDuration;
use prism_scale::{
    Policy,
    backtest::{
        MissingColumn, Outcome, PolicyError, Queue, Series, SeriesError, Setup, chart, read_policy, simulate,
        table,
    },
};

/// Replays a recorded load under one or two policies, and compares what comes of it.
#[derive(Parser, Clone, Debug)]
#[command(name = "prism-backtest", version)]
struct Arguments {
    /// File with a PrismAutoscaler, a PrismPattern or an autoscaling block; twice to compare two.
    #[arg(long, required = true, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// Recorded load: CSV with the time in its first column and one metric in each other, or the JSON answer
    /// of a Prometheus `query_range`.
    #[arg(long, value_name = "FILE")]
    series: PathBuf,
    /// Also draw the replicas and the load over time.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Replicas at the beginning. Default: the fewest of the policy.
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..=100_000))]
    replicas: Option<i32>,
    /// Seconds from a decision until a new replica is ready.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    start_up: u32,
    /// Column of arrivals in a second, and what a replica does in a second: arrivals=100. What waits is then
    /// computed, and reacts to the replicas.
    #[arg(long, value_parser = queue, value_name = "COLUMN=RATE")]
    queue: Option<Queue>,
    /// Column of a metric that has another name than its column: pattern.consumer.lag=lag.
    #[arg(long, value_parser = pair, value_name = "METRIC=COLUMN")]
    column: Vec<(String, String)>,
    /// Also print each decision.
    #[arg(long)]
    decisions: bool,
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: {source}", path.display())]
    Policy {
        path: PathBuf,
        #[source]
        source: PolicyError,
    },
    #[error("{}: {source}", path.display())]
    Series {
        path: PathBuf,
        #[source]
        source: SeriesError,
    },
    #[error("{}: {source}: choose one with --column METRIC=COLUMN", path.display())]
    Column {
        path: PathBuf,
        #[source]
        source: MissingColumn,
    },
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
    #[error("--policy is given {0} times: two policies can be compared")]
    TooMany(usize),
}

fn main() -> ExitCode {
    let printed = run(&Arguments::parse()).and_then(|text| Ok(io::stdout().write_all(text.as_bytes())?));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("prism-backtest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<String, Error> {
    if arguments.policy.len() > 2 {
        return Err(Error::TooMany(arguments.policy.len()));
    }
    let path = &arguments.series;
    let series = Series::read(&read(path)?).map_err(|source| Error::Series { path: path.clone(), source })?;
    let setup = Setup {
        replicas: arguments.replicas,
        start_up: SignedDuration::from_secs(i64::from(arguments.start_up)),
        queue: arguments.queue.clone(),
        columns: arguments.column.iter().cloned().collect(),
    };
    let mut replays = Vec::new();
    for path in &arguments.policy {
        let policy =
            read_policy(&read(path)?).map_err(|source| Error::Policy { path: path.clone(), source })?;
        let outcome = simulate(&policy, &series, &setup);
        let outcome = outcome.map_err(|source| Error::Column { path: arguments.series.clone(), source })?;
        replays.push((name(path), policy, outcome));
    }
    let outcomes: Vec<(&str, &Outcome)> =
        replays.iter().map(|(name, _, outcome)| (name.as_str(), outcome)).collect();
    if let Some(path) = &arguments.svg {
        let value = replays.first().and_then(|(_, policy, _)| metric(policy)).unwrap_or("value");
        fs::write(path, chart(&outcomes, value)).map_err(|source| Error::Io {
            action: "write",
            path: path.clone(),
            source,
        })?;
    }
    let decisions =
        outcomes.iter().filter(|_| arguments.decisions).map(|(name, outcome)| decisions(name, outcome));
    Ok(decisions.collect::<String>() + &table(&outcomes))
}

/// Name of what the lower half of the picture shows.
fn metric(policy: &Policy) -> Option<&str> {
    policy.metrics.first().map(|metric| metric.name.as_str())
}

fn decisions(name: &str, outcome: &Outcome) -> String {
    let lines = outcome.decisions.iter().map(|decision| {
        let at = decision.decided_at.as_ref().map_or_else(String::new, |at| at.0.to_string());
        format!("{at}  {}\n", decision.message)
    });
    format!("{name}\n{}\n", lines.collect::<String>())
}

/// The policy's name in tables: that of its file.
fn name(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(left, right)| !left.is_empty() && !right.is_empty());
    pair.map(|(left, right)| (left.to_owned(), right.to_owned()))
        .ok_or_else(|| "write it as NAME=COLUMN".to_owned())
}

fn queue(text: &str) -> Result<Queue, String> {
    let (arrivals, rate) = pair(text)?;
    let rate = rate.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    let rate = rate.ok_or_else(|| "the rate must be a number above 0: arrivals=100".to_owned())?;
    Ok(Queue { arrivals, rate })
}
