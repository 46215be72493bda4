//! `prism.metrics.v1.Metrics`: the store on the wire.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::stream::BoxStream;
use prism_proto::prism::metrics::v1::{
    self as wire, InstanceValue, ListRequest, ListResponse, MetricDescriptor, MetricQuery, MetricValue,
    QueryRequest, QueryResponse, QueryResult, WatchRequest, metrics_server::Metrics, query_result::Outcome,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

use super::{
    series::{Aggregation, Descriptor, Reading},
    store::{Missing, Store},
    watch::Watch,
};

/// The most queries of one call; with ten instances each, the answer stays below the 4 MiB of a gRPC message.
const QUERIES: usize = 1000;
/// The longest silence of a stream whose client does not choose.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Silences that a client may choose.
const HEARTBEATS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(1);

/// Answers from the store.
pub(crate) struct Answers {
    /// What is known.
    pub(crate) store: Arc<Store>,
    /// Ends the streams.
    pub(crate) stopping: CancellationToken,
}

#[tonic::async_trait]
impl Metrics for Answers {
    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<QueryResponse>, Status> {
        let queries = request.into_inner().queries;
        check_count(&queries)?;
        let now = SystemTime::now();
        let results = (0..).zip(&queries).map(|(index, query)| answer(index, self.store.read(query, now)));
        Ok(Response::new(QueryResponse { results: results.collect(), answered_at: Some(now.into()) }))
    }

    type WatchStream = BoxStream<'static, Result<QueryResponse, Status>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let WatchRequest { queries, heartbeat } = request.into_inner();
        check_count(&queries)?;
        let heartbeat = match heartbeat.map(Duration::try_from) {
            None => HEARTBEAT,
            Some(Ok(heartbeat)) if HEARTBEATS.contains(&heartbeat) => heartbeat,
            Some(_) => return Err(Status::invalid_argument("heartbeat must be from 100 ms to one hour")),
        };
        let watch = Watch::new(self.store.clone(), queries, heartbeat, self.stopping.clone());
        Ok(Response::new(watch.into_stream()))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let pattern = request.into_inner().pattern.unwrap_or_default();
        let metrics = self.store.list(&pattern, SystemTime::now())?;
        let metrics = metrics.into_iter().map(|(name, Descriptor { unit, aggregation, help })| {
            let aggregation = wire::Aggregation::from(aggregation).into();
            MetricDescriptor { name, unit: unit.into(), aggregation, help }
        });
        Ok(Response::new(ListResponse { metrics: metrics.collect() }))
    }
}

/// The answer to the query `index`.
pub(super) fn answer(index: u32, outcome: Result<Reading, Missing>) -> QueryResult {
    let outcome = match outcome {
        Ok(reading) => Outcome::Value(reading.into()),
        Err(missing) => Outcome::Error(Status::from(missing).into()),
    };
    QueryResult { query: index, outcome: Some(outcome) }
}

fn check_count(queries: &[MetricQuery]) -> Result<(), Status> {
    if (1..=QUERIES).contains(&queries.len()) {
        return Ok(());
    }
    Err(Status::invalid_argument(format!(
        "a call has 1 to {QUERIES} queries, not {}: split it",
        queries.len()
    )))
}

impl From<Missing> for Status {
    fn from(missing: Missing) -> Self {
        let code = match missing {
            Missing::Name(_) => Code::InvalidArgument,
            Missing::Pattern(_) | Missing::Metric { .. } | Missing::Instances { .. } => Code::NotFound,
        };
        Self::new(code, missing.to_string())
    }
}

impl From<Aggregation> for wire::Aggregation {
    fn from(aggregation: Aggregation) -> Self {
        match aggregation {
            Aggregation::Sum => Self::Sum,
            Aggregation::Max => Self::Max,
        }
    }
}

impl From<Reading> for MetricValue {
    fn from(reading: Reading) -> Self {
        let Reading { unit, whole, is_stale, instances, changes_at: _ } = reading;
        let instances = instances.into_iter().map(|one| InstanceValue {
            instance: one.instance,
            value: one.sample.value,
            measured_at: Some(one.sample.measured_at.into()),
            stale_after: wire_duration(one.sample.stale_after),
            stale: one.is_stale,
        });
        Self {
            value: whole.value,
            unit: unit.into(),
            measured_at: Some(whole.measured_at.into()),
            stale_after: wire_duration(whole.stale_after),
            stale: is_stale,
            instances: instances.collect(),
        }
    }
}

/// Always `Some`: promises are at most a day, and the wire has room for more.
fn wire_duration(promise: Duration) -> Option<prost_types::Duration> {
    promise.try_into().ok()
}
