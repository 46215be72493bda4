//! What is wrong with a stack is said in a sentence, on the stack and on the part it is about; all
//! other parts run on.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{Pod, Service},
    events::v1::Event,
    storage::v1::StorageClass,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use prism_api::{
    PrismPattern, PrismStack,
    condition::{self, reason},
    labels,
};
use prism_plan::conditions::{find, is_true};
use prism_testbed::{eventually, volumes};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Story};

const ADMINS: &str = "prism.io/component=admin";

/// A stack with a pattern for each of the names.
fn with_patterns(names: &[&str]) -> Value {
    let pattern = |name: &&str| json!({"name": name, "type": "keyvalue", "backend": "memstore"});
    json!({"patterns": names.iter().map(pattern).collect::<Vec<_>>()})
}

/// Message of a condition of the stack.
fn message(stack: &PrismStack, type_: &str) -> String {
    let conditions = stack.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    find(conditions, type_).map(|condition| condition.message.clone()).unwrap_or_default()
}

/// Waits for a warning about the object, and returns what it says.
async fn warning(story: &Story, kind: &str, name: &str, reason: &str) -> String {
    let events: Api<Event> = story.api();
    eventually(&format!("a warning {reason} about {kind} {name}"), PATIENCE, async || {
        let all = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let is_about = |event: &Event| {
            let object = event.regarding.clone().unwrap_or_default();
            object.kind.as_deref() == Some(kind) && object.name.as_deref() == Some(name)
        };
        let mut about: Vec<_> = all.items.into_iter().filter(is_about).collect();
        about.retain(|event| event.type_.as_deref() == Some("Warning"));
        let told = about.iter().find(|event| event.reason.as_deref() == Some(reason));
        told.and_then(|event| event.note.clone()).ok_or_else(|| {
            format!("there are {:?}", about.iter().map(|event| &event.reason).collect::<Vec<_>>())
        })
    })
    .await
    .unwrap()
}

async fn names<K>(story: &Story, labels: &str) -> BTreeSet<String>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let all = story.api::<K>().list(&ListParams::default().labels(labels)).await.unwrap();
    all.into_iter().map(|object| object.name_any()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_two_stacks_want_stays_with_the_one_that_has_it() {
    let story = Story::begin("claim").await;
    story.put::<PrismStack>("a", with_patterns(&["b-c"])).await;
    story.stack_ready("a").await;
    let first: PrismPattern = story.api().get("a-b-c").await.unwrap();

    story.put::<PrismStack>("a-b", with_patterns(&["c", "d"])).await;
    let stack = story.stack_condition("a-b", condition::STALLED, "True", reason::NAME_CONFLICT).await;
    let sentence = message(&stack, condition::STALLED);
    assert!(sentence.contains("PrismPattern a-b-c"), "{sentence}");
    assert_eq!(warning(&story, "PrismStack", "a-b", reason::NAME_CONFLICT).await, sentence);
    story.ready("a-b-d").await;
    story.stack_ready("a").await;
    let now: PrismPattern = story.api().get("a-b-c").await.unwrap();
    assert_eq!((now.uid(), now.owner_references()[0].name.as_str()), (first.uid(), "a"));

    story.put::<PrismStack>("a-b", with_patterns(&["d"])).await;
    story.stack_ready("a-b").await;
    story.ready("a-b-c").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_nobody_knows_is_told_by_pattern_and_stack_until_it_is_there() {
    let story = Story::begin("unknown").await;
    let mut spec = json!({"patterns": [
        {"name": "lost", "type": "keyvalue", "backend": "sessions"},
        {"name": "well", "type": "producer", "backend": "memstore"},
    ]});
    story.put::<PrismStack>("shop", spec.clone()).await;
    let stack =
        story.stack_condition("shop", condition::SPEC_WARNING, "True", reason::BACKEND_NOT_FOUND).await;
    let sentence = message(&stack, condition::SPEC_WARNING);
    assert!(sentence.starts_with("pattern lost: "), "{sentence}");
    assert_eq!(warning(&story, "PrismStack", "shop", reason::BACKEND_NOT_FOUND).await, sentence);
    story.condition("shop-lost", condition::BACKEND_RESOLVED, "False", reason::BACKEND_NOT_FOUND).await;
    warning(&story, "PrismPattern", "shop-lost", reason::BACKEND_NOT_FOUND).await;
    story.ready("shop-well").await;

    spec["backends"] =
        json!([{"name": "sessions", "type": "redis", "connectionString": "redis://caches:6379"}]);
    story.put::<PrismStack>("shop", spec).await;
    story.condition("shop-lost", condition::BACKEND_RESOLVED, "True", reason::BACKEND_FOUND).await;
    story
        .stack("shop", "has nothing to warn of", |stack| message(stack, condition::SPEC_WARNING).is_empty())
        .await;
    story.stack_ready("shop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_class_that_does_not_exist_is_waited_for_and_what_runs_runs_on() {
    let story = Story::begin("class").await;
    let mut spec = with_patterns(&["sessions"]);
    spec["webConsole"] = json!({"replicas": 1});
    story.put::<PrismStack>("shop", spec.clone()).await;
    story.stack_ready("shop").await;

    let class = format!("class-of-{}", story.namespace.name());
    spec["webConsole"]["storage"] = json!({"size": "1Gi", "storageClass": class});
    story.put::<PrismStack>("shop", spec).await;
    let stack =
        story.stack_condition("shop", condition::STALLED, "True", reason::STORAGE_CLASS_NOT_FOUND).await;
    let sentence = message(&stack, condition::STALLED);
    assert!(sentence.starts_with("spec.webConsole.storage.storageClass: "), "{sentence}");
    assert_eq!(warning(&story, "PrismStack", "shop", reason::STORAGE_CLASS_NOT_FOUND).await, sentence);
    let console: Deployment = story.api().get("shop-web-console").await.unwrap();
    assert_eq!(console.status.unwrap().available_replicas, Some(1), "the old console serves on");
    assert!(is_true(&stack.status.unwrap().conditions, condition::PROXY_HEALTHY));
    story.ready("shop-sessions").await;

    let classes: Api<StorageClass> = Api::all(story.bed.client());
    let body = json!({
        "metadata": {"name": class}, "provisioner": volumes::PROVISIONER, "volumeBindingMode": "Immediate",
    });
    classes.create(&PostParams::default(), &serde_json::from_value(body).unwrap()).await.unwrap();
    story.stack_ready("shop").await;
    story.gone::<Deployment>("shop-web-console").await;
    classes.delete(&class, &DeleteParams::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_even_number_of_admins_is_advised_against_and_runs() {
    let story = Story::begin("even").await;
    story.put::<PrismStack>("shop", json!({"admin": {"replicas": 2}})).await;
    let stack = story.stack_ready("shop").await;
    let sentence = message(&stack, condition::SPEC_WARNING);
    assert!(sentence.starts_with("spec.admin.replicas: 2 members"), "{sentence}");
    story.stack_condition("shop", condition::SPEC_WARNING, "True", reason::EVEN_REPLICAS).await;
    assert_eq!(warning(&story, "PrismStack", "shop", reason::EVEN_REPLICAS).await, sentence);
    assert_eq!(stack.status.unwrap().components[0].available_replicas, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_is_given_up_only_when_somebody_agrees() {
    let story = Story::begin("give-up").await;
    story.put::<PrismStack>("shop", json!({"admin": {"replicas": 3}})).await;
    story.stack_ready("shop").await;

    story.put::<PrismStack>("shop", json!({"admin": {"replicas": 1}})).await;
    let stack = story.stack_condition("shop", condition::STALLED, "True", reason::QUORUM_LOSS_REFUSED).await;
    let sentence = message(&stack, condition::STALLED);
    assert!(sentence.starts_with("spec.admin.replicas: 1 of 3"), "{sentence}");
    assert_eq!(warning(&story, "PrismStack", "shop", reason::QUORUM_LOSS_REFUSED).await, sentence);
    let status = stack.status.unwrap();
    assert!(status.plan[0].needs_approval);
    assert_eq!(status.plan[0].object, "StatefulSet shop-admin");
    assert_eq!(names::<Pod>(&story, ADMINS).await.len(), 3, "all members are still there");

    let approval = json!({"metadata": {"annotations": {labels::APPROVED_PLAN: status.plan_hash}}});
    story.merge::<PrismStack>("shop", approval).await;
    let stack = story
        .stack("shop", "has one admin, and nothing planned", |stack| {
            let status = stack.status.clone().unwrap_or_default();
            status.plan.is_empty() && status.components[0].available_replicas == Some(1)
        })
        .await;
    assert!(message(&stack, condition::STALLED).is_empty());
    story.stack_ready("shop").await;
    assert_eq!(names::<Pod>(&story, ADMINS).await, ["shop-admin-0".to_owned()].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_in_a_namespace_that_has_not_consented_draws_nobody_there() {
    let story = Story::begin("consent").await;
    let mut spec = json!({
        "backends": [{"name": "cache", "type": "redis", "connectionString": "redis://cache:6379"}],
        "patterns": [{"name": "sessions", "type": "keyvalue", "backend": "cache"}],
    });
    story.put::<PrismStack>("shop", spec.clone()).await;
    story.stack_ready("shop").await;
    let before: PrismPattern = story.api().get("shop-sessions").await.unwrap();

    spec["backends"][0]["dataLocality"] = json!({"strategy": "collocate", "namespace": "nowhere-at-all"});
    story.put::<PrismStack>("shop", spec).await;
    let stack = story.stack_condition("shop", condition::STALLED, "True", reason::REF_NOT_PERMITTED).await;
    let sentence = message(&stack, condition::STALLED);
    assert!(sentence.starts_with("spec.backends[0]: ") && sentence.contains("nowhere-at-all"), "{sentence}");
    assert_eq!(warning(&story, "PrismStack", "shop", reason::REF_NOT_PERMITTED).await, sentence);
    let after = story.ready("shop-sessions").await;
    assert_eq!(before.uid(), after.uid(), "the pattern stays where it is");
}

/// Specs that only the planner can judge, with the field that it names.
#[rstest]
#[case::a_pattern_named_as_a_part(json!({"patterns": [{"name": "proxy", "type": "keyvalue", "backend": "memstore"}]}), "spec.patterns[0].name")]
#[case::a_backend_named_as_a_part(json!({"backends": [{"name": "admin", "type": "redis", "connectionString": "redis://a:1"}]}), "spec.backends[0].name")]
#[case::an_unknown_store(json!({"admin": {"storage": {"type": "mysql"}}}), "spec.admin.storage.type")]
#[case::collocated_nowhere(
    json!({"backends": [{"name": "cache", "type": "redis", "connectionString": "redis://a:1", "dataLocality": {"strategy": "collocate"}}]}),
    "spec.backends[0].dataLocality.namespace"
)]
#[case::a_misspelt_pod_template(json!({"proxy": {"podTemplate": {"spec": {"hostNetwrk": true}}}}), "spec.proxy.podTemplate.spec.hostNetwrk")]
#[tokio::test(flavor = "multi_thread")]
async fn the_planner_refuses_a_stack_and_what_runs_runs_on(#[case] mistake: Value, #[case] field: &str) {
    let story = Story::begin("invalid-stack").await;
    let good = json!({"patterns": [{"name": "sessions", "type": "keyvalue", "backend": "memstore"}]});
    story.put::<PrismStack>("shop", good.clone()).await;
    story.stack_ready("shop").await;
    let mark = story.mark();

    let mut bad = good.as_object().unwrap().clone();
    bad.extend(mistake.as_object().unwrap().clone());
    story.put::<PrismStack>("shop", Value::Object(bad)).await;
    let stack = story.stack_condition("shop", condition::STALLED, "True", reason::INVALID_SPEC).await;
    let sentence = message(&stack, condition::STALLED);
    assert!(sentence.starts_with(field), "{sentence}");
    assert_eq!(warning(&story, "PrismStack", "shop", reason::INVALID_SPEC).await, sentence);
    let written = story.writes_to_children_since(mark);
    assert!(written.is_empty(), "the children are left alone: {written:?}");
    story.ready("shop-sessions").await;
    let status = stack.status.unwrap();
    assert!(is_true(&status.conditions, condition::PATTERNS_READY), "what runs is still counted");
    assert!(is_true(&status.conditions, condition::PROXY_HEALTHY));

    story.put::<PrismStack>("shop", good).await;
    story.stack_ready("shop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_is_edited_while_it_is_made_ends_as_it_was_edited_last() {
    let story = Story::begin("haste").await;
    let spec = |patterns: &[&str], more: Value| {
        let mut spec = with_patterns(patterns);
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let cache = json!([{"name": "cache", "type": "redis", "deletionPolicy": "Delete", "provision": {"storage": "1Gi"}}]);
    let edits = [
        spec(&["p1", "p2"], json!({"admin": {"replicas": 3}, "webConsole": {}, "backends": cache})),
        spec(&["p2", "p3"], json!({"admin": {"replicas": 3}, "proxy": {"kind": "StatefulSet"}})),
        spec(
            &["p1", "p4"],
            json!({"admin": {"replicas": 3, "image": "registry.example.com/admin:2"}, "backends": cache}),
        ),
        spec(&["p4", "p5"], json!({"admin": {"replicas": 3}, "proxy": {"replicas": 2}})),
    ];
    for edit in edits {
        story.put::<PrismStack>("shop", edit).await;
    }
    story.stack_ready("shop").await;
    let expect = |names: &[&str]| names.iter().map(|name| format!("shop-{name}")).collect::<BTreeSet<_>>();
    let ours = "app.kubernetes.io/managed-by=prism-operator";
    eventually("nothing is left of what was edited away", PATIENCE, async || {
        let found = [
            names::<PrismPattern>(&story, ours).await,
            names::<prism_api::PrismBackend>(&story, ours).await,
            names::<Deployment>(&story, ours).await,
            names::<StatefulSet>(&story, ours).await,
            names::<Service>(&story, ours).await,
            names::<k8s_openapi::api::core::v1::Secret>(&story, ours).await,
        ];
        let expected = [
            expect(&["p4", "p5"]),
            expect(&[]),
            expect(&["p4", "p5", "proxy"]),
            expect(&["admin"]),
            expect(&["admin", "admin-headless", "p4", "p5", "proxy"]),
            expect(&[]),
        ];
        if found == expected { Ok(()) } else { Err(format!("there are {found:?}")) }
    })
    .await
    .unwrap();
    let stack = story.stack_ready("shop").await;
    let parts: Vec<_> =
        stack.status.unwrap().components.into_iter().map(|part| (part.name, part.replicas)).collect();
    assert_eq!(parts, [("admin".to_owned(), Some(3)), ("proxy".to_owned(), Some(2))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_patterns_are_refused_and_what_runs_runs_on() {
    let story = Story::begin("too-many").await;
    story.put::<PrismStack>("shop", with_patterns(&["p0"])).await;
    story.stack_ready("shop").await;
    let mark = story.mark();
    let all: Vec<_> = (0..500).map(|index| format!("p{index}")).collect();
    let all = with_patterns(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let body = json!({
        "apiVersion": "prism.io/v1alpha1", "kind": "PrismStack", "metadata": {"name": "shop"}, "spec": all,
    });
    let params = PatchParams::apply("user").force();
    let refusal = story.api::<PrismStack>().patch("shop", &params, &Patch::Apply(&body)).await.unwrap_err();
    let refusal = refusal.to_string();
    assert!(refusal.contains("spec.patterns") && refusal.contains("at most 200"), "{refusal}");
    story.ready("shop-p0").await;
    story.stack_ready("shop").await;
    assert!(story.writes_since(mark).is_empty(), "nothing has changed");
}
