//! Where pods run.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, ResourceRequirements, Toleration, TopologySpreadConstraint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where pods run: nodes, spreading, priority.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Ready-made placement, where the other fields are silent. MultiZone spreads the pods over
    /// zones, MultiRegion over regions and zones, and DedicatedNodes tolerates the taint
    /// `dedicated`; each also prefers one pod for a node. All of it is a preference: to make pods
    /// wait instead, write topologySpreadConstraints. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<PlacementStrategy>,
    /// Labels a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub node_selector: BTreeMap<String, String>,
    /// Name of the one node to run on: bypasses the scheduler, for debugging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = crate::schema::OPTIONAL_NAME_PATTERN))]
    pub node_name: Option<String>,
    /// Affinity rules, as on a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Taints that the pods tolerate, as on a pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 64, "x-kubernetes-list-type" = "atomic"))]
    pub tolerations: Vec<Toleration>,
    /// Spread constraints, as on a pod. Written here, they replace those of `strategy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend(
        "maxItems" = 16,
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["topologyKey", "whenUnsatisfiable"]
    ))]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Name of a PriorityClass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = crate::schema::OPTIONAL_NAME_PATTERN))]
    pub priority_class_name: Option<String>,
    /// Name of a RuntimeClass, such as gvisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = crate::schema::OPTIONAL_NAME_PATTERN))]
    pub runtime_class_name: Option<String>,
    /// Name of the scheduler. Default: the cluster's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub scheduler_name: Option<String>,
    /// CPU and memory of the main container. The `resources` beside `placement` win over these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::resources")]
    pub resources: Option<ResourceRequirements>,
}

/// A ready-made way to spread pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PlacementStrategy {
    /// Spread over zones, rather one pod for a node.
    MultiZone,
    /// Spread over regions and zones, rather one pod for a node.
    MultiRegion,
    /// On nodes with the taint `dedicated`, rather one pod for a node.
    DedicatedNodes,
}
