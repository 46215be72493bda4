//! What is kept of an object in the cluster: about a hundred bytes.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::{
    Resource,
    core::{ApiResource, DynamicResourceScope, PartialObjectMeta},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{digest::Digest, foreign::is_extended};

/// The parts of any object that the engine decodes; everything else in the JSON is skipped.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Live {
    /// Standard metadata, managed fields included.
    #[serde(default, deserialize_with = "crate::decode::metadata")]
    pub metadata: ObjectMeta,
    /// Desired state, where the kind is a workload.
    #[serde(default)]
    pub spec: LiveSpec,
    /// Observed state, where the kind is a workload.
    #[serde(default)]
    pub status: LiveStatus,
}

/// The parts of a workload's spec that decisions depend on.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiveSpec {
    replicas: Option<i32>,
    volume_claim_templates: Vec<LiveClaim>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct LiveClaim {
    metadata: ObjectMeta,
    spec: LiveClaimSpec,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct LiveClaimSpec {
    access_modes: Vec<String>,
    resources: LiveClaimResources,
    storage_class_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct LiveClaimResources {
    requests: BTreeMap<String, String>,
}

/// The parts of a workload's status that reports depend on.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiveStatus {
    observed_generation: i64,
    replicas: i32,
    ready_replicas: i32,
    available_replicas: i32,
    updated_replicas: i32,
    update_revision: Option<String>,
    conditions: Vec<LiveCondition>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct LiveCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
}

impl Resource for Live {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }
    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }
    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }
    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl From<PartialObjectMeta<Live>> for Live {
    fn from(partial: PartialObjectMeta<Live>) -> Self {
        Self { metadata: partial.metadata, ..Self::default() }
    }
}

/// Replica counts and claims of a Deployment or `StatefulSet`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadState {
    /// Whether the workload's own controller has seen the current spec.
    pub is_observed: bool,
    /// `spec.replicas`: what its owner, or an autoscaler, asks for.
    pub desired: i32,
    /// Pods that exist.
    pub replicas: i32,
    /// Pods whose readiness probe passes.
    pub ready: i32,
    /// Pods ready for `minReadySeconds`.
    pub available: i32,
    /// Pods of the current template.
    pub updated: i32,
    /// Revision of the current template, for a `StatefulSet`.
    pub update_revision: Option<String>,
    /// Annotations of the operator's own.
    pub notes: BTreeMap<String, String>,
    /// Why pods cannot be made or a rollout is stuck, in the words of the workload's controller.
    pub failure: Option<String>,
    /// Volume claim templates, in order.
    pub claims: Vec<Claim>,
}

/// One volume claim template of a live `StatefulSet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Name of the template.
    pub name: String,
    /// Requested size, a Kubernetes quantity.
    pub size: String,
    /// Storage class; `None` means the cluster's default at the time of creation.
    pub storage_class: Option<String>,
    /// Access modes.
    pub access_modes: Vec<String>,
}

impl Live {
    /// Replica counts and claims, and the annotations whose keys begin with `notes`.
    #[must_use]
    pub fn workload(&self, notes: &str) -> WorkloadState {
        let status = &self.status;
        let annotations = self.metadata.annotations.iter().flatten();
        let notes = annotations.filter(|(key, _)| key.starts_with(notes));
        WorkloadState {
            is_observed: status.observed_generation >= self.metadata.generation.unwrap_or_default(),
            desired: self.spec.replicas.unwrap_or(1),
            replicas: status.replicas,
            ready: status.ready_replicas,
            available: status.available_replicas,
            updated: status.updated_replicas,
            update_revision: status.update_revision.clone(),
            notes: notes.map(|(key, value)| (key.clone(), value.clone())).collect(),
            failure: status.conditions.iter().find_map(LiveCondition::failure),
            claims: self.spec.volume_claim_templates.iter().map(Claim::from).collect(),
        }
    }

    /// Whether the condition `Ready` is true: of a pod.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True")
    }

    /// `metadata.resourceVersion` as a number: comparable within one kind (KEP-5504).
    #[must_use]
    pub fn version(&self) -> u64 {
        self.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> Arc<str> {
        self.metadata.uid.as_deref().unwrap_or_default().into()
    }

    /// Whether others than `manager` own more of the spec.
    #[must_use]
    pub(crate) fn is_extended(&self, manager: &str) -> bool {
        is_extended(self.metadata.managed_fields.as_deref().unwrap_or_default(), manager)
    }

    /// Which fields `manager` owns by server-side apply, and since when: an apply that changes no more than
    /// values, under the name of `manager` and by somebody else, moves the time.
    #[must_use]
    pub fn ownership(&self, manager: &str) -> Ownership {
        let entries = self.metadata.managed_fields.as_deref().unwrap_or_default();
        let Some((entry, fields)) = entries
            .iter()
            .find(|entry| is_applied_by(entry, manager))
            .and_then(|entry| Some((entry, entry.fields_v1.as_ref()?)))
        else {
            return Ownership::default();
        };
        let mut fields = fields.0.clone();
        let replicas = take_replicas(&mut fields).is_some();
        let since = entry.time.as_ref().map(|time| time.0.to_string());
        Ownership { fields: Some(Digest::of(&json!([fields, since]))), replicas, is_extended: false }
    }
}

impl LiveCondition {
    /// The two conditions by which a Deployment says that it is stuck.
    fn failure(&self) -> Option<String> {
        let is_stuck = self.kind == "Progressing" && self.status == "False";
        let cannot_make_pods = self.kind == "ReplicaFailure" && self.status == "True";
        (is_stuck || cannot_make_pods)
            .then(|| self.message.clone().or_else(|| self.reason.clone()).unwrap_or_default())
    }
}

impl From<&LiveClaim> for Claim {
    fn from(claim: &LiveClaim) -> Self {
        Self {
            name: claim.metadata.name.clone().unwrap_or_default(),
            size: claim.spec.resources.requests.get("storage").cloned().unwrap_or_default(),
            storage_class: claim.spec.storage_class_name.clone(),
            access_modes: claim.spec.access_modes.clone(),
        }
    }
}

/// What one field manager owns of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Fingerprint of the owned fields, `spec.replicas` left out, and of the time of the last apply that
    /// changed any; `None`: owns nothing.
    pub fields: Option<Digest>,
    /// Whether `spec.replicas` is owned as well.
    pub replicas: bool,
    /// Whether others have added to the spec, although all of that is its owner's to say: so it is with owners
    /// that are children themselves.
    pub is_extended: bool,
}

/// Whether `entry` records a server-side apply of the main resource by `manager`.
pub(crate) fn is_applied_by(entry: &ManagedFieldsEntry, manager: &str) -> bool {
    entry.manager.as_deref() == Some(manager)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

/// Removes `spec.replicas` from a `fieldsV1` tree, and returns it if it was there.
pub(crate) fn take_replicas(fields: &mut Value) -> Option<Value> {
    fields.get_mut("f:spec")?.as_object_mut()?.remove("f:replicas")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(fields: &Value) -> Live {
        serde_json::from_value(json!({
            "metadata": {"managedFields": [
                {"manager": "us", "operation": "Apply", "fieldsV1": fields},
                {"manager": "us", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {}}},
                {"manager": "them", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            ]},
            "spec": {"template": {"ignored": true}},
        }))
        .unwrap()
    }

    #[test]
    fn owning_replicas_is_told_apart_from_owning_the_rest() {
        let with = deployment(&json!({"f:spec": {"f:replicas": {}, "f:template": {}}})).ownership("us");
        let without = deployment(&json!({"f:spec": {"f:template": {}}})).ownership("us");
        assert_eq!(with.fields, without.fields);
        assert!(with.replicas);
        assert!(!without.replicas);
    }

    #[test]
    fn an_apply_under_our_name_that_changes_values_alone_is_seen_by_its_time() {
        let at = |time: &str| {
            let entry =
                json!({"manager": "us", "operation": "Apply", "time": time, "fieldsV1": {"f:data": {}}});
            serde_json::from_value::<Live>(json!({"metadata": {"managedFields": [entry]}}))
                .unwrap()
                .ownership("us")
        };
        assert_eq!(at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"));
        assert_ne!(at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:01Z"));
    }

    #[test]
    fn a_manager_that_never_applied_owns_nothing() {
        assert_eq!(deployment(&json!({})).ownership("them"), Ownership::default());
    }
}
