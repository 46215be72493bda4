//! Whatever fails is told in the status of the object that it concerns.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::Service,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use prism_api::{PrismPattern, PrismStack, condition, condition::reason};
use prism_plan::conditions::find;
use prism_testbed::{ThirdParty, definitions::third_party, eventually};
use serde_json::{Value, json};

use crate::{
    support::{PATIENCE, Story, quick},
    world::World,
};

/// What only its user can mend is looked at again once a minute, give or take a quarter.
const ONCE_A_MINUTE: Duration = Duration::from_secs(100);

/// All rights but those to delete anything, and to read Secrets and other objects of the core group by name.
fn few_rights() -> Value {
    let groups = ["apps", "autoscaling", "policy", "prism.io", "keda.sh", "events.k8s.io"];
    json!([
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["list", "watch", "create", "patch", "update"]},
        {"apiGroups": groups, "resources": ["*"], "verbs": ["get"]},
    ])
}

/// A condition of the pattern, as `status reason: message`.
fn told(pattern: Option<&PrismPattern>, type_: &str) -> Option<String> {
    let status = pattern?.status.as_ref()?;
    let found = find(&status.conditions, type_)?;
    Some(format!("{} {}: {}", found.status, found.reason, found.message))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_is_told_and_holds_up_nothing_else() {
    let world = World::begin().await;
    world.namespace("shop", None).await;
    world.define(third_party(ThirdParty::Keda).await.unwrap()).await;
    let world = world.with_rights(quick(), few_rights()).await;

    // A Secret that may not be read.
    let trigger =
        json!({"type": "redis", "metadata": {"listName": "jobs"}, "authenticationRef": {"name": "login"}});
    let scaled = json!({
        "pattern": "consumer", "kind": "Deployment", "backend": "memstore",
        "autoscaling": {"scaler": "keda", "maxReplicas": 5, "triggers": [trigger]},
    });
    world.put::<PrismPattern>("shop", "reader", scaled).await;
    let has = async |name: &str, type_: &str, words: &[&str]| {
        let what = format!("says {type_}, {words:?}");
        world
            .see("shop", name, &what, |pattern| {
                told(pattern, type_).is_some_and(|told| words.iter().all(|word| told.contains(word)))
            })
            .await;
    };
    has("reader", condition::SCALING_ACTIVE, &["False SecretUnreadable", "Secret login", "forbidden"]).await;
    has("reader", condition::READY, &["True"]).await;

    // A child that may not be deleted.
    world
        .put::<PrismPattern>(
            "shop",
            "moved",
            json!({"pattern": "consumer", "kind": "Deployment", "backend": "memstore"}),
        )
        .await;
    has("moved", condition::READY, &["True"]).await;
    world
        .put::<PrismPattern>(
            "shop",
            "moved",
            json!({"pattern": "consumer", "kind": "StatefulSet", "backend": "memstore"}),
        )
        .await;
    has("moved", condition::STALLED, &["True ApplyRejected", "Deployment moved", "cannot delete"]).await;
    world.see("shop", "moved", "is there", |set: Option<&StatefulSet>| set.is_some()).await;

    // A scaler that may not be deleted keeps its workload from its fixed number, and nothing else from anything.
    let plain = |replicas: i32, scaler: Option<Value>| {
        let mut spec =
            json!({"pattern": "consumer", "kind": "Deployment", "backend": "memstore", "replicas": replicas});
        spec.as_object_mut().unwrap().extend(scaler.map(|scaler| ("autoscaling".to_owned(), scaler)));
        spec
    };
    let by_hpa = json!({"minReplicas": 3, "maxReplicas": 5});
    world.put::<PrismPattern>("shop", "scaled", plain(1, Some(by_hpa))).await;
    has("scaled", condition::READY, &["True"]).await;
    let mut fixed = plain(1, None);
    fixed["service"] = json!({"port": 9000});
    world.put::<PrismPattern>("shop", "scaled", fixed).await;
    has("scaled", condition::STALLED, &["True ApplyRejected", "HorizontalPodAutoscaler", "cannot delete"])
        .await;
    let deployment: Deployment = world.api("shop").get("scaled").await.unwrap();
    assert_eq!(deployment.spec.unwrap().replicas, Some(3), "two do not write the replicas");

    // A stack that cannot delete what it has made does not end, and says so.
    world
        .put::<PrismStack>(
            "shop",
            "main",
            json!({"patterns": [{"name": "kv", "type": "keyvalue", "backend": "memstore"}]}),
        )
        .await;
    world.see("shop", "main-kv", "is there", |pattern: Option<&PrismPattern>| pattern.is_some()).await;
    world.api::<PrismStack>("shop").delete("main", &DeleteParams::default()).await.unwrap();
    world
        .see("shop", "main", "says what it cannot delete", |stack: Option<&PrismStack>| {
            let status = stack.and_then(|stack| stack.status.as_ref());
            status.and_then(|status| find(&status.conditions, condition::RECONCILING)).is_some_and(|told| {
                told.status == "True"
                    && told.reason == reason::DELETION_FAILED
                    && told.message.contains("main-kv")
            })
        })
        .await;

    // With the rights, everything is made up for, and nobody has to ask for it.
    world.allow(json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])).await;
    eventually("all is well", ONCE_A_MINUTE, async || {
        let patterns = world.api::<PrismPattern>("shop");
        let get = async |name: &str| patterns.get(name).await.map_err(|error| error.to_string());
        let reader = told(Some(&get("reader").await?), condition::SCALING_ACTIVE).unwrap_or_default();
        let moved = told(Some(&get("moved").await?), condition::STALLED);
        let scaled = told(Some(&get("scaled").await?), condition::STALLED);
        let stack =
            world.api::<PrismStack>("shop").get_opt("main").await.map_err(|error| error.to_string())?;
        let is_well =
            reader.contains("SecretNotFound") && moved.is_none() && scaled.is_none() && stack.is_none();
        if is_well {
            Ok(())
        } else {
            Err(format!("{reader}, {moved:?}, {scaled:?}, stack: {}", stack.is_some()))
        }
    })
    .await
    .unwrap();
    world
        .see("shop", "scaled", "has its fixed number", |deployment: Option<&Deployment>| {
            deployment.and_then(|deployment| deployment.spec.as_ref()?.replicas) == Some(1)
        })
        .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_somebody_else_that_is_being_deleted_is_waited_for() {
    let story = Story::begin("terminating").await;
    let services: Api<Service> = story.api();
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": "orders", "finalizers": ["example.com/held"]},
        "spec": {"ports": [{"port": 80}]},
    }))
    .unwrap();
    services.create(&PostParams::default(), &service).await.unwrap();
    services.delete("orders", &DeleteParams::default()).await.unwrap();
    story.apply("orders", json!({"pattern": "producer", "backend": "memstore"})).await;
    let pattern = story.condition("orders", condition::RECONCILING, "True", reason::APPLY_FAILED).await;
    let waits = told(Some(&pattern), condition::RECONCILING).unwrap_or_default();
    assert!(waits.contains("Service") && waits.contains("is being deleted"), "{waits}");
    let released = json!({"metadata": {"finalizers": null}});
    services.patch("orders", &PatchParams::default(), &Patch::Merge(&released)).await.unwrap();
    eventually("the pattern has its Service", ONCE_A_MINUTE, async || {
        let found = services.get_opt("orders").await.map_err(|error| error.to_string())?;
        if found.is_some_and(|found| found.metadata.owner_references.is_some()) {
            Ok(())
        } else {
            Err("it has none".to_owned())
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fight_over_a_field_ends_in_a_condition_and_not_in_a_flood() {
    let story = Story::begin("fight").await;
    story.apply("web", json!({"pattern": "producer", "kind": "Deployment", "backend": "memstore"})).await;
    story.ready("web").await;
    let deployments: Api<Deployment> = story.api();
    let start = story.bed.audit().unwrap().mark().unwrap();
    // A controller that wants another number of revisions, and says so whenever it is not so.
    let rival = {
        let deployments = deployments.clone();
        tokio::spawn(async move {
            let params = PatchParams::apply("rival").force();
            let wish = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"serviceAccountName": "rival"}}}});
            loop {
                let now = deployments.get("web").await.unwrap();
                if json!(now).pointer("/spec/template/spec/serviceAccountName") != Some(&json!("rival")) {
                    deployments.patch("web", &params, &Patch::Apply(&wish)).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };
    let pattern = story.condition("web", condition::STALLED, "True", reason::FIELD_CONFLICT).await;
    let conflict = told(Some(&pattern), condition::STALLED).unwrap_or_default();
    assert!(conflict.contains("rival") && conflict.contains("Deployment web"), "{conflict}");
    // An edit is carried out all the same.
    let edited = json!({"pattern": "producer", "kind": "Deployment", "backend": "memstore", "service": {"annotations": {"example.com/team": "x"}}});
    story.apply("web", edited).await;
    let _: Service = story
        .object("web", "the Service has its annotation", |service: &Service| {
            let team = service.metadata.annotations.as_ref().and_then(|all| all.get("example.com/team"));
            if team.is_some() { Ok(()) } else { Err("it has none".to_owned()) }
        })
        .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let writes = story.bed.audit().unwrap().writes_of(&story.user, start).unwrap().objects;
    let to_deployment = writes.iter().filter(|write| write.uri.contains("/deployments/web")).count();
    assert!(to_deployment <= 10, "{to_deployment} writes to the Deployment");
    let to_status = writes.iter().filter(|write| write.subresource == "status").count();
    assert!(to_status <= 8, "{to_status} reports");

    rival.abort();
    // Up to three of the looks that come once a minute, give or take a quarter.
    eventually("the fight is over", PATIENCE * 4, async || {
        let pattern = story.api::<PrismPattern>().get("web").await.map_err(|error| error.to_string())?;
        let deployment = json!(deployments.get("web").await.map_err(|error| error.to_string())?);
        let account = deployment.pointer("/spec/template/spec/serviceAccountName").cloned();
        let stalled = told(Some(&pattern), condition::STALLED);
        if stalled.is_none() && account == Some(json!("web")) {
            Ok(())
        } else {
            Err(format!("{stalled:?}, {account:?}"))
        }
    })
    .await
    .unwrap();
}
