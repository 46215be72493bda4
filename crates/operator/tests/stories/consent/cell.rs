//! One cell of the matrix: what its two namespaces hold, and what was seen of them.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, Namespace, Secret, Service},
};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use prism_api::{PrismAutoscaler, PrismBackend, PrismStack};
use prism_testbed::audit::Entry;
use serde_json::{Value, json};

use super::references::{OURS, Reference};
use crate::world::World;

/// What stands in the addresses of the host namespace, and nowhere else.
const CANARY: &str = "canary";

pub(super) const COLUMNS: [&str; 4] = ["no consent", "consent", "withdrawn", "forged"];
pub(super) const CONSENT: usize = 1;
pub(super) const WITHDRAWN: usize = 2;
pub(super) const FORGED: usize = 3;

/// One reference in one column: a namespace that asks, and one that is asked.
pub(super) struct Cell {
    pub(super) reference: &'static Reference,
    pub(super) column: usize,
    pub(super) a: String,
    pub(super) b: String,
}

/// What was seen of a cell.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) reads: usize,
    pub(super) writes: usize,
    pub(super) arrived: String,
}

impl Cell {
    fn has_consent(&self) -> bool {
        [CONSENT, WITHDRAWN].contains(&self.column)
    }

    /// What the owner of `b` has there.
    pub(super) async fn host(&self, world: &World) {
        let b = &self.b;
        world.namespace(b, self.has_consent().then_some("redis")).await;
        world.namespace(&self.a, None).await;
        world.backend_service(b, "db", &format!("redis://{CANARY}-service.{b}:6379"), 6379).await;
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "login"}, "stringData": {"username": CANARY, "password": CANARY},
        }))
        .unwrap();
        world.api::<Secret>(b).create(&PostParams::default(), &secret).await.unwrap();
        let url =
            json!({"connection": {"url": format!("redis://user:{CANARY}-password@{CANARY}-backend.{b}")}});
        world.put::<PrismBackend>(b, "db", url.clone()).await;
        let mut backend = url;
        backend["name"] = json!("db");
        let spec = json!({"admin": {"replicas": 1}, "proxy": {"enabled": false}, "backends": [backend]});
        world.put::<PrismStack>(b, "orders", spec).await;
    }

    /// What somebody in `a` writes; forged marks say that it belongs to the stack of `b`.
    pub(super) async fn ask(&self, world: &World) {
        let stack = world.api::<PrismStack>(&self.b).get("orders").await.unwrap();
        let metadata = if self.column == FORGED {
            json!({
                "annotations": {"prism.io/owned-by": format!("PrismStack/{}/orders/{}", self.b, stack.uid().unwrap())},
                "labels": {"prism.io/stack": "orders", "app.kubernetes.io/managed-by": "prism-operator"},
            })
        } else {
            json!({})
        };
        if self.reference.kind == "PrismAutoscaler" {
            let mut worker = json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
                "spec": {
                    "selector": {"matchLabels": {"app": "w"}},
                    "template": {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [{"name": "w", "image": "w"}]}},
                },
            });
            worker["metadata"]["name"] = json!("main-worker");
            let api = world.api::<Deployment>(&self.a);
            api.patch("main-worker", &PatchParams::apply("user").force(), &Patch::Apply(&worker))
                .await
                .unwrap();
        }
        for (kind, name, spec) in (self.reference.objects)(&self.b) {
            let api_version = if kind == "PrismNamespace" { "v1alpha2" } else { "v1alpha1" };
            let resource = ApiResource {
                group: "prism.io".to_owned(),
                version: api_version.to_owned(),
                api_version: format!("prism.io/{api_version}"),
                kind: kind.to_owned(),
                plural: format!("{}s", kind.to_lowercase()),
            };
            let mut body = json!({
                "apiVersion": resource.api_version, "kind": kind, "metadata": metadata.clone(), "spec": spec,
            });
            body["metadata"]["name"] = json!(name);
            let api: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &self.a, &resource);
            api.patch(name, &PatchParams::apply("user").force(), &Patch::Apply(&body)).await.unwrap();
        }
    }

    /// Takes the consent back, and has an edit wait that would change what runs.
    pub(super) async fn withdraw(&self, world: &World) {
        let namespaces: Api<Namespace> = Api::all(world.client.clone());
        let patch = json!({"metadata": {"labels": {"prism.io/backend-type": null}}});
        namespaces.patch(&self.b, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        let edit = |path: &str, patch: Value| (path.to_owned(), patch);
        let edits = match self.reference.kind {
            "PrismStack" => vec![edit("stack", json!({"spec": {"version": "9.9.9"}}))],
            _ => vec![edit("pattern", json!({"spec": {"replicas": 3}}))],
        };
        for (what, patch) in edits {
            let patch = Patch::Merge(&patch);
            let params = PatchParams::default();
            // Not every reference has such an object.
            let answer = if what == "stack" {
                world.api::<PrismStack>(&self.a).patch(OURS, &params, &patch).await.map(drop)
            } else {
                world
                    .api::<prism_api::PrismPattern>(&self.a)
                    .patch("main-reader", &params, &patch)
                    .await
                    .map(drop)
            };
            assert!(matches!(&answer, Ok(()) | Err(kube::Error::Api(_))), "{answer:?}");
        }
    }

    /// Objects in `namespace`, as JSON: what the stack of `a` has made, or everything in `a`.
    async fn objects(&self, world: &World, namespace: &str) -> Vec<Value> {
        let list = ListParams::default();
        let all = [
            json!(world.api::<Deployment>(namespace).list(&list).await.unwrap().items),
            json!(world.api::<StatefulSet>(namespace).list(&list).await.unwrap().items),
            json!(world.api::<Service>(namespace).list(&list).await.unwrap().items),
            json!(world.api::<ConfigMap>(namespace).list(&list).await.unwrap().items),
            json!(world.api::<PrismBackend>(namespace).list(&list).await.unwrap().items),
            json!(world.api::<PrismAutoscaler>(namespace).list(&list).await.unwrap().items),
        ];
        let all = all.into_iter().flat_map(|items| items.as_array().cloned().unwrap_or_default());
        all.filter(|object| {
            object["metadata"]["name"].as_str().is_some_and(|name| name != "kube-root-ca.crt")
        })
        .collect()
    }

    /// What of `b` is in the hands of `a`.
    pub(super) async fn arrived(&self, world: &World) -> String {
        let mut arrived = BTreeSet::new();
        let at_home = self.objects(world, &self.a).await;
        let away = self.objects(world, &self.b).await;
        let away: Vec<_> = away
            .into_iter()
            .filter(|object| object["metadata"]["name"].as_str().unwrap().starts_with(OURS))
            .collect();
        for object in at_home.iter().chain(&away) {
            let text = object.to_string();
            if text.contains(CANARY) {
                arrived.insert("address");
            }
            let says = object["status"]["conditions"].to_string();
            if object["kind"] == "PrismAutoscaler" && !says.contains("there is no admin to ask") {
                arrived.insert("admin");
            }
            if object["spec"]["template"].to_string().contains("\"login\"") {
                arrived.insert("secret");
            }
        }
        if !away.is_empty() {
            arrived.insert("objects");
        }
        if arrived.is_empty() { "-".to_owned() } else { arrived.into_iter().collect::<Vec<_>>().join(", ") }
    }

    /// Generations of the workloads of `a`, wherever they are: a change of their bodies moves them.
    pub(super) async fn bodies(&self, world: &World) -> Vec<(String, Value)> {
        let mut bodies = Vec::new();
        for namespace in [&self.a, &self.b] {
            for object in self.objects(world, namespace).await {
                let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                if name.starts_with(OURS) && !object["spec"]["template"].is_null() {
                    bodies.push((format!("{namespace}/{name}"), object["metadata"]["generation"].clone()));
                }
            }
        }
        bodies
    }

    /// Requests of the operator that are about `b`, those about the owner's own objects apart.
    fn requests<'a>(&'a self, all: &'a [Entry]) -> impl Iterator<Item = &'a Entry> {
        let is_own = |entry: &Entry| {
            entry.name == "db" || entry.name.starts_with("orders") || entry.group == "events.k8s.io"
        };
        // What was left there says so in its status.
        let is_word = |entry: &Entry| self.column == WITHDRAWN && entry.subresource == "status";
        all.iter().filter(move |entry| entry.namespace == self.b && !is_own(entry) && !is_word(entry))
    }

    pub(super) fn seen(&self, all: &[Entry], arrived: String) -> Seen {
        let (writes, reads): (Vec<_>, Vec<_>) = self.requests(all).partition(|entry| entry.is_write());
        Seen { reads: reads.len(), writes: writes.len(), arrived }
    }
}
