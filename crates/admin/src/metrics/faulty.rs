//! The service `Metrics` with a fault that is set from outside.

use std::time::{Duration, SystemTime};

use futures::{StreamExt, stream::BoxStream};
use prism_proto::prism::metrics::v1::{
    ListRequest, ListResponse, MetricValue, QueryRequest, QueryResponse, Unit, WatchRequest,
    metrics_server::Metrics, query_result::Outcome,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::faults::{Absence, Fault, Faults, Nonsense};

/// Passes calls on, and lets their answers go wrong as [`Faults`] says.
pub(crate) struct Faulty<S> {
    /// The service that knows the truth.
    pub(crate) inner: S,
    /// What is to go wrong.
    pub(crate) faults: Faults,
    /// Ends calls that hang.
    pub(crate) stopping: CancellationToken,
}

#[tonic::async_trait]
impl<S: Metrics> Metrics for Faulty<S> {
    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<QueryResponse>, Status> {
        let mut gate = self.gate();
        gate.pass().await?;
        let response = self.inner.query(request).await?;
        Ok(response.map(|response| gate.distort(response)))
    }

    type WatchStream = BoxStream<'static, Result<QueryResponse, Status>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let mut gate = self.gate();
        gate.pass().await?;
        let response = self.inner.watch(request).await?;
        Ok(response.map(|stream| distorted(stream.boxed(), gate)))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let mut gate = self.gate();
        gate.pass().await?;
        if gate.current() == Some(Fault::Absent(Absence::NotFound)) {
            return Err(not_found());
        }
        self.inner.list(request).await
    }
}

impl<S> Faulty<S> {
    fn gate(&self) -> Gate {
        Gate { fault: self.faults.subscribe(), stopping: self.stopping.clone() }
    }
}

/// Messages of `inner`, each with the fault of its time.
fn distorted(
    inner: BoxStream<'static, Result<QueryResponse, Status>>,
    gate: Gate,
) -> BoxStream<'static, Result<QueryResponse, Status>> {
    futures::stream::unfold(Some((inner, gate)), async |state| {
        let (mut inner, mut gate) = state?;
        let message = tokio::select! {
            status = gate.unavailable() => Some(Err(status)),
            message = inner.next() => message,
        };
        let message = match message? {
            Ok(response) => gate.pass().await.map(|()| gate.distort(response)),
            Err(status) => Err(status),
        };
        let rest = message.is_ok().then_some((inner, gate));
        Some((message, rest))
    })
    .boxed()
}

/// Where one call meets the fault.
struct Gate {
    fault: watch::Receiver<Option<Fault>>,
    stopping: CancellationToken,
}

impl Gate {
    fn current(&self) -> Option<Fault> {
        *self.fault.borrow()
    }

    /// Returns when the fault, if any, lets an answer through.
    async fn pass(&mut self) -> Result<(), Status> {
        let stopping = self.stopping.clone();
        tokio::select! {
            () = stopping.cancelled() => Err(Status::unavailable("the server is stopping")),
            outcome = self.obey() => outcome,
        }
    }

    async fn obey(&mut self) -> Result<(), Status> {
        if self.current() == Some(Fault::Hung) {
            self.until(|fault| *fault != Some(Fault::Hung)).await;
        }
        if let Some(Fault::Slow(delay)) = self.current() {
            tokio::time::sleep(delay).await;
        }
        match self.current() {
            Some(Fault::Absent(Absence::Unavailable)) => Err(unavailable()),
            _ => Ok(()),
        }
    }

    /// Returns when the service is to be unavailable, to an open stream that has nothing to tell.
    async fn unavailable(&mut self) -> Status {
        self.until(|fault| *fault == Some(Fault::Absent(Absence::Unavailable))).await;
        unavailable()
    }

    /// Returns when the fault is such a one; never, if nobody is left to set it.
    async fn until(&mut self, is_such: impl FnMut(&Option<Fault>) -> bool) {
        if self.fault.wait_for(is_such).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn distort(&self, mut response: QueryResponse) -> QueryResponse {
        let now = SystemTime::now();
        for outcome in response.results.iter_mut().filter_map(|result| result.outcome.as_mut()) {
            match (self.current(), outcome) {
                (Some(Fault::Wrong(nonsense)), Outcome::Value(value)) => garble(value, nonsense),
                (Some(Fault::Stale(age)), Outcome::Value(value)) => backdate(value, age, now),
                (Some(Fault::Absent(Absence::NotFound)), outcome) => {
                    *outcome = Outcome::Error(not_found().into());
                }
                _ => {}
            }
        }
        response
    }
}

fn garble(value: &mut MetricValue, nonsense: Nonsense) {
    let number = match nonsense {
        Nonsense::NotANumber => f64::NAN,
        Nonsense::Infinite => f64::INFINITY,
        Nonsense::Negative => -1.0,
        Nonsense::Unit => {
            let other = if value.unit() == Unit::Bytes { Unit::Seconds } else { Unit::Bytes };
            value.set_unit(other);
            return;
        }
    };
    value.value = number;
    for instance in &mut value.instances {
        instance.value = number;
    }
}

/// Sets all times back to `age` before `now`, and says truly whether that is stale.
fn backdate(value: &mut MetricValue, age: Duration, now: SystemTime) {
    let measured_at = now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    let is_stale = |promise: Option<prost_types::Duration>| {
        promise.and_then(|promise| Duration::try_from(promise).ok()).is_none_or(|promise| age >= promise)
    };
    value.measured_at = Some(measured_at.into());
    value.stale = is_stale(value.stale_after);
    for instance in &mut value.instances {
        instance.measured_at = Some(measured_at.into());
        instance.stale = is_stale(instance.stale_after);
    }
}

fn unavailable() -> Status {
    Status::unavailable("the admin is unavailable on purpose")
}

fn not_found() -> Status {
    Status::not_found("the admin knows nothing on purpose")
}
