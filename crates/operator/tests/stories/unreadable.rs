//! An object that does not decode never stops the watch of the others.
//!
//! What the schema lets through decodes, but for values that nest without end where anything goes. For all else it
//! takes a cluster with another schema: one that an older or newer version of the project, or somebody's editor, has
//! installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject},
};
use prism_api::condition::{self, reason};
use prism_testbed::{Options, Programs, Progress, ScopedCluster, eventually};
use serde_json::{Value, json};

use crate::support::{PATIENCE, Running, Story, groups, quick};

/// The CRDs, with a schema that takes anything for the replicas of a pattern.
fn lax_crds() -> Vec<CustomResourceDefinition> {
    let mut crds = prism_api::all_crds().unwrap();
    let patterns = crds.iter_mut().find(|crd| crd.name_any() == "prismpatterns.prism.io").unwrap();
    for version in &mut patterns.spec.versions {
        let root = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()).unwrap();
        let spec = root.properties.as_mut().and_then(|fields| fields.get_mut("spec")).unwrap();
        let anything = JSONSchemaProps {
            x_kubernetes_preserve_unknown_fields: Some(true),
            ..JSONSchemaProps::default()
        };
        spec.properties.as_mut().unwrap().insert("replicas".to_owned(), anything);
        version.subresources.as_mut().unwrap().scale = None;
    }
    crds
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_read_does_not_stop_the_others() {
    let programs = Programs::ensure(&Progress::silent()).unwrap();
    let options = Options { definitions: lax_crds(), ..Options::default() };
    let cluster = ScopedCluster::start(&programs, &options, &Progress::silent()).await.unwrap();
    let client = cluster.client().await.unwrap();
    let operator = Running::start(quick(), cluster.config_for("operator", &groups()).await.unwrap()).await;

    let resource = ApiResource::erase::<prism_api::PrismPattern>(&());
    let patterns: Api<DynamicObject> = Api::namespaced_with(client, "default", &resource);
    let apply = async |name: &str, replicas: Value| {
        let body = json!({
            "apiVersion": "prism.io/v1alpha1", "kind": "PrismPattern", "metadata": {"name": name},
            "spec": {"pattern": "producer", "backend": "memstore", "replicas": replicas},
        });
        patterns.patch(name, &PatchParams::apply("user").force(), &Patch::Apply(&body)).await.unwrap();
    };
    let has = async |name: &str, type_: &str, status: &str, why: &str| {
        eventually(&format!("{name} has {type_}={status}, {why}"), PATIENCE, async || {
            let pattern = patterns.get(name).await.map_err(|error| error.to_string())?;
            let found = pattern.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let is_so =
                found.iter().any(|c| c["type"] == type_ && c["status"] == status && c["reason"] == why);
            if is_so { Ok(()) } else { Err(format!("it has {found:?}")) }
        })
        .await
        .unwrap();
    };
    apply("good", json!(1)).await;
    has("good", condition::READY, "True", reason::WORKLOAD_READY).await;
    apply("strange", json!("a few")).await;
    has("strange", condition::STALLED, "True", reason::INVALID_SPEC).await;
    apply("late", json!(2)).await;
    has("late", condition::READY, "True", reason::WORKLOAD_READY).await;
    // And it gets well like any other.
    apply("strange", json!(1)).await;
    has("strange", condition::READY, "True", reason::WORKLOAD_READY).await;
    operator.stop().await;
}

/// An API server decodes 10 000 levels, and adds some of its own to tell who has set which field.
const AS_DEEP_AS_ACCEPTED: usize = 9_900;

/// A pattern whose free-form configuration nests `levels` deep.
fn nested(name: &str, levels: usize) -> String {
    let config = format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    format!(
        r#"{{"apiVersion":"prism.io/v1alpha1","kind":"PrismPattern","metadata":{{"name":"{name}"}},
           "spec":{{"pattern":"producer","backend":"memstore","config":{config}}}}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_nests_too_deeply_stops_nobody_and_its_deletion_is_seen() {
    let mut story = Story::begin("deep").await;
    let client = story.bed.client();
    let url = format!("/apis/prism.io/v1alpha1/namespaces/{}/prismpatterns", story.namespace.name());
    let ask = async |request: http::request::Builder, body: String| {
        client.request_text(request.body(body.into_bytes()).unwrap()).await.unwrap()
    };
    for (name, levels) in [("deep", 130), ("abyss", AS_DEEP_AS_ACCEPTED)] {
        let post = http::Request::post(&url).header("content-type", "application/json");
        ask(post, nested(name, levels)).await;
    }
    let says = async |name: &str, part: &str| {
        eventually(&format!("{name} says {part}"), PATIENCE, async || {
            let text = ask(http::Request::get(format!("{url}/{name}")), String::new()).await;
            let status = text.rsplit_once(r#""status":{"#).map(|(_, status)| status).unwrap_or_default();
            if status.contains(part) { Ok(()) } else { Err(status.to_owned()) }
        })
        .await
        .unwrap();
    };
    let sentence = "spec: values nest more than 127 levels deep";
    for name in ["deep", "abyss"] {
        says(name, sentence).await;
    }
    story.apply("before", json!({"pattern": "producer", "backend": "memstore"})).await;
    story.ready("before").await;

    // Its list has them both.
    story.stop_operator().await;
    story.start_operator().await;
    story.apply("after", json!({"pattern": "producer", "backend": "memstore"})).await;
    story.ready("after").await;
    let (code, complaints) = story.operator().get("/readyz").await;
    assert_eq!(code, 200, "{complaints}");
    // What is gone is forgotten; what comes after it under its name is another.
    for name in ["deep", "abyss"] {
        ask(http::Request::delete(format!("{url}/{name}")), String::new()).await;
        story.apply(name, json!({"pattern": "producer", "backend": "memstore"})).await;
        story.ready(name).await;
    }
    story.stop_operator().await;
}
