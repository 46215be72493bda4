//! An object that does not decode never stops the watch of the others.
//!
//! What the schema lets through decodes, so this takes a cluster with another schema: one that an
//! older or newer version of the project, or somebody's editor, has installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject},
};
use prism_api::condition::{self, reason};
use prism_testbed::{Options, Programs, Progress, ScopedCluster, eventually, until};
use serde_json::{Value, json};

use crate::support::{PATIENCE, Running, groups, quick};

/// The CRDs, with a schema that takes anything for the replicas of a pattern.
async fn install_lax_crds(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for mut crd in prism_api::all_crds().unwrap() {
        let name = crd.name_any();
        if name == "prismpatterns.prism.io" {
            crd.spec.versions.iter_mut().for_each(loosen);
        }
        api.patch(&name, &PatchParams::apply("tests").force(), &Patch::Apply(&crd)).await.unwrap();
        until(&api, &name, &format!("{name} is served"), PATIENCE, |crd| {
            let conditions = crd.and_then(|crd| crd.status.as_ref()?.conditions.as_ref());
            let is_served =
                conditions.into_iter().flatten().any(|c| c.type_ == "Established" && c.status == "True");
            if is_served { Ok(()) } else { Err("it is not established".to_owned()) }
        })
        .await
        .unwrap();
    }
}

fn loosen(
    version: &mut k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionVersion,
) {
    let anything =
        JSONSchemaProps { x_kubernetes_preserve_unknown_fields: Some(true), ..JSONSchemaProps::default() };
    let root = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()).unwrap();
    let spec = root.properties.as_mut().and_then(|fields| fields.get_mut("spec")).unwrap();
    spec.properties.as_mut().unwrap().insert("replicas".to_owned(), anything);
    version.subresources.as_mut().unwrap().scale = None;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_read_does_not_stop_the_others() {
    let programs = Programs::ensure(&Progress::silent()).unwrap();
    let cluster = ScopedCluster::start(&programs, &Options::default(), &Progress::silent()).await.unwrap();
    let client = cluster.client().await.unwrap();
    install_lax_crds(&client).await;
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
