//! What is wrong with a spec is said in a sentence, and nothing that runs is lost for it.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Namespace, events::v1::Event};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use prism_api::condition::{self, reason};
use prism_plan::conditions::find;
use prism_testbed::eventually;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Story, conditions};

#[rstest]
#[case::no_pattern(json!({"backend": "redis"}), "pattern is required")]
#[case::max_below_min(json!({"pattern": "producer", "autoscaling": {"minReplicas": 5, "maxReplicas": 2}}), "maxReplicas must be at least autoscaling.minReplicas")]
#[case::scaling_without_limit(json!({"pattern": "producer", "autoscaling": {"minReplicas": 2}}), "autoscaling.maxReplicas is required")]
#[case::storage_on_a_deployment(json!({"pattern": "keyvalue", "kind": "Deployment", "storage": {"size": "1Gi"}}), "storage needs the kind StatefulSet")]
#[case::two_names_for_one_thing(json!({"pattern": "keyvalue", "type": "consumer"}), "keep pattern and remove type")]
#[case::a_port_that_is_none(json!({"pattern": "keyvalue", "service": {"port": 70000}}), "spec.service.port")]
#[case::negative_replicas(json!({"pattern": "keyvalue", "replicas": -1}), "spec.replicas")]
#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_refuses(#[case] spec: Value, #[case] sentence: &str) {
    let story = Story::prepare("refused").await;
    let refusal = story.try_apply("web", spec).await.unwrap_err().to_string();
    assert!(refusal.contains(sentence), "{refusal}");
}

/// Specs that only the planner can judge.
#[rstest]
#[case::misspelt_pod_template(json!({"podTemplate": {"spec": {"hostNetwrk": true}}}), "spec.podTemplate.spec.hostNetwrk")]
#[case::volume_without_a_known_source(json!({"volumes": [{"name": "scratch", "emptyDri": {}, "hostPat": {"path": "/"}}]}), "spec.volumes[0].hostPat")]
#[case::a_metric_that_hpa_cannot_read(
    json!({"autoscaling": {"maxReplicas": 3, "metrics": [{"type": "AdminMetric", "name": "mailbox.queue_depth", "target": 5}]}}),
    "spec.autoscaling.metrics[0].type"
)]
#[tokio::test(flavor = "multi_thread")]
async fn the_planner_refuses_and_what_runs_runs_on(#[case] mistake: Value, #[case] field: &str) {
    let story = Story::begin("invalid").await;
    let good = json!({"pattern": "producer", "backend": "memstore", "replicas": 2});
    story.apply("web", good.clone()).await;
    story.ready("web").await;
    let before: Deployment = story.api().get("web").await.unwrap();
    let mark = story.mark();

    let mut bad = good.as_object().unwrap().clone();
    bad.extend(mistake.as_object().unwrap().clone());
    story.apply("web", Value::Object(bad)).await;
    let pattern = story.condition("web", condition::STALLED, "True", reason::INVALID_SPEC).await;
    let message = &find(conditions(&pattern), condition::STALLED).unwrap().message;
    assert!(message.starts_with(field), "{message}");
    assert_eq!(story.writes_to_children_since(mark).len(), 0, "the children are left alone");
    let after: Deployment = story.api().get("web").await.unwrap();
    assert_eq!(before.spec, after.spec);
    assert_eq!(pattern.status.unwrap().available_replicas, Some(2), "the pods are still counted");

    story.apply("web", good).await;
    story.ready("web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_server_refuses_of_a_child_is_passed_on() {
    let story = Story::begin("rejected").await;
    // Valid as a pattern, but a requests above its limit is no pod.
    let spec = json!({
        "pattern": "producer", "backend": "memstore",
        "resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}},
    });
    story.apply("web", spec).await;
    let pattern = story.condition("web", condition::STALLED, "True", reason::APPLY_REJECTED).await;
    let message = &find(conditions(&pattern), condition::STALLED).unwrap().message;
    assert!(message.contains("Deployment web") && message.contains("memory"), "{message}");
    story.apply("web", json!({"pattern": "producer", "backend": "memstore"})).await;
    story.ready("web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_pass_the_restricted_pod_security_standard() {
    let story = Story::begin("restricted").await;
    let namespaces: Api<Namespace> = Api::all(story.bed.client());
    let enforce = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    namespaces.patch(story.namespace.name(), &PatchParams::default(), &Patch::Merge(&enforce)).await.unwrap();
    story.apply("web", json!({"pattern": "keyvalue", "backend": "memstore", "config": {"ttl": "1h"}})).await;
    story
        .apply("mail", json!({"pattern": "mailbox", "backend": "memstore", "storage": {"size": "1Gi"}}))
        .await;
    story.ready("web").await;
    story.ready("mail").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_by_an_event_as_well() {
    let story = Story::begin("events").await;
    story.apply("web", json!({"pattern": "producer", "backend": "nowhere"})).await;
    story.condition("web", condition::BACKEND_RESOLVED, "False", reason::BACKEND_NOT_FOUND).await;
    let events: Api<Event> = story.api();
    eventually("there is a warning about the backend", PATIENCE, async || {
        let all = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let about_web = all.items.into_iter().filter(|event| {
            event.regarding.as_ref().and_then(|object| object.kind.as_deref()) == Some("PrismPattern")
        });
        let warnings: Vec<_> = about_web.map(|event| (event.type_, event.reason, event.note)).collect();
        match warnings.as_slice() {
            [(Some(type_), Some(why), Some(note))]
                if type_ == "Warning" && why == reason::BACKEND_NOT_FOUND =>
            {
                assert!(note.contains("create a PrismBackend named nowhere"), "{note}");
                Ok(())
            }
            other => Err(format!("there are {other:?}")),
        }
    })
    .await
    .unwrap();
}
