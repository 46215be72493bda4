//! Volumes.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{PersistentVolumeClaim, Pod},
    storage::v1::StorageClass,
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};
use prism_api::condition::{self, reason};
use serde_json::{Value, json};

use crate::support::Story;

fn stored(storage: impl Into<Value>, replicas: i32) -> Value {
    let storage = storage.into();
    json!({"pattern": "mailbox", "backend": "memstore", "replicas": replicas, "storage": storage})
}

async fn uids(story: &Story) -> BTreeMap<String, Option<String>> {
    let pods = story.api::<Pod>().list(&ListParams::default().labels("runner=mail")).await.unwrap();
    pods.into_iter().map(|pod| (pod.name_any(), pod.uid())).collect()
}

fn size(set: &StatefulSet) -> Option<String> {
    let claims = set.spec.as_ref()?.volume_claim_templates.as_ref()?;
    Some(claims.first()?.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")?.0.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_grow_and_no_pod_restarts() {
    let story = Story::begin("grow").await;
    story.apply("mail", stored(json!({"size": "1Gi"}), 3)).await;
    story.ready("mail").await;
    let before = uids(&story).await;
    assert_eq!(before.len(), 3);

    story.apply("mail", stored(json!({"size": "2Gi"}), 3)).await;
    for n in 0..3 {
        story
            .object(&format!("data-mail-{n}"), "the volume has grown", |claim: &PersistentVolumeClaim| {
                let capacity = claim.status.as_ref().and_then(|status| status.capacity.as_ref());
                let capacity =
                    capacity.and_then(|capacity| capacity.get("storage")).map(|size| size.0.as_str());
                if capacity == Some("2Gi") { Ok(()) } else { Err(format!("it has {capacity:?}")) }
            })
            .await;
    }
    story
        .object("mail", "the template has the new size", |set: &StatefulSet| {
            if size(set).as_deref() == Some("2Gi") { Ok(()) } else { Err(format!("it has {:?}", size(set))) }
        })
        .await;
    story.ready("mail").await;
    assert_eq!(uids(&story).await, before, "every pod is the one it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_volumes_cannot_do_is_refused_and_the_rest_is_done() {
    let story = Story::begin("shrink").await;
    story.apply("mail", stored(json!({"size": "2Gi"}), 1)).await;
    story.ready("mail").await;
    let before = uids(&story).await;

    story.apply("mail", stored(json!({"size": "1Gi"}), 2)).await;
    let pattern = story.condition("mail", condition::STALLED, "True", reason::STORAGE_SHRINK_REFUSED).await;
    let message = &prism_plan::conditions::find(crate::support::conditions(&pattern), condition::STALLED)
        .unwrap()
        .message;
    assert!(message.contains("spec.storage.size") && message.contains("2Gi"), "{message}");
    story
        .object("mail", "the replicas follow all the same", |set: &StatefulSet| {
            let replicas = set.spec.as_ref().and_then(|spec| spec.replicas);
            if replicas == Some(2) { Ok(()) } else { Err(format!("it has {replicas:?}")) }
        })
        .await;
    story.apply("mail", stored(json!({"size": "2Gi", "storageClass": "fast"}), 2)).await;
    story.condition("mail", condition::STALLED, "True", reason::STORAGE_CLASS_CHANGE_REFUSED).await;
    story.apply("mail", stored(json!({"size": "2Gi"}), 2)).await;
    story.ready("mail").await;
    let after = uids(&story).await;
    assert!(before.iter().all(|(name, uid)| after.get(name) == Some(uid)), "no pod was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_makes_a_deployment_a_stateful_set_and_volumes_outlive_it() {
    let story = Story::begin("stateful").await;
    story.apply("mail", json!({"pattern": "keyvalue", "backend": "memstore"})).await;
    story.ready("mail").await;
    story
        .apply("mail", json!({"pattern": "keyvalue", "backend": "memstore", "storage": {"size": "1Gi"}}))
        .await;
    story.gone::<Deployment>("mail").await;
    story.ready("mail").await;
    story.object("data-mail-0", "there is a volume", |_: &PersistentVolumeClaim| Ok(())).await;

    story.apply("mail", json!({"pattern": "keyvalue", "backend": "memstore", "kind": "StatefulSet"})).await;
    story
        .object("mail", "the StatefulSet has no volumes any more", |set: &StatefulSet| {
            if size(set).is_none() { Ok(()) } else { Err("it has".to_owned()) }
        })
        .await;
    story.ready("mail").await;
    story.object("data-mail-0", "the data is kept", |_: &PersistentVolumeClaim| Ok(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_does_not_let_volumes_grow_is_named() {
    let story = Story::begin("rigid").await;
    let class: StorageClass = serde_json::from_value(json!({
        "metadata": {"name": format!("rigid-of-{}", story.namespace.name())},
        "provisioner": "testbed.prism.io/volumes", "allowVolumeExpansion": false,
    }))
    .unwrap();
    let classes: Api<StorageClass> = Api::all(story.bed.client());
    let class = classes.create(&PostParams::default(), &class).await.unwrap().name_any();
    story.apply("mail", stored(json!({"size": "1Gi", "storageClass": class}), 1)).await;
    story.ready("mail").await;
    let before = uids(&story).await;
    story.apply("mail", stored(json!({"size": "2Gi", "storageClass": class}), 1)).await;
    story.condition("mail", condition::STALLED, "True", reason::STORAGE_CLASS_NOT_EXPANDABLE).await;
    assert_eq!(uids(&story).await, before, "nothing was torn down");
    story.apply("mail", stored(json!({"size": "1Gi", "storageClass": class}), 1)).await;
    story.ready("mail").await;
}
