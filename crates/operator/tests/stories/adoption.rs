//! What somebody else has made.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service, networking::v1::Ingress};
use kube::{ResourceExt, api::DeleteParams};
use prism_api::{PrismStack, condition, condition::reason};
use prism_plan::conditions::find;
use serde_json::{Value, json};

use crate::support::Story;

fn service() -> Service {
    serde_json::from_value(json!({
        "metadata": {"name": "shop-proxy", "labels": {"app": "prism-proxy"}},
        "spec": {"selector": {"app": "prism-proxy"}, "ports": [{"name": "grpc", "port": 9090, "targetPort": 1234}]},
    }))
    .unwrap()
}

fn deployment(selector: &Value) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "shop-proxy", "labels": {"app": "prism-proxy"}},
        "spec": {
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": selector},
                "spec": {"containers": [{"name": "proxy", "image": "registry.example.com/proxy:1",
                    "env": [{"name": "TOKEN", "value": "canary-in-a-variable"}]}]},
            },
        },
    }))
    .unwrap()
}

async fn conflict(story: &Story) -> String {
    let stack = story.stack_condition("shop", condition::STALLED, "True", reason::NAME_CONFLICT).await;
    find(&stack.status.unwrap().conditions, condition::STALLED).unwrap().message.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_carries_our_label_is_taken_over_after_its_owner_has_seen_what_changes() {
    let story = Story::begin("adoption").await;
    let found = story.create(&service()).await;
    story.put::<PrismStack>("shop", json!({})).await;
    let message = conflict(&story).await;
    assert!(message.contains("spec.ports") && message.contains("prism.io/adopt=true"), "{message}");
    let now: Service = story.api().get("shop-proxy").await.unwrap();
    assert_eq!(now.resource_version(), found.resource_version(), "nothing was touched");

    story
        .merge::<Service>("shop-proxy", json!({"metadata": {"annotations": {"prism.io/adopt": "true"}}}))
        .await;
    // A stalled stack looks rarely: an edit makes it look now.
    story
        .merge::<PrismStack>("shop", json!({"metadata": {"annotations": {"example.com/look": "now"}}}))
        .await;
    story.stack_ready("shop").await;
    let now: Service = story.api().get("shop-proxy").await.unwrap();
    assert_eq!(now.uid(), found.uid(), "it is the same object");
    assert_eq!(json!(now.spec.unwrap().ports.unwrap()[0].target_port), json!("grpc"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_change_in_place_is_named_and_left_alone() {
    let story = Story::begin("immutable").await;
    let found = story.create(&deployment(&json!({"app": "prism-proxy"}))).await;
    story
        .put::<PrismStack>(
            "shop",
            json!({"patterns": [{"name": "cache", "type": "keyvalue", "backend": "memstore"}]}),
        )
        .await;
    let message = conflict(&story).await;
    assert!(
        message.contains("spec.selector") && message.contains("cannot be taken over in place"),
        "{message}"
    );
    assert!(!message.contains("canary"), "{message}");
    let now: Deployment = story.api().get("shop-proxy").await.unwrap();
    assert_eq!(now.metadata.generation, found.metadata.generation, "nothing was touched");

    story.api::<Deployment>().delete("shop-proxy", &DeleteParams::background()).await.unwrap();
    // The operator looks again within a minute or so: an edit makes it look now.
    story
        .merge::<PrismStack>("shop", json!({"metadata": {"annotations": {"example.com/look": "now"}}}))
        .await;
    story.stack_ready("shop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_fits_is_taken_over_with_consent_and_keeps_its_identity() {
    let story = Story::begin("fits").await;
    let selector = json!({
        "prism.io/stack": "shop", "prism.io/component": "proxy", "prism.io/workload-kind": "Deployment",
    });
    let mut ours = deployment(&selector);
    ours.metadata.annotations = Some([("prism.io/adopt".to_owned(), "true".to_owned())].into());
    let found = story.create(&ours).await;
    story.put::<PrismStack>("shop", json!({})).await;
    story.stack_ready("shop").await;
    let now: Deployment = story.api().get("shop-proxy").await.unwrap();
    assert_eq!(now.uid(), found.uid(), "it is the same object");
    assert_eq!(now.owner_references()[0].kind, "PrismStack");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_with_the_same_spec_keeps_its_annotations_until_its_owner_agrees() {
    const BODY_SIZE: &str = "nginx.ingress.kubernetes.io/proxy-body-size";
    let story = Story::begin("ingress").await;
    let path = json!({
        "path": "/", "pathType": "Prefix",
        "backend": {"service": {"name": "shop-proxy", "port": {"number": 9090}}},
    });
    let ingress: Ingress = serde_json::from_value(json!({
        "metadata": {
            "name": "shop-proxy", "labels": {"app": "prism-stack"}, "annotations": {BODY_SIZE: "canary-64m"},
        },
        "spec": {"ingressClassName": "nginx", "rules": [{"host": "shop.example.com", "http": {"paths": [path]}}]},
    }))
    .unwrap();
    let found = story.create(&ingress).await;
    let wish = json!({"host": "shop.example.com", "className": "nginx", "annotations": {BODY_SIZE: "8m"}});
    let spec = json!({"admin": {"enabled": false}, "ingress": wish});
    story.put::<PrismStack>("shop", spec).await;
    let message = conflict(&story).await;
    let named =
        [&format!("metadata.annotations.{BODY_SIZE}"), "metadata.ownerReferences", "prism.io/adopt=true"];
    assert!(named.iter().all(|name| message.contains(*name)), "{message}");
    assert!(!message.contains("canary") && !message.contains(" spec."), "{message}");
    let now: Ingress = story.api().get("shop-proxy").await.unwrap();
    assert_eq!(now.resource_version(), found.resource_version(), "nothing was touched");

    let consent = json!({"metadata": {"annotations": {"prism.io/adopt": "true"}}});
    story.merge::<Ingress>("shop-proxy", consent).await;
    // A stalled stack looks rarely: an edit makes it look now.
    story
        .merge::<PrismStack>("shop", json!({"metadata": {"annotations": {"example.com/look": "now"}}}))
        .await;
    story.stack_ready("shop").await;
    let now: Ingress = story.api().get("shop-proxy").await.unwrap();
    assert_eq!(now.uid(), found.uid(), "it is the same object");
    assert_eq!(now.annotations()[BODY_SIZE], "8m");
    assert_eq!(now.owner_references()[0].kind, "PrismStack");
}
