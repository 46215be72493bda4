//! What somebody writes on an object about whose it is grants nothing.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use prism_api::{PrismPattern, PrismStack, condition, condition::reason};
use prism_plan::conditions::find;
use serde_json::{Value, json};

use crate::{support::Story, world::World};

/// A pattern that says that it belongs to `stack`, by every mark there is.
async fn junk(world: &World, namespace: &str, stack: &PrismStack) {
    let owner = format!("PrismStack/shop/main/{}", stack.uid().unwrap());
    let pattern = json!({
        "apiVersion": "prism.io/v1alpha1", "kind": "PrismPattern",
        "metadata": {
            "name": "junk",
            "annotations": {"prism.io/owned-by": owner},
            "labels": {"prism.io/stack": "main", "app.kubernetes.io/managed-by": "prism-operator"},
        },
        "spec": {"pattern": "keyvalue", "backend": "memstore"},
    });
    let api = world.api::<PrismPattern>(namespace);
    api.patch("junk", &PatchParams::apply("tenant").force(), &Patch::Apply(&pattern)).await.unwrap();
    world
        .see("tenant", "junk", "is looked after", |pattern: Option<&PrismPattern>| {
            pattern.is_some_and(|pattern| pattern.status.is_some())
        })
        .await;
}

async fn stack(world: &World, what: &str, is_so: impl Fn(&PrismStack) -> bool) {
    world.see("shop", "main", what, |stack: Option<&PrismStack>| stack.is_some_and(&is_so)).await;
}

fn has(stack: &PrismStack, type_: &str, reason: &str) -> bool {
    let status = stack.status.clone().unwrap_or_default();
    status.observed_generation == stack.metadata.generation
        && find(&status.conditions, type_).is_some_and(|condition| condition.reason == reason)
}

fn spec(image: &str) -> Value {
    json!({"approval": "Manual", "proxy": {"enabled": false}, "admin": {"image": image}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_mark_is_in_no_plan_and_holds_up_neither_approval_nor_deletion() {
    let world = World::begin().await;
    world.namespace("shop", None).await;
    world.namespace("tenant", None).await;
    world.put::<PrismStack>("shop", "main", spec("admin:1")).await;
    stack(&world, "is ready", |stack| has(stack, condition::READY, reason::ALL_READY)).await;
    let victim = world.api::<PrismStack>("shop").get("main").await.unwrap();
    junk(&world, "tenant", &victim).await;

    world.put::<PrismStack>("shop", "main", spec("admin:2")).await;
    stack(&world, "waits for approval", |stack| {
        has(stack, condition::RECONCILING, reason::APPROVAL_REQUIRED)
    })
    .await;
    let status = world.api::<PrismStack>("shop").get("main").await.unwrap().status.unwrap();
    let objects: Vec<_> = status.plan.iter().map(|action| action.object.as_str()).collect();
    assert_eq!(objects, ["StatefulSet main-admin"], "the plan is about the admin alone");
    let known = json!([status.inventory, status.patterns]).to_string();
    assert!(!known.contains("junk"), "{known}");
    let approval = json!({"metadata": {"annotations": {"prism.io/approved-plan": status.plan_hash}}});
    let api = world.api::<PrismStack>("shop");
    api.patch("main", &PatchParams::default(), &Patch::Merge(&approval)).await.unwrap();
    stack(&world, "has carried it out", |stack| {
        stack.status.as_ref().is_some_and(|status| status.plan.is_empty())
            && has(stack, condition::READY, reason::ALL_READY)
    })
    .await;

    // Whoever may write an annotation has nothing deleted by it, and holds up no deletion.
    api.delete("main", &DeleteParams::default()).await.unwrap();
    world.see("shop", "main", "is gone", |stack: Option<&PrismStack>| stack.is_none()).await;
    let left = world.api::<PrismPattern>("tenant").get("junk").await.unwrap();
    assert_eq!(left.metadata.deletion_timestamp, None, "the pattern of the tenant is the tenant's affair");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_under_the_name_of_the_operator_is_repaired_like_any_other() {
    let story = Story::begin("impostor").await;
    story
        .apply(
            "web",
            json!({"pattern": "keyvalue", "backend": "memstore", "image": "registry.example.com/a:1"}),
        )
        .await;
    story.ready("web").await;
    // The time of an apply is told in seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut body = json!(story.api::<Deployment>().get("web").await.unwrap());
    for gone in ["managedFields", "resourceVersion", "generation", "creationTimestamp"] {
        body["metadata"].as_object_mut().unwrap().remove(gone);
    }
    body.as_object_mut().unwrap().remove("status");
    body["apiVersion"] = json!("apps/v1");
    body["kind"] = json!("Deployment");
    body["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.example.com/evil:1");
    let params = PatchParams::apply("prism-operator").force();
    story.api::<Deployment>().patch("web", &params, &Patch::Apply(&body)).await.unwrap();
    story
        .object("web", "runs its own image again", |deployment: &Deployment| {
            let spec = deployment.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
            match spec.containers[0].image.as_deref() {
                Some("registry.example.com/a:1") => Ok(()),
                other => Err(format!("it runs {other:?}")),
            }
        })
        .await;
}
