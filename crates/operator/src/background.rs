//! Tasks beside the workers: none ends unnoticed.

use std::sync::Arc;

use prism_engine::{metrics::Metrics, supervise::supervise};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The tasks of a process that run until its shutdown. One that panics is started again.
pub(crate) struct Background {
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
    tasks: JoinSet<String>,
}

impl Background {
    pub(crate) fn new(metrics: Arc<Metrics>, shutdown: CancellationToken) -> Self {
        Self { metrics, shutdown, tasks: JoinSet::new() }
    }

    /// Runs what `task` makes, and makes it anew after a panic.
    pub(crate) fn spawn<F>(&mut self, name: impl Into<String>, task: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (name, metrics, shutdown) = (name.into(), self.metrics.clone(), self.shutdown.clone());
        self.tasks.spawn(async move {
            supervise(&name, &metrics, &shutdown, task).await;
            name
        });
    }

    /// Runs a task that cannot be made twice: its panic ends the process, as its end does.
    pub(crate) fn spawn_once(
        &mut self,
        name: impl Into<String>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let name = name.into();
        self.tasks.spawn(async move {
            task.await;
            name
        });
    }

    /// Waits until one of them has ended before the shutdown: without it this process is half dead.
    pub(crate) async fn ended(&mut self) -> String {
        loop {
            let what = match self.tasks.join_next().await {
                Some(Ok(name)) => format!("{name} has ended"),
                Some(Err(error)) => format!("a task has ended: {error}"),
                None => std::future::pending().await,
            };
            if !self.shutdown.is_cancelled() {
                return what;
            }
        }
    }

    /// Ends them all.
    pub(crate) async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}
