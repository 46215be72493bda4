//! A stream of answers: whatever changes, and a sign of life.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::{StreamExt, stream::BoxStream};
use prism_proto::prism::metrics::v1::{MetricQuery, QueryResponse, QueryResult};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{service::answer, store::Store};

/// What one client watches, and what it was told.
///
/// Nothing is looked up before the connection has room for a message: a slow reader skips what was overtaken.
pub(super) struct Watch {
    store: Arc<Store>,
    queries: Vec<MetricQuery>,
    heartbeat: Duration,
    stopping: CancellationToken,
    changes: watch::Receiver<()>,
    /// The latest result of each query that the client has; empty before the first message.
    told: Vec<QueryResult>,
    told_at: Instant,
}

impl Watch {
    pub(super) fn new(
        store: Arc<Store>,
        queries: Vec<MetricQuery>,
        heartbeat: Duration,
        stopping: CancellationToken,
    ) -> Self {
        let changes = store.changes();
        Self { store, queries, heartbeat, stopping, changes, told: Vec::new(), told_at: Instant::now() }
    }

    /// The answers; the last one says that the server stops.
    pub(super) fn into_stream(self) -> BoxStream<'static, Result<QueryResponse, Status>> {
        futures::stream::unfold(Some(self), async |watch| {
            let mut watch = watch?;
            match watch.next().await {
                Some(response) => Some((Ok(response), Some(watch))),
                None => Some((Err(Status::unavailable("the server is stopping")), None)),
            }
        })
        .boxed()
    }

    /// The next message, when there is something to tell; `None`: the server stops.
    async fn next(&mut self) -> Option<QueryResponse> {
        loop {
            // Before the look, so that a report that it does not see wakes us again.
            self.changes.mark_unchanged();
            let now = SystemTime::now();
            let (results, changes_at) = self.look(now);
            let news = self.news(&results);
            if !news.is_empty() {
                self.told = results;
                self.told_at = Instant::now();
                return Some(QueryResponse { results: news, answered_at: Some(now.into()) });
            }
            // A time that has passed meanwhile is looked at at once.
            let change = changes_at.map(|at| at.duration_since(now).unwrap_or_default());
            let beat = (self.told_at + self.heartbeat).duration_since(Instant::now());
            tokio::select! {
                () = self.stopping.cancelled() => return None,
                // Cannot fail: the sender is in the store.
                _ = self.changes.changed() => {}
                () = tokio::time::sleep(change.map_or(beat, |change| change.min(beat))) => {}
            }
        }
    }

    /// The results of all queries, and when they become others without any report.
    fn look(&self, now: SystemTime) -> (Vec<QueryResult>, Option<SystemTime>) {
        let readings = self.queries.iter().map(|query| self.store.read(query, now));
        let mut changes_at = None;
        let results = (0..).zip(readings).map(|(index, outcome)| {
            let change = outcome.as_ref().ok().and_then(|reading| reading.changes_at);
            changes_at = changes_at.into_iter().chain(change).min();
            answer(index, outcome)
        });
        (results.collect(), changes_at)
    }

    /// What the client has to hear: all of it at first and at a heartbeat, else what it does not know yet.
    fn news(&self, results: &[QueryResult]) -> Vec<QueryResult> {
        if self.told.is_empty() || self.told_at.elapsed() >= self.heartbeat {
            return results.to_vec();
        }
        let pairs = results.iter().zip(&self.told);
        pairs.filter(|(result, told)| result != told).map(|(result, _)| result.clone()).collect()
    }
}
