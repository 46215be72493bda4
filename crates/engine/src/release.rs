//! Letting go of `spec.replicas` without writing it.
//!
//! Server-side apply resets a field that its last owner no longer mentions: a workload that goes
//! from fixed replicas to an autoscaler would fall to one pod until the autoscaler has spoken
//! (kubernetes/kubernetes#67135). So before the first apply without the field, its ownership is
//! moved to a second manager, by editing the managed fields alone: the number itself is never
//! sent, hence never raced. The autoscaler's first write takes the field over from there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{
    Engine,
    error::Error,
    live::{is_applied_by, take_replicas},
    object::ObjectKey,
};

/// Suffix of the manager that holds replicas until an autoscaler writes them.
pub(crate) const SUFFIX: &str = "-replicas";

impl Engine {
    pub(crate) async fn release_replicas(&self, key: &ObjectKey) -> Result<(), Error> {
        let api = self.api(key);
        let failed = |error: kube::Error| Error::of_write(key, &error);
        let mut live = api.get(&key.name).await.map_err(failed)?;
        let manager = self.ledger.manager();
        let entries = live.metadata.managed_fields.take().unwrap_or_default();
        let Some(entries) = hand_over(entries, manager, &format!("{manager}{SUFFIX}")) else {
            return Ok(());
        };
        let patch = json!({"metadata": {
            "uid": live.metadata.uid,
            "resourceVersion": live.metadata.resource_version,
            "managedFields": entries,
        }});
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        let live = api.patch(&key.name, &params, &Patch::Merge(&patch)).await.map_err(failed)?;
        self.ledger.record(key, &live);
        Ok(())
    }
}

/// The same entries with `spec.replicas` moved from `from` to `to`; `None` if `from` does not own it.
fn hand_over(mut entries: Vec<ManagedFieldsEntry>, from: &str, to: &str) -> Option<Vec<ManagedFieldsEntry>> {
    let giver = entries.iter_mut().find(|entry| is_applied_by(entry, from))?;
    let replicas = take_replicas(&mut giver.fields_v1.as_mut()?.0)?;
    let taker = ManagedFieldsEntry {
        manager: Some(to.to_owned()),
        fields_v1: Some(FieldsV1(json!({"f:spec": {"f:replicas": replicas}}))),
        ..giver.clone()
    };
    entries.retain(|entry| !is_applied_by(entry, to));
    entries.push(taker);
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, fields: serde_json::Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            operation: Some("Apply".to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }
    }

    #[test]
    fn replicas_move_and_nothing_else_does() {
        let before = vec![entry("us", json!({"f:spec": {"f:replicas": {}, "f:template": {}}}))];
        let after = hand_over(before, "us", "us-replicas").unwrap();
        assert_eq!(
            after,
            vec![
                entry("us", json!({"f:spec": {"f:template": {}}})),
                entry("us-replicas", json!({"f:spec": {"f:replicas": {}}})),
            ]
        );
    }

    #[test]
    fn nothing_is_handed_over_when_an_autoscaler_owns_them_already() {
        let entries = vec![entry("us", json!({"f:spec": {"f:template": {}}}))];
        assert_eq!(hand_over(entries, "us", "us-replicas"), None);
    }
}
