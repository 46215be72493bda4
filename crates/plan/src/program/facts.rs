//! What is known of a program's workload in the cluster.

use std::collections::{BTreeMap, BTreeSet};

use prism_api::workload::WorkloadKind;

use super::quorum::Member;
use crate::scaling::ScalingFacts;

/// The workloads of one program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProgramFacts {
    /// Its Deployment, if it exists.
    pub deployment: Option<WorkloadFacts>,
    /// Its `StatefulSet`, if it exists.
    pub stateful_set: Option<WorkloadFacts>,
    /// Claims that are there for its pods, whether or not the `StatefulSet` is.
    pub volumes: Vec<VolumeFacts>,
    /// The pods of the `StatefulSet`, where its members vote.
    pub members: Vec<Member>,
    /// What is known of its scaling.
    pub scaling: ScalingFacts,
    /// Names of the storage classes of the cluster, where they are known.
    pub storage_classes: Option<BTreeSet<String>>,
}

impl ProgramFacts {
    /// The workload of that kind, if it exists.
    #[must_use]
    pub fn workload(&self, kind: WorkloadKind) -> Option<&WorkloadFacts> {
        match kind {
            WorkloadKind::Deployment => self.deployment.as_ref(),
            WorkloadKind::StatefulSet => self.stateful_set.as_ref(),
        }
    }

    /// The workload of that kind, or the one of the other kind that it takes the place of.
    #[must_use]
    pub fn running(&self, kind: WorkloadKind) -> Option<&WorkloadFacts> {
        self.workload(kind).or(self.workload(kind.other()))
    }
}

/// A workload as it is in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadFacts {
    /// Whether its controller has seen its current spec.
    pub is_observed: bool,
    /// `spec.replicas`.
    pub desired: i32,
    /// Pods that exist.
    pub replicas: i32,
    /// Pods that are ready.
    pub ready: i32,
    /// Pods that have been ready for long enough.
    pub available: i32,
    /// Pods of the current template.
    pub updated: i32,
    /// Revision of the current template, for a `StatefulSet`.
    pub update_revision: Option<String>,
    /// Its annotations of the group `prism.io`.
    pub notes: BTreeMap<String, String>,
    /// Why it is stuck, in its controller's words.
    pub failure: Option<String>,
    /// Its volume claim templates.
    pub claims: Vec<Claim>,
}

/// The claim of one pod's volume as it is in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeFacts {
    /// Its name.
    pub name: String,
    /// Size that it asks for, a Kubernetes quantity.
    pub size: String,
    /// Its storage class.
    pub storage_class: Option<String>,
    /// Whether it goes with the `StatefulSet`.
    pub is_owned: bool,
}

/// A volume claim template as it is in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Name of the template.
    pub name: String,
    /// Size, a Kubernetes quantity.
    pub size: String,
    /// Storage class, if one was asked for.
    pub storage_class: Option<String>,
    /// Access modes.
    pub access_modes: Vec<String>,
}
