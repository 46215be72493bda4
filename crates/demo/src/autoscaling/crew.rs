//! As many workers as the cluster has ready pods: each pod has one, for as long as it is ready.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client, ResourceExt};
use prism_api::labels;
use prism_demo::Result;
use prism_proto::prism::metrics::v1::ingest_client::IngestClient;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::orders::{NAME, NAMESPACE};
use crate::queue::Queue;
use crate::worker::Worker;

/// All workers.
pub(crate) struct Crew {
    queue: Arc<Queue>,
    ingest: IngestClient<Channel>,
    size: watch::Sender<usize>,
    /// By pod; what a worker is asked to leave by.
    members: BTreeMap<String, CancellationToken>,
    tasks: JoinSet<Result<()>>,
}

impl Crew {
    /// A crew without members, that reports to the admin behind `ingest`.
    pub(crate) fn new(queue: Arc<Queue>, ingest: IngestClient<Channel>) -> Self {
        Self { queue, ingest, size: watch::Sender::new(0), members: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// How many work.
    pub(crate) fn size(&self) -> watch::Receiver<usize> {
        self.size.subscribe()
    }

    /// Lets workers come and go with the pods, without end.
    ///
    /// # Errors
    /// When a worker fails.
    pub(crate) async fn serve(mut self, client: Client) -> Result<()> {
        let api = Api::<Pod>::namespaced(client, NAMESPACE);
        let config = watcher::Config::default().labels(&format!("{}={NAME}", labels::PATTERN_INSTANCE));
        let (pods, writer) = reflector::store();
        // An error of the watch is no news: it is begun again, after a pause that grows.
        let mut events = pin!(watcher(api, config).default_backoff().reflect(writer));
        loop {
            tokio::select! {
                Some(event) = events.next() => if event.is_ok() {
                    let ready = pods.state().into_iter().filter(|pod| is_ready(pod));
                    self.settle(&ready.map(|pod| pod.name_any()).collect());
                },
                Some(Ok(outcome)) = self.tasks.join_next() => outcome?,
                else => return Ok(()),
            }
        }
    }

    /// From now on exactly the pods of `ready` have a worker.
    fn settle(&mut self, ready: &BTreeSet<String>) {
        self.members.retain(|pod, leaves| {
            let stays = ready.contains(pod);
            if !stays {
                leaves.cancel();
            }
            stays
        });
        for pod in ready {
            if !self.members.contains_key(pod) {
                let worker = Worker {
                    pod: pod.clone(),
                    queue: self.queue.clone(),
                    ingest: self.ingest.clone(),
                    crew: self.size.subscribe(),
                };
                let leaves = CancellationToken::new();
                self.tasks.spawn(worker.work(leaves.clone()));
                self.members.insert(pod.clone(), leaves);
            }
        }
        let size = self.members.len();
        self.size.send_if_modified(|known| std::mem::replace(known, size) != size);
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready" && condition.status == "True");
    pod.metadata.deletion_timestamp.is_none() && ready.next().is_some()
}
