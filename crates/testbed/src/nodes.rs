//! Fake nodes: real `Node` objects that kwok keeps alive, on which pods become Ready at once.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};

use crate::error::{Error, Result};

/// Annotation that hands a node to kwok, with the value `fake`.
pub const FAKE: &str = "kwok.x-k8s.io/node";
/// Region of all fake nodes.
pub const REGION: &str = "testbed";
/// Zones of the nodes that a cluster starts with, two nodes in each.
pub const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];

/// Taint of a node whose conditions have not been looked at yet: no pod goes there.
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// A node to be added: 64 CPUs, 256 GiB, 1000 pods.
#[derive(Debug, Clone)]
pub struct FakeNode {
    name: String,
    labels: BTreeMap<String, String>,
    taints: Vec<Taint>,
}

impl FakeNode {
    /// A node in a zone, with the well-known labels.
    #[must_use]
    pub fn new(name: impl Into<String>, zone: impl Into<String>) -> Self {
        let name = name.into();
        let labels = [
            ("kubernetes.io/hostname", name.clone()),
            ("kubernetes.io/os", "linux".into()),
            ("kubernetes.io/arch", "amd64".into()),
            ("topology.kubernetes.io/region", REGION.into()),
            ("topology.kubernetes.io/zone", zone.into()),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value)).into();
        Self { name, labels, taints: Vec::new() }
    }

    /// Adds a label, or replaces one.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Adds a taint; `effect` is `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    #[must_use]
    pub fn taint(
        mut self,
        key: impl Into<String>,
        value: impl Into<String>,
        effect: impl Into<String>,
    ) -> Self {
        self.taints.push(Taint {
            key: key.into(),
            value: Some(value.into()),
            effect: effect.into(),
            ..Taint::default()
        });
        self
    }

    fn object(&self) -> Node {
        let capacity: BTreeMap<_, _> = [("cpu", "64"), ("memory", "256Gi"), ("pods", "1000")]
            .map(|(resource, amount)| (resource.to_owned(), Quantity(amount.to_owned())))
            .into();
        Node {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some(self.labels.clone()),
                annotations: Some([(FAKE.to_owned(), "fake".to_owned())].into()),
                ..ObjectMeta::default()
            },
            spec: Some(NodeSpec { taints: Some(self.taints.clone()), ..NodeSpec::default() }),
            status: Some(NodeStatus {
                allocatable: Some(capacity.clone()),
                capacity: Some(capacity),
                ..NodeStatus::default()
            }),
        }
    }
}

/// Adds nodes and returns when pods can be scheduled on all of them.
///
/// Works wherever kwok plays the nodes with the annotation [`FAKE`]; elsewhere it waits for ever.
pub async fn add(client: &Client, nodes: &[FakeNode]) -> Result<()> {
    let api: Api<Node> = Api::all(client.clone());
    try_join_all(nodes.iter().map(async |node| {
        api.create(&PostParams::default(), &node.object()).await?;
        await_condition(api.clone(), &node.name, is_schedulable).await.map_err(|error| Error::NotReady {
            what: format!("node {}", node.name),
            seconds: 0,
            last: error.to_string(),
        })?;
        Ok(())
    }))
    .await
    .map(drop)
}

/// The six nodes of a new cluster.
pub(crate) fn default_nodes() -> Vec<FakeNode> {
    (0..6).map(|index| FakeNode::new(format!("node-{index}"), ZONES[index % ZONES.len()])).collect()
}

/// Whether a node is Ready, and the controller manager has noticed.
fn is_schedulable(node: Option<&Node>) -> bool {
    let conditions = node.and_then(|node| node.status.as_ref()?.conditions.as_ref());
    let taints = node.and_then(|node| node.spec.as_ref()?.taints.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
        && !taints.is_some_and(|all| all.iter().any(|taint| taint.key == NOT_READY))
}
