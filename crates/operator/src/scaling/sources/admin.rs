//! Metrics of Prism admins, over gRPC.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::future::join_all;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use prism_dial::{DialError, Dialer};
use prism_plan::{dialed, scaling::Source};
use prism_proto::prism::metrics::v1::{
    MetricQuery, MetricValue, PatternRef, QueryError, QueryRequest, QueryResponse, QueryResult,
    metrics_client::MetricsClient, query_result::Outcome,
};
use prism_scale::{Problem, ProblemKind, Reading};
use tokio::time::timeout;
use tonic::{
    Code, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use super::{Answer, IDLE, late, no_address, undialed};
use crate::idle_cache::IdleCache;

/// Where a spec names an admin.
const FIELD: &str = "adminMetric.endpoint";
/// Admins to which a connection is kept. Those that are asked in turn beyond that are connected to each time.
const MOST_ADMINS: usize = 256;
/// Bytes of an answer: enough for thousands of instances.
const LONGEST_ANSWER: usize = 1 << 20;
/// Bytes of the headers of an answer, in which an error has its text.
const LONGEST_HEADERS: u32 = 16 << 10;

/// Admins that have been asked, each with a connection that repairs itself.
pub(super) struct Admins {
    dialer: Dialer,
    authorities: Option<Vec<u8>>,
    channels: Mutex<IdleCache<String, Channel>>,
}

/// One metric that is asked for: at which place of the request, and where its throughput is.
struct Asked {
    index: usize,
    value: usize,
    rate: Option<usize>,
}

impl Admins {
    pub(super) fn new(dialer: Dialer, authorities: Option<Vec<u8>>) -> Self {
        Self { dialer, authorities, channels: Mutex::new(IdleCache::new(MOST_ADMINS, IDLE)) }
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
                None => Err(Problem::new(
                    ProblemKind::Unasked,
                    "there is no admin to ask: set adminMetric.endpoint, or give the stack an admin",
                )),
                Some(endpoint) => self.ask(endpoint, queries, patience).await,
            };
            let now = Timestamp::now();
            asked.into_iter().map(|asked| (asked.index, reading(&answer, &asked, now))).collect::<Vec<_>>()
        });
        join_all(answers).await.into_iter().flatten().collect()
    }

    /// Closes connections that nobody uses any more.
    pub(super) fn evict_idle(&self, now: Instant) {
        self.lock().evict_idle(now);
    }

    /// Connections that are kept.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().iter().count()
    }

    async fn ask(
        &self,
        endpoint: &str,
        queries: Vec<MetricQuery>,
        patience: Duration,
    ) -> Result<QueryResponse, Problem> {
        let client = MetricsClient::new(self.channel(endpoint)?);
        let mut client = client.max_decoding_message_size(LONGEST_ANSWER);
        match timeout(patience, client.query(QueryRequest { queries })).await {
            Err(_) => Err(late(patience)),
            Ok(answer) => answer.map(tonic::Response::into_inner).map_err(|status| failure(&status)),
        }
    }

    fn channel(&self, address: &str) -> Result<Channel, Problem> {
        let key = address.to_owned();
        if let Some(channel) = self.lock().get(&key, Instant::now()) {
            return Ok(channel.clone());
        }
        dialed::admin(address).map_err(|reason| no_address(FIELD, reason))?;
        let default = if self.authorities.is_some() { "https" } else { "http" };
        let url = if address.contains("://") { key.clone() } else { format!("{default}://{address}") };
        let mut endpoint = Endpoint::from_shared(url)
            .map_err(|_| no_address(FIELD, "is no address: write host and port, such as prism-admin:8981"))?
            .connect_timeout(self.dialer.patience())
            .http2_max_header_list_size(LONGEST_HEADERS);
        if endpoint.uri().scheme_str() == Some("https") {
            let mut tls = ClientTlsConfig::new().with_native_roots();
            if let Some(authorities) = &self.authorities {
                tls = tls.ca_certificate(Certificate::from_pem(authorities));
            }
            let unusable = "no certificate is trusted here, or the name of the admin can have none";
            endpoint =
                endpoint.tls_config(tls).map_err(|_| Problem::new(ProblemKind::Untrusted, unusable))?;
        }
        let channel = endpoint.connect_with_connector_lazy(self.dialer.connector());
        self.lock().insert(key, channel.clone(), Instant::now());
        Ok(channel)
    }

    /// Each update is whole in itself: a panic in between leaves whole entries behind.
    fn lock(&self) -> MutexGuard<'_, IdleCache<String, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a call has failed: by its code, as anybody may have written the text.
fn failure(status: &Status) -> Problem {
    if let Some(error) = DialError::within(status) {
        return undialed(error, "the admin", FIELD);
    }
    if std::error::Error::source(status).is_some() {
        return Problem::new(
            ProblemKind::Unreachable,
            "the admin breaks the connection off, or speaks no gRPC",
        );
    }
    let code = status.code();
    Problem::new(ProblemKind::Answered(code.into()), format!("the admin answers {code:?}"))
}

/// Why an admin does not tell one metric.
fn untold(error: &QueryError) -> Problem {
    let code = Code::from_i32(error.code);
    let meaning = match code {
        Code::NotFound => ": nobody has reported this metric of the pattern lately",
        Code::InvalidArgument => ": the query names no pattern or no metric",
        Code::Unavailable => ": it cannot tell now",
        _ => "",
    };
    Problem::new(ProblemKind::Answered(code.into()), format!("the admin says {code:?}{meaning}"))
}

fn unreadable(sentence: &str) -> Problem {
    Problem::new(ProblemKind::Unreadable, sentence)
}

/// The metric that was asked for, out of the answer to all. Total: an answer may have any values.
fn reading(answer: &Result<QueryResponse, Problem>, asked: &Asked, now: Timestamp) -> Answer {
    let answer = answer.as_ref().map_err(Clone::clone)?;
    let value = value(answer, asked.value)?;
    let rate = asked.rate.map(|rate| self::value(answer, rate)).transpose();
    let rate = rate.map_err(|problem| problem.of("its rate"))?;
    // Ages are told by the admin's clock, and none of ours.
    let skew = answer.answered_at.map(timestamp).transpose()?.map(|told| now.duration_since(told));
    let measured_at = value.measured_at.ok_or_else(|| unreadable("it has no time of measurement"))?;
    let measured_at = timestamp(measured_at)?;
    let measured_at = skew.map_or(Ok(measured_at), |skew| measured_at.checked_add(skew));
    Ok(Reading {
        value: value.value,
        measured_at: measured_at.map_err(|_| no_time())?,
        valid_for: value.stale_after.map(promise).transpose()?,
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
        Some(Outcome::Error(error)) => Err(untold(error)),
        None => Err(unreadable("the admin has not answered this query")),
    }
}

fn timestamp(time: prost_types::Timestamp) -> Result<Timestamp, Problem> {
    Timestamp::new(time.seconds, time.nanos).map_err(|_| no_time())
}

fn no_time() -> Problem {
    unreadable("its time of measurement is none")
}

fn promise(promise: prost_types::Duration) -> Result<SignedDuration, Problem> {
    let nanos = SignedDuration::from_nanos(promise.nanos.into());
    let span = SignedDuration::from_secs(promise.seconds).checked_add(nanos);
    span.ok_or_else(|| unreadable("the time for which it counts is none"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ASKED: Asked = Asked { index: 0, value: 0, rate: Some(1) };

    fn times() -> impl Strategy<Value = Option<prost_types::Timestamp>> {
        let parts = (edges(), prop_oneof![any::<i32>(), 0..1_000_000_000]);
        proptest::option::of(parts.prop_map(|(seconds, nanos)| prost_types::Timestamp { seconds, nanos }))
    }

    fn spans() -> impl Strategy<Value = Option<prost_types::Duration>> {
        let parts = (edges(), prop_oneof![any::<i32>(), Just(1_000_000_000), Just(i32::MIN)]);
        proptest::option::of(parts.prop_map(|(seconds, nanos)| prost_types::Duration { seconds, nanos }))
    }

    fn edges() -> impl Strategy<Value = i64> {
        prop_oneof![any::<i64>(), Just(i64::MAX), Just(i64::MIN), -1_000_000_000_000..1_000_000_000_000_i64]
    }

    fn values() -> impl Strategy<Value = MetricValue> {
        let instances = proptest::collection::vec((any::<f64>(), any::<bool>()), 0..4);
        let parts = (proptest::num::f64::ANY, any::<i32>(), times(), spans(), any::<bool>(), instances);
        parts.prop_map(|(value, unit, measured_at, stale_after, stale, instances)| {
            let instances = instances.into_iter().map(|(value, stale)| {
                prism_proto::prism::metrics::v1::InstanceValue { value, stale, ..Default::default() }
            });
            MetricValue { value, unit, measured_at, stale_after, stale, instances: instances.collect() }
        })
    }

    fn answers() -> impl Strategy<Value = QueryResponse> {
        let error = (any::<i32>(), ".{0,300}").prop_map(|(code, message)| QueryError { code, message });
        let outcome = prop_oneof![values().prop_map(Outcome::Value), error.prop_map(Outcome::Error)];
        let result = (0_u32..3, proptest::option::of(outcome));
        let result = result.prop_map(|(query, outcome)| QueryResult { query, outcome });
        let parts = (proptest::collection::vec(result, 0..4), times());
        parts.prop_map(|(results, answered_at)| QueryResponse { results, answered_at })
    }

    proptest! {
        #[test]
        fn whatever_an_admin_answers_there_is_a_reading_or_a_short_sentence(answer in answers()) {
            if let Err(problem) = reading(&Ok(answer), &ASKED, Timestamp::now()) {
                prop_assert!(problem.to_string().chars().count() <= 256);
            }
        }
    }

    #[test]
    fn a_promise_without_end_is_a_problem_and_no_panic() {
        let endless = prost_types::Duration { seconds: i64::MAX, nanos: 1_000_000_000 };
        assert_eq!(promise(endless).unwrap_err().kind(), ProblemKind::Unreadable);
    }

    #[test]
    fn of_an_error_the_code_is_told_and_no_text() {
        let error = QueryError { code: 5, message: "redis://user:secret@host".repeat(100_000) };
        let problem = untold(&error);
        assert_eq!(problem.kind(), ProblemKind::Answered(5));
        assert_eq!(
            problem.to_string(),
            "the admin says NotFound: nobody has reported this metric of the pattern lately"
        );
        let status = Status::internal("secret".repeat(100_000));
        assert_eq!(failure(&status).to_string(), "the admin answers Internal");
    }
}
