//! Volumes without disks: claims of our storage class are bound, grown and cleaned up after.
//!
//! Plays the external provisioner and resizer of a real cluster, so that the controllers of Kubernetes
//! do everything else themselves: binding, protection, releasing.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{
    HostPathVolumeSource, ObjectReference, PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::error::Result;

/// Name of the default storage class.
pub const STORAGE_CLASS: &str = "standard";
/// Provisioner of that class; other classes may name it, too.
pub const PROVISIONER: &str = "testbed.prism.io/volumes";

/// On a claim: who is to provision it. The controller manager sets it when the time has come.
const ASKED: &str = "volume.kubernetes.io/storage-provisioner";
/// On a volume: who has provisioned it, and so has to delete it.
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// Pause after a failure, the API server's or ours.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Creates the default storage class: `Immediate` binding, volumes that may grow.
pub async fn create_storage_class(client: &Client) -> Result<()> {
    let default = ("storageclass.kubernetes.io/is-default-class".to_owned(), "true".to_owned());
    let class = StorageClass {
        metadata: ObjectMeta {
            name: Some(STORAGE_CLASS.to_owned()),
            annotations: Some([default].into()),
            ..ObjectMeta::default()
        },
        provisioner: PROVISIONER.to_owned(),
        allow_volume_expansion: Some(true),
        reclaim_policy: Some("Delete".to_owned()),
        volume_binding_mode: Some("Immediate".to_owned()),
        ..StorageClass::default()
    };
    Api::all(client.clone()).create(&PostParams::default(), &class).await?;
    Ok(())
}

/// Body of `testbed volumes`: serves all claims and volumes, for ever.
pub async fn serve(client: Client) {
    let claims = async {
        let all: Api<PersistentVolumeClaim> = Api::all(client.clone());
        let changes = watcher(all, watcher::Config::default()).default_backoff().applied_objects();
        let mut changes = pin!(changes);
        while let Some(change) = changes.next().await {
            if let Ok(claim) = change {
                retried("claim", &claim.name_any(), async || serve_claim(&client, &claim).await).await;
            }
        }
    };
    let volumes = async {
        let all: Api<PersistentVolume> = Api::all(client.clone());
        let changes = watcher(all.clone(), watcher::Config::default()).default_backoff().applied_objects();
        let mut changes = pin!(changes);
        while let Some(change) = changes.next().await {
            if let Ok(volume) = change
                && is_to_be_deleted(&volume)
            {
                let name = volume.name_any();
                retried("volume", &name, async || delete(&all, &name).await).await;
            }
        }
    };
    tokio::join!(claims, volumes);
}

/// Tries once more when the first attempt fails; after that the next change of the object counts.
async fn retried(kind: &str, name: &str, attempt: impl AsyncFn() -> Result<(), kube::Error>) {
    for _ in 0..2 {
        match attempt().await {
            Ok(()) => return,
            Err(error) => tracing::warn!(kind, name, %error, "will try again"),
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

async fn serve_claim(client: &Client, claim: &PersistentVolumeClaim) -> Result<(), kube::Error> {
    let asked = claim.annotations().get(ASKED).is_some_and(|provisioner| provisioner == PROVISIONER);
    if !asked || claim.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    match claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()) {
        None | Some("") => provision(client, claim).await,
        Some(volume) => grow(client, claim, volume).await,
    }
}

/// Creates the volume, addressed to the claim; the controller manager binds the two.
async fn provision(client: &Client, claim: &PersistentVolumeClaim) -> Result<(), kube::Error> {
    let Some(spec) = &claim.spec else { return Ok(()) };
    let (Some(uid), Some(size)) = (claim.uid(), requested(claim)) else {
        return Ok(());
    };
    let classes: Api<StorageClass> = Api::all(client.clone());
    let class = classes.get_opt(spec.storage_class_name.as_deref().unwrap_or_default()).await?;
    let volume = PersistentVolume {
        metadata: ObjectMeta {
            name: Some(format!("pvc-{uid}")),
            annotations: Some([(PROVISIONED_BY.to_owned(), PROVISIONER.to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeSpec {
            access_modes: spec.access_modes.clone(),
            capacity: Some(capacity(size)),
            claim_ref: Some(ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("PersistentVolumeClaim".to_owned()),
                namespace: claim.namespace(),
                name: claim.metadata.name.clone(),
                uid: Some(uid.clone()),
                ..ObjectReference::default()
            }),
            host_path: Some(HostPathVolumeSource { path: format!("/var/lib/testbed/{uid}"), type_: None }),
            persistent_volume_reclaim_policy: class.and_then(|class| class.reclaim_policy),
            storage_class_name: spec.storage_class_name.clone(),
            volume_mode: spec.volume_mode.clone(),
            ..PersistentVolumeSpec::default()
        }),
        ..PersistentVolume::default()
    };
    match Api::all(client.clone()).create(&PostParams::default(), &volume).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        created => created.map(drop),
    }
}

/// Follows a claim that asks for more than it has: first the volume, then what the claim reports.
async fn grow(client: &Client, claim: &PersistentVolumeClaim, volume: &str) -> Result<(), kube::Error> {
    let status = claim.status.as_ref();
    let has = status.and_then(|status| status.capacity.as_ref()?.get("storage"));
    let (Some(has), Some(wants)) = (has, requested(claim)) else {
        return Ok(());
    };
    if has == &wants {
        return Ok(());
    }
    let merge = PatchParams::default();
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let patch = json!({ "spec": { "capacity": capacity(wants.clone()) } });
    volumes.patch(volume, &merge, &Patch::Merge(patch)).await?;
    let claims: Api<PersistentVolumeClaim> =
        Api::namespaced(client.clone(), &claim.namespace().unwrap_or_default());
    let patch = json!({ "status": { "capacity": capacity(wants), "conditions": null } });
    claims.patch_status(&claim.name_any(), &merge, &Patch::Merge(patch)).await?;
    Ok(())
}

async fn delete(volumes: &Api<PersistentVolume>, name: &str) -> Result<(), kube::Error> {
    match volumes.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        deleted => deleted.map(drop),
    }
}

/// Whether the claim of one of our volumes is gone and nobody asked to keep the data.
fn is_to_be_deleted(volume: &PersistentVolume) -> bool {
    let ours = volume.annotations().get(PROVISIONED_BY).is_some_and(|by| by == PROVISIONER);
    let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
    ours && policy == Some("Delete")
        && phase == Some("Released")
        && volume.metadata.deletion_timestamp.is_none()
}

fn requested(claim: &PersistentVolumeClaim) -> Option<Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage").cloned()
}

fn capacity(size: Quantity) -> BTreeMap<String, Quantity> {
    [("storage".to_owned(), size)].into()
}
