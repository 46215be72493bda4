//! What a process does from its first list to the end of its lease: reconcile, and scale.

use std::{sync::Arc, time::Duration};

use prism_engine::{
    fence::Fence,
    health::Health,
    in_flight::InFlight,
    lease::Leadership,
    metrics::Metrics,
    supervise::supervise,
    worker::{self, Workers},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{Config, context::Context, process::Error, scaling};

/// How long looks that have begun may take to end when the process is asked to stop.
const GRACE: Duration = Duration::from_secs(10);

/// What the work of a process takes, beside the tasks in the background.
pub(crate) struct Work {
    pub(crate) config: Config,
    pub(crate) context: Arc<Context>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
    pub(crate) leadership: Option<Leadership>,
    pub(crate) fence: Fence,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) shutdown: CancellationToken,
}

impl Work {
    /// Waits for the caches and the lease, reconciles until the shutdown, and gives the lease back.
    pub(crate) async fn run(&self) -> Result<(), Error> {
        let ready = async {
            self.health.synced().await;
            self.context.optional.tried().await;
            tracing::info!("Caches are filled");
            self.context.outlets.settled().await;
            if let Some(leadership) = &self.leadership {
                leadership.acquire().await;
                tracing::info!("Lease is held");
            }
        };
        if self.shutdown.run_until_cancelled(ready).await.is_none() {
            return Ok(());
        }
        self.metrics.leads(true);
        let Self { context, metrics, config, shutdown, in_flight, .. } = self;
        let workers = Workers {
            queue: context.queue.clone(),
            metrics: metrics.clone(),
            in_flight: in_flight.clone(),
            concurrency: config.concurrency,
            limit: config.reconcile_timeout,
        };
        let workers = drain(worker::run(context.clone(), workers, shutdown.clone()), shutdown);
        // Before the workers work, nobody asks for a look; after a loss of the lease, no look may write.
        let looks = supervise("looks at metrics", metrics, shutdown, || {
            scaling::serve(context.clone(), metrics.clone(), shutdown.clone())
        });
        let Some(leadership) = &self.leadership else {
            tokio::join!(workers, looks);
            return Ok(());
        };
        // The lease is kept while the last looks end, and given back only then.
        let drained = CancellationToken::new();
        let (is_held, ()) = tokio::join!(leadership.keep(drained.clone()), async {
            tokio::select! {
                _ = async { tokio::join!(workers, looks) } => {}
                () = self.fence.fallen() => {}
            }
            drained.cancel();
        });
        if !is_held {
            return Err(Error::LeaseLost);
        }
        leadership.release().await;
        Ok(())
    }
}

/// Lets the workers run, and after the shutdown for [`GRACE`] longer.
async fn drain(workers: impl Future<Output = ()>, shutdown: &CancellationToken) {
    let mut workers = std::pin::pin!(workers);
    tokio::select! {
        () = &mut workers => return,
        () = shutdown.cancelled() => {}
    }
    if timeout(GRACE, workers).await.is_err() {
        tracing::warn!("Looks that had begun were abandoned");
    }
}
