//! Patterns that live where their backend lives.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{Namespace, Secret},
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use prism_api::{PrismBackend, PrismPattern, PrismStack, condition, condition::reason};
use prism_plan::conditions::{find, is_true};
use serde_json::{Value, json};

use crate::world::World;

const PASSWORD: &str = "canary-of-the-other-namespace";

fn spec() -> Value {
    json!({
        "backends": [{
            "name": "main-db", "type": "postgres",
            "serviceRef": {"name": "postgres", "namespace": "data-postgres"},
            "secretRef": {"name": "postgres-credentials", "namespace": "data-postgres"},
            "dataLocality": {"strategy": "collocate", "namespace": "data-postgres"},
        }],
        "patterns": [
            {"name": "orders", "type": "consumer", "backend": "main-db", "replicas": 2},
            {"name": "cache", "type": "keyvalue", "backend": "memstore"},
        ],
    })
}

async fn stack_with(world: &World, type_: &'static str, status: &'static str, reason: &'static str) {
    let what = format!("has {type_}={status}, {reason}");
    world
        .see("shop", "main", &what, |stack: Option<&PrismStack>| {
            let status_now = stack.and_then(|stack| stack.status.clone()).unwrap_or_default();
            status_now.observed_generation == stack.and_then(|stack| stack.metadata.generation)
                && find(&status_now.conditions, type_)
                    .is_some_and(|c| c.status == status && c.reason == reason)
        })
        .await;
}

async fn allow(world: &World, annotation: Option<&str>) {
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let patch = json!({"metadata": {
        "labels": {"prism.io/backend-type": "postgres"},
        "annotations": {"prism.io/allowed-namespaces": annotation},
    }});
    namespaces.patch("data-postgres", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_move_to_their_backend_when_its_namespace_consents_and_never_before() {
    let world = World::begin().await;
    world.namespace("shop", None).await;
    world.namespace("data-postgres", None).await;
    world.backend_service("data-postgres", "postgres", "postgres:5432", 5432).await;
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "postgres-credentials"}, "stringData": {"username": "prism", "password": PASSWORD},
    }))
    .unwrap();
    world.api::<Secret>("data-postgres").create(&PostParams::default(), &secret).await.unwrap();

    // Without consent, nothing is made there, and everything else runs.
    let start = world.mark();
    world.put::<PrismStack>("shop", "main", spec()).await;
    stack_with(&world, condition::STALLED, "True", reason::REF_NOT_PERMITTED).await;
    let is_refused = |pattern: Option<&PrismPattern>| {
        let status = pattern.and_then(|pattern| pattern.status.clone()).unwrap_or_default();
        find(&status.conditions, condition::BACKEND_RESOLVED)
            .is_some_and(|c| c.reason == reason::REF_NOT_PERMITTED)
    };
    world.see("shop", "main-orders", "says that it may not use the backend", is_refused).await;
    let is_held = |pattern: Option<&PrismPattern>| {
        let status = pattern.and_then(|pattern| pattern.status.clone()).unwrap_or_default();
        find(&status.conditions, condition::STALLED).is_some_and(|c| c.reason == reason::REF_NOT_PERMITTED)
    };
    let is_ready = |pattern: Option<&PrismPattern>| {
        pattern.and_then(|p| p.status.as_ref()).is_some_and(|s| is_true(&s.conditions, condition::READY))
    };
    world.see("shop", "main-cache", "is Ready", is_ready).await;
    let reaches = |name: &str| world.writes_since(start).iter().any(|write| write.namespace == name);
    assert!(!reaches("data-postgres"), "nothing was written where nobody had consented");

    // Consent that is meant for others is none.
    allow(&world, Some("somebody-else")).await;
    world.put::<PrismStack>("shop", "main", spec()).await;
    stack_with(&world, condition::STALLED, "True", reason::REF_NOT_PERMITTED).await;
    assert!(!reaches("data-postgres"));

    // With consent, the pattern and its backend move.
    allow(&world, Some("shop, another")).await;
    stack_with(&world, condition::READY, "True", reason::ALL_READY).await;
    world.see("data-postgres", "main-orders", "is Ready", is_ready).await;
    world.see("shop", "main-orders", "has left", |pattern: Option<&PrismPattern>| pattern.is_none()).await;
    let runner: StatefulSet = world.api("data-postgres").get("main-orders").await.unwrap();
    let env = runner.spec.unwrap().template.spec.unwrap().containers.remove(0).env.unwrap();
    let env = json!(env);
    let variable =
        |name: &str| env.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!(variable("POSTGRES_PASSWORD")["valueFrom"]["secretKeyRef"]["name"], "postgres-credentials");
    assert_eq!(variable("DATABASE_URL")["value"], "postgres://postgres.data-postgres.svc:5432");
    assert_eq!(variable("PROXY_ENDPOINT")["value"], "main-proxy.shop.svc:9090");

    // A hand in the other namespace is repaired like one at home.
    world
        .api::<StatefulSet>("data-postgres")
        .delete("main-orders", &DeleteParams::background())
        .await
        .unwrap();
    world.see("data-postgres", "main-orders", "runs again", |set: Option<&StatefulSet>| set.is_some()).await;
    world.api::<PrismPattern>("data-postgres").delete("main-orders", &DeleteParams::default()).await.unwrap();
    stack_with(&world, condition::READY, "True", reason::ALL_READY).await;
    world.see("data-postgres", "main-orders", "is Ready", is_ready).await;

    // Consent that is withdrawn stops nothing that runs, and changes nothing: not by an edit, not by a hand.
    let before: StatefulSet = world.api("data-postgres").get("main-orders").await.unwrap();
    allow(&world, Some("nobody")).await;
    stack_with(&world, condition::STALLED, "True", reason::REF_NOT_PERMITTED).await;
    world.see("data-postgres", "main-orders", "says that nothing is changed", is_held).await;
    let withdrawn = world.mark();
    let mut edited = spec();
    edited["patterns"][0]["replicas"] = json!(7);
    edited["patterns"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "late", "type": "consumer", "backend": "main-db"}));
    world.put::<PrismStack>("shop", "main", edited).await;
    world.see("shop", "main-late", "runs at home", |pattern: Option<&PrismPattern>| pattern.is_some()).await;
    stack_with(&world, condition::STALLED, "True", reason::REF_NOT_PERMITTED).await;
    let touched =
        world.writes_since(withdrawn).into_iter().filter(|write| write.namespace == "data-postgres");
    let touched: Vec<_> =
        touched.filter(|write| write.subresource != "status").map(|write| write.uri).collect();
    assert_eq!(touched, Vec::<String>::new(), "nothing is written where consent was withdrawn");
    let after: StatefulSet = world.api("data-postgres").get("main-orders").await.unwrap();
    assert_eq!(after.metadata.generation, before.metadata.generation);
    assert_eq!(after.status.unwrap().available_replicas, Some(2), "what runs, runs on");

    // Consent that is given again carries the edit out.
    allow(&world, Some("shop")).await;
    stack_with(&world, condition::READY, "True", reason::ALL_READY).await;
    world
        .see("data-postgres", "main-orders", "follows the edit", |set: Option<&StatefulSet>| {
            set.and_then(|set| set.spec.as_ref()?.replicas) == Some(7)
        })
        .await;

    // The stack goes, in all namespaces.
    world.api::<PrismStack>("shop").delete("main", &DeleteParams::default()).await.unwrap();
    world.see("shop", "main", "is gone", |stack: Option<&PrismStack>| stack.is_none()).await;
    world
        .see("data-postgres", "main-orders", "is gone", |pattern: Option<&PrismPattern>| pattern.is_none())
        .await;
    world.see("data-postgres", "main-orders", "is gone", |set: Option<&StatefulSet>| set.is_none()).await;
    world.see("data-postgres", "main-main-db", "is gone", |one: Option<&PrismBackend>| one.is_none()).await;
    world.see("shop", "main-cache", "is gone", |one: Option<&Deployment>| one.is_none()).await;
    let said = json!(world.writes_since(start).iter().map(|write| &write.request_object).collect::<Vec<_>>());
    assert!(!said.to_string().contains(PASSWORD), "the password of the other namespace was never repeated");
    world.end().await;
}
