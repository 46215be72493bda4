//! Metrics of Prism admins, over gRPC.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use prism_plan::scaling::Source;
use prism_proto::prism::metrics::v1::{
    MetricQuery, MetricValue, PatternRef, QueryRequest, QueryResponse, QueryResult,
    metrics_client::MetricsClient, query_result::Outcome,
};
use prism_scale::{Problem, Reading};
use tokio::time::timeout;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::{Answer, late};

/// Admins that have been asked, each with a connection that repairs itself.
pub(super) struct Admins {
    authorities: Option<Vec<u8>>,
    channels: Mutex<HashMap<String, Channel>>,
}

/// One metric that is asked for: at which place of the request, and where its throughput is.
struct Asked {
    index: usize,
    value: usize,
    rate: Option<usize>,
}

impl Admins {
    pub(super) fn new(authorities: Option<Vec<u8>>) -> Self {
        Self { authorities, channels: Mutex::default() }
    }

    /// Asks each admin once for all that is wanted of it.
    pub(super) async fn read(&self, sources: &[Source], patience: Duration) -> Vec<(usize, Answer)> {
        let mut by_admin: BTreeMap<Option<&str>, (Vec<MetricQuery>, Vec<Asked>)> = BTreeMap::new();
        for (index, source) in sources.iter().enumerate() {
            let Source::Admin { endpoint, namespace, pattern, metric, rate } = source else { continue };
            let (queries, asked) = by_admin.entry(endpoint.as_deref()).or_default();
            let mut ask = |metric: &String| {
                queries.push(MetricQuery::new(PatternRef::new(namespace, pattern), metric));
                queries.len() - 1
            };
            let value = ask(metric);
            asked.push(Asked { index, value, rate: rate.as_ref().map(ask) });
        }
        let answers = by_admin.into_iter().map(async |(endpoint, (queries, asked))| {
            let answer = match endpoint {
                None => Err(Problem(
                    "there is no admin to ask: set adminMetric.endpoint, or give the stack an admin"
                        .to_owned(),
                )),
                Some(endpoint) => self.ask(endpoint, queries, patience).await,
            };
            asked.into_iter().map(|asked| (asked.index, reading(&answer, &asked))).collect::<Vec<_>>()
        });
        join_all(answers).await.into_iter().flatten().collect()
    }

    async fn ask(
        &self,
        endpoint: &str,
        queries: Vec<MetricQuery>,
        patience: Duration,
    ) -> Result<QueryResponse, Problem> {
        let mut client = MetricsClient::new(self.channel(endpoint, patience)?);
        let answer = timeout(patience, client.query(QueryRequest { queries })).await;
        match answer {
            Err(_) => Err(late(patience)),
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => {
                let (code, message) = (status.code(), status.message());
                Err(Problem(format!(
                    "the admin answers {code:?}: {}",
                    prism_plan::text::without_credentials(message)
                )))
            }
        }
    }

    fn channel(&self, address: &str, patience: Duration) -> Result<Channel, Problem> {
        if let Some(channel) = self.lock().get(address) {
            return Ok(channel.clone());
        }
        let unusable = |_| {
            Problem(
                "the address of the admin is none: write host and port, such as prism-admin:8981".to_owned(),
            )
        };
        let default = if self.authorities.is_some() { "https" } else { "http" };
        let url = if address.contains("://") { address.to_owned() } else { format!("{default}://{address}") };
        let mut endpoint = Endpoint::from_shared(url.clone()).map_err(unusable)?.connect_timeout(patience);
        if url.starts_with("https://") {
            let mut tls = ClientTlsConfig::new().with_native_roots();
            if let Some(authorities) = &self.authorities {
                tls = tls.ca_certificate(Certificate::from_pem(authorities));
            }
            endpoint = endpoint.tls_config(tls).map_err(unusable)?;
        }
        let channel = endpoint.connect_lazy();
        self.lock().insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    /// Each update is one insert: a panic in between leaves whole entries behind.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The metric that was asked for, out of the answer to all.
fn reading(answer: &Result<QueryResponse, Problem>, asked: &Asked) -> Answer {
    let answer = answer.as_ref().map_err(Clone::clone)?;
    let value = value(answer, asked.value)?;
    let rate = asked.rate.map(|rate| self::value(answer, rate)).transpose();
    let rate = rate.map_err(|problem| Problem(format!("its rate: {problem}")))?;
    // Ages are told by the admin's clock, and none of ours.
    let skew =
        answer.answered_at.map(timestamp).transpose()?.map(|told| Timestamp::now().duration_since(told));
    let measured_at =
        timestamp(value.measured_at.ok_or_else(|| Problem("it has no time of measurement".to_owned()))?)?;
    let measured_at =
        skew.map_or(Ok(measured_at), |skew| measured_at.checked_add(skew)).map_err(out_of_range)?;
    Ok(Reading {
        value: value.value,
        measured_at,
        valid_for: value.stale_after.map(|promise| SignedDuration::new(promise.seconds, promise.nanos)),
        instances: partial(value),
        throughput: rate.filter(|rate| !rate.stale).map(|rate| rate.value),
    })
}

/// The fresh values, where some instance has none: the whole speaks of these alone, so whoever is missing must
/// not count as idle. Where all are fresh, the whole is all there is to know.
fn partial(value: &MetricValue) -> Option<Vec<f64>> {
    let is_partial = !value.stale && value.instances.iter().any(|instance| instance.stale);
    let fresh = value.instances.iter().filter(|instance| !instance.stale);
    is_partial.then(|| fresh.map(|instance| instance.value).collect())
}

fn value(answer: &QueryResponse, query: usize) -> Result<&MetricValue, Problem> {
    let mut results = answer.results.iter();
    let result = results.find(|result| usize::try_from(result.query) == Ok(query));
    match result.and_then(|QueryResult { outcome, .. }| outcome.as_ref()) {
        Some(Outcome::Value(value)) => Ok(value),
        Some(Outcome::Error(error)) => Err(Problem(format!("the admin says: {}", error.message))),
        None => Err(Problem("the admin has not answered this query".to_owned())),
    }
}

fn timestamp(time: prost_types::Timestamp) -> Result<Timestamp, Problem> {
    Timestamp::new(time.seconds, time.nanos).map_err(out_of_range)
}

fn out_of_range(_: k8s_openapi::jiff::Error) -> Problem {
    Problem("its time of measurement is none".to_owned())
}
