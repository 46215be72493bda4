//! Tasks that run as long as the process, whatever happens in them.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Pause before a task that has panicked is started again, so that a bug does not keep a core busy.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs what `task` makes until it ends; if it panics, logs and counts that, and starts it again, until `shutdown`.
pub async fn supervise<F: Future<Output = ()>>(
    name: &str,
    metrics: &Arc<Metrics>,
    shutdown: &CancellationToken,
    task: impl Fn() -> F,
) {
    while let Err(panic) = AssertUnwindSafe(task()).catch_unwind().await {
        tracing::error!(task = name, panic = text(&*panic), "A task panicked, and is started again");
        metrics.panicked(name);
        if shutdown.run_until_cancelled(sleep(PAUSE)).await.is_none() {
            return;
        }
    }
}

/// What a panic says: mostly its message.
#[must_use]
pub fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_counted_and_started_again() {
        let metrics = Arc::new(Metrics::new("example"));
        let runs = Cell::new(0);
        supervise("watch of parents", &metrics, &CancellationToken::new(), || {
            runs.set(runs.get() + 1);
            let run = runs.get();
            async move { assert_eq!(run, 3, "a bug") }
        })
        .await;
        assert_eq!(runs.get(), 3);
        let text = metrics.encode(0).unwrap();
        assert!(text.contains(r#"example_task_panics_total{task="watch of parents"} 2"#), "{text}");
    }
}
