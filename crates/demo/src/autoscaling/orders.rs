//! The consumer that scales: how it is made, and what its status says while it does.

use std::net::SocketAddr;
use std::pin::pin;

use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use prism_api::pattern::PrismPatternStatus;
use prism_api::{PrismPattern, condition};
use prism_demo::{Place, Result};
use prism_plan::conditions::find;
use tokio::sync::watch;

/// Namespace of everything the demo makes.
pub(crate) const NAMESPACE: &str = "prism-demo-autoscaling";
/// Its name.
pub(crate) const NAME: &str = "orders";
/// What the demo applies, but for the address of the admin.
pub(crate) const MANIFEST: &str = include_str!("orders.yaml");

/// What the consumer's status has said so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    /// Its status.
    pub(crate) status: PrismPatternStatus,
    /// How often another decision stood in it.
    pub(crate) decisions: usize,
    /// How often it was written.
    pub(crate) writes: usize,
    /// Most replicas that were ever wanted.
    pub(crate) most: i32,
}

impl Story {
    /// Replicas that are wanted.
    pub(crate) fn desired(&self) -> i32 {
        self.status.desired_replicas.unwrap_or_default()
    }

    /// Replicas that are ready.
    pub(crate) fn ready(&self) -> i32 {
        self.status.ready_replicas.unwrap_or_default()
    }

    /// Why there are so many: the sentence of the last decision, or why there is none.
    pub(crate) fn message(&self) -> String {
        let decided = self.status.scaling.as_ref().map(|decision| decision.message.clone());
        let active = || find(&self.status.conditions, condition::SCALING_ACTIVE);
        decided.or_else(|| active().map(|active| active.message.clone())).unwrap_or_default()
    }

    fn add(&mut self, status: PrismPatternStatus) {
        if status == self.status {
            return;
        }
        self.writes += 1;
        if status.scaling.is_some() && status.scaling != self.status.scaling {
            self.decisions += 1;
        }
        self.most = self.most.max(status.desired_replicas.unwrap_or_default());
        self.status = status;
    }
}

/// Applies the consumer, with the admin at `address`.
pub(crate) async fn create(place: &Place, address: SocketAddr) -> Result<()> {
    let mut pattern: PrismPattern = serde_saphyr::from_str(MANIFEST)?;
    for metric in pattern.spec.autoscaling.iter_mut().flat_map(|scaling| &mut scaling.metrics) {
        if let Some(metric) = &mut metric.admin_metric {
            metric.endpoint = Some(format!("https://{address}"));
        }
    }
    Box::pin(place.apply(&patterns(place.client.clone()), &pattern)).await
}

/// Tells `story` what the status says, without end.
pub(crate) async fn follow(client: Client, story: &watch::Sender<Story>) {
    let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    let mut events = pin!(watcher(patterns(client), config).default_backoff().applied_objects());
    while let Some(event) = events.next().await {
        // An error of the watch is no news: it is begun again, after a pause that grows.
        if let Ok(pattern) = event {
            story.send_modify(|story| story.add(pattern.status.unwrap_or_default()));
        }
    }
}

fn patterns(client: Client) -> Api<PrismPattern> {
    Api::namespaced(client, NAMESPACE)
}

#[cfg(test)]
mod tests {
    use prism_api::scaling::ScalingDecision;

    use super::*;

    #[test]
    fn a_status_that_differs_is_a_write_and_only_another_decision_is_a_decision() {
        let status = |ready: i32, message: &str| PrismPatternStatus {
            desired_replicas: Some(3),
            ready_replicas: Some(ready),
            scaling: Some(ScalingDecision { message: message.to_owned(), ..ScalingDecision::default() }),
            ..PrismPatternStatus::default()
        };
        let mut story = Story::default();
        for status in [status(1, "three"), status(2, "three"), status(2, "three"), status(2, "two")] {
            story.add(status);
        }
        assert_eq!((story.writes, story.decisions, story.most), (3, 2, 3));
        assert_eq!(story.message(), "two");
    }
}
