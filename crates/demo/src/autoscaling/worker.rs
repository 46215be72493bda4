//! A worker: takes messages, and reports what it does, as the runner in a pod would.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use prism_demo::{Error, Result};
use prism_proto::prism::metrics::v1::ingest_client::IngestClient;
use prism_proto::prism::metrics::v1::{
    Aggregation, Measurement, MetricDescriptor, PatternRef, ReportRequest, Unit,
};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::orders::{NAME, NAMESPACE};
use crate::queue::Queue;

/// How long a message takes: a worker does ten in a second. Nobody tells the operator.
const A_MESSAGE_TAKES: Duration = Duration::from_millis(100);
/// Time between two reports.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Seconds for which a report is to be trusted: one that is lost makes no value stale.
const TRUST: Duration = Duration::from_secs(3);
/// The last report of a worker is out of date as soon as it is made: nothing waits for it any more.
const FAREWELL_TRUST: Duration = Duration::from_millis(1);

/// The worker of one pod.
pub(crate) struct Worker {
    /// Its pod, by which the admin knows it.
    pub(crate) pod: String,
    pub(crate) queue: Arc<Queue>,
    pub(crate) ingest: IngestClient<Channel>,
    /// How many workers there are: they share what waits.
    pub(crate) crew: watch::Receiver<usize>,
}

impl Worker {
    /// Works until it is asked to leave. What it has in its hands then goes back to the queue.
    ///
    /// # Errors
    /// [`Error::Report`] when the admin does not take a report.
    pub(crate) async fn work(mut self, leaves: CancellationToken) -> Result<()> {
        let (queue, done) = (self.queue.clone(), AtomicU32::new(0));
        tokio::select! {
            () = take_messages(&queue, &done) => {}
            told = self.tell(&done) => return told,
            () = leaves.cancelled() => {}
        }
        // Its share of the queue is with the others from now on.
        self.report(0.0, 0.0, FAREWELL_TRUST).await
    }

    /// Reports at a fixed interval, and when its share changes.
    async fn tell(&mut self, done: &AtomicU32) -> Result<()> {
        let mut since = Instant::now();
        let mut ticks = interval_at(since + REPORT_EVERY, REPORT_EVERY);
        let (mut counted, mut rate) = (0, 0.0);
        loop {
            let share = self.share();
            self.report(share, rate, TRUST).await?;
            tokio::select! {
                now = ticks.tick() => {
                    let total = done.load(Ordering::Relaxed);
                    rate = f64::from(total - counted) / (now - since).as_secs_f64();
                    (counted, since) = (total, now);
                }
                changed = self.crew.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a few thousand messages, a dozen workers")]
    fn share(&mut self) -> f64 {
        let crew = *self.crew.borrow_and_update();
        self.queue.count().waiting as f64 / crew.max(1) as f64
    }

    async fn report(&mut self, lag: f64, throughput: f64, trust: Duration) -> Result<()> {
        let measurements = vec![
            measurement("pattern.consumer.lag", Unit::Messages, "Messages that wait.", lag),
            measurement(
                "pattern.consumer.throughput",
                Unit::PerSecond,
                "Messages that are done.",
                throughput,
            ),
        ];
        let report = ReportRequest {
            pattern: Some(PatternRef::new(NAMESPACE, NAME)),
            instance: self.pod.clone(),
            stale_after: trust.try_into().ok(),
            measurements,
        };
        self.ingest.report(report).await.map_err(|status| Error::Report(Box::new(status)))?;
        Ok(())
    }
}

fn measurement(name: &str, unit: Unit, help: &str, value: f64) -> Measurement {
    let descriptor = MetricDescriptor {
        name: name.to_owned(),
        unit: unit.into(),
        aggregation: Aggregation::Sum.into(),
        help: help.to_owned(),
    };
    Measurement { metric: Some(descriptor), value, measured_at: None }
}

/// One message after the other, without end.
async fn take_messages(queue: &Queue, done: &AtomicU32) {
    loop {
        let delivery = queue.take().await;
        sleep(A_MESSAGE_TAKES).await;
        delivery.done();
        done.fetch_add(1, Ordering::Relaxed);
    }
}
