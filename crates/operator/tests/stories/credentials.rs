//! Passwords that the operator has drawn: data is of no use without them.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::{PersistentVolumeClaim, Secret},
};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use prism_api::{
    PrismBackend,
    condition::{self, reason},
    labels,
};
use prism_plan::conditions::find;
use serde_json::{Value, json};

use crate::support::Story;

type Data = BTreeMap<String, ByteString>;

async fn serves(story: &Story, name: &str) -> Data {
    condition(story, name, condition::READY, "True", reason::WORKLOAD_READY).await;
    let secret: Secret = story.api().get(&secret_of(name)).await.unwrap();
    secret.data.unwrap()
}

/// Waits for the condition, and returns what it says.
async fn condition(story: &Story, name: &str, type_: &str, status: &str, reason: &str) -> String {
    let what = format!("backend {name} has {type_}={status}, {reason}");
    let found = |backend: &PrismBackend| {
        let conditions = backend.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
        find(&conditions, type_).filter(|c| c.status == status && c.reason == reason).cloned()
    };
    let check = |backend: &PrismBackend| {
        found(backend).map(drop).ok_or_else(|| format!("its status is {}", json!(backend.status)))
    };
    let backend: PrismBackend = story.object(name, &what, check).await;
    found(&backend).unwrap().message
}

async fn lost(story: &Story, name: &str) -> String {
    condition(story, name, condition::STALLED, "True", reason::CREDENTIALS_LOST).await
}

fn secret_of(name: &str) -> String {
    format!("{name}-credentials")
}

fn server(product: &str, storage: Option<&str>) -> Value {
    let provision = storage.map_or_else(|| json!({}), |storage| json!({"storage": storage}));
    json!({"type": product, "provision": provision})
}

/// The Secret from a backup that keeps its data alone.
fn backup(name: &str, data: &Data) -> Secret {
    let body = json!({"metadata": {"name": secret_of(name)}, "data": data});
    serde_json::from_value(body).unwrap()
}

async fn look(story: &Story, name: &str, now: &str) {
    let request = json!({"metadata": {"annotations": {labels::RECONCILE_REQUESTED_AT: now}}});
    story.merge::<PrismBackend>(name, request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_gone_is_never_drawn_anew_over_data_that_is_there() {
    let story = Story::begin("lost").await;
    story.put::<PrismBackend>("orders", server("postgres", Some("1Gi"))).await;
    story.put::<PrismBackend>("cache", server("redis", None)).await;
    let (orders, cache) = (serves(&story, "orders").await, serves(&story, "cache").await);
    let secrets = story.api::<Secret>();

    // Of a server with volumes, and of one that has its data in the pod.
    for name in ["orders", "cache"] {
        secrets.delete(&secret_of(name), &DeleteParams::default()).await.unwrap();
        let message = lost(&story, name).await;
        assert!(message.contains(&secret_of(name)) && message.contains("restore"), "{message}");
        assert!(secrets.get_opt(&secret_of(name)).await.unwrap().is_none(), "{name}: nothing was drawn");
    }

    // A backup has neither labels nor annotations; its owner agrees that it becomes the operator's.
    for (name, data) in [("orders", &orders), ("cache", &cache)] {
        story.create(&backup(name, data)).await;
        look(&story, name, "restored").await;
        let message = condition(&story, name, condition::STALLED, "True", reason::NAME_CONFLICT).await;
        assert!(message.contains("prism.io/adopt=true"), "{message}");
        story
            .merge::<Secret>(&secret_of(name), json!({"metadata": {"annotations": {labels::ADOPT: "true"}}}))
            .await;
        look(&story, name, "agreed").await;
        assert_eq!(&serves(&story, name).await, data, "{name}: it is the password of old");
    }

    // A new backend finds the volumes of an earlier one.
    story.api::<PrismBackend>().delete("orders", &DeleteParams::default()).await.unwrap();
    story.gone::<k8s_openapi::api::apps::v1::StatefulSet>("orders").await;
    secrets.delete(&secret_of("orders"), &DeleteParams::default()).await.unwrap();
    story.put::<PrismBackend>("orders", server("postgres", Some("1Gi"))).await;
    lost(&story, "orders").await;
    story.api::<PersistentVolumeClaim>().delete("data-orders-0", &DeleteParams::default()).await.unwrap();
    assert_ne!(
        serves(&story, "orders").await["password"],
        orders["password"],
        "without data, a new one is drawn"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_password_that_is_gone_is_named_also_after_a_restart() {
    let mut story = Story::begin("key").await;
    story.put::<PrismBackend>("orders", server("postgres", Some("1Gi"))).await;
    story.put::<PrismBackend>("bus", server("kafka", None)).await;
    let orders = serves(&story, "orders").await;
    let bus = serves(&story, "bus").await;
    let secrets = story.api::<Secret>();
    let take = async |name: &str, key: &str| {
        let patch = Patch::Merge(json!({"data": {key: null}}));
        secrets.patch(&secret_of(name), &PatchParams::default(), &patch).await.unwrap();
    };
    take("orders", "password").await;
    let message = lost(&story, "orders").await;
    assert!(message.contains("has no password"), "{message}");
    story.stop_operator().await;
    take("bus", "cluster-id").await;
    story.start_operator().await;
    let message = lost(&story, "bus").await;
    assert!(message.contains("has no cluster-id"), "{message}");

    for (name, data) in [("orders", &orders), ("bus", &bus)] {
        story.merge::<Secret>(&secret_of(name), json!({"data": data})).await;
        assert_eq!(&serves(&story, name).await, data);
    }

    // Whoever changes a password in the server and in the Secret is not overruled.
    story.merge::<Secret>(&secret_of("orders"), json!({"stringData": {"password": "canary"}})).await;
    look(&story, "orders", "changed").await;
    story
        .object("orders", "the request was served", |backend: &PrismBackend| {
            let handled =
                backend.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
            if handled == Some("changed") { Ok(()) } else { Err(format!("it is {handled:?}")) }
        })
        .await;
    let now: Secret = secrets.get(&secret_of("orders")).await.unwrap();
    assert_eq!(now.data.as_ref().unwrap()["password"].0, b"canary");
    let backend: PrismBackend = story.api().get("orders").await.unwrap();
    let told = json!([now.annotations(), backend.status]).to_string();
    assert!(!told.contains("canary"), "{told}");
}
