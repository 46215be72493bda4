//! An API server that remembers objects, and fails on purpose.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};

/// Where reviews of access are asked for.
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// What it remembers.
#[derive(Default)]
pub(super) struct Cluster {
    /// Objects by path.
    objects: Mutex<BTreeMap<String, Value>>,
    /// Writes, reviews among them.
    writes: Mutex<Vec<String>>,
    /// Stored by somebody else just before the next write.
    rival: Mutex<Option<(String, Value)>>,
    /// Answers every request.
    outage: Mutex<Option<StatusCode>>,
}

impl Cluster {
    pub(super) fn client(self: &Arc<Self>) -> Client {
        let cluster = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let cluster = cluster.clone();
            async move { Ok::<_, Infallible>(cluster.answer(request).await) }
        });
        Client::new(service, "default")
    }

    pub(super) fn put(&self, path: &str, mut object: Value) {
        object["metadata"]["resourceVersion"] = json!("1");
        self.objects.lock().unwrap().insert(path.to_owned(), object);
    }

    pub(super) fn get(&self, path: &str) -> Value {
        self.objects.lock().unwrap()[path].clone()
    }

    pub(super) fn remove(&self, path: &str) {
        self.objects.lock().unwrap().remove(path);
    }

    pub(super) fn writes(&self) -> Vec<String> {
        self.writes.lock().unwrap().clone()
    }

    /// Somebody else writes `object` just before our next write.
    pub(super) fn is_overtaken_by(&self, path: &str, object: Value) {
        *self.rival.lock().unwrap() = Some((path.to_owned(), object));
    }

    /// Every request fails from now on.
    pub(super) fn fails_with(&self, code: StatusCode) {
        *self.outage.lock().unwrap() = Some(code);
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let body = body.collect().await.unwrap().to_bytes();
        if let Some(code) = *self.outage.lock().unwrap() {
            return failure(code);
        }
        if head.method == Method::GET {
            let found = self.objects.lock().unwrap().get(&path).cloned();
            return found
                .map_or_else(|| failure(StatusCode::NOT_FOUND), |object| answer(StatusCode::OK, &object));
        }
        let mut object: Value = serde_json::from_slice(&body).unwrap();
        self.writes.lock().unwrap().push(format!("{} {path}", head.method));
        if path == REVIEWS {
            object["status"] = json!({"allowed": object["spec"]["user"] == "hpa"});
            return answer(StatusCode::CREATED, &object);
        }
        if let Some((path, object)) = self.rival.lock().unwrap().take() {
            self.put(&path, object);
        }
        let mut objects = self.objects.lock().unwrap();
        let key = match head.method {
            Method::POST => format!("{path}/{}", object["metadata"]["name"].as_str().unwrap()),
            _ => path,
        };
        let version = objects.get(&key).map(|known| known["metadata"]["resourceVersion"].clone());
        if version != object["metadata"].get("resourceVersion").cloned() {
            return failure(StatusCode::CONFLICT);
        }
        let next = version.map_or(1, |version| version.as_str().unwrap().parse::<u64>().unwrap() + 1);
        object["metadata"]["resourceVersion"] = json!(next.to_string());
        objects.insert(key, object.clone());
        answer(StatusCode::OK, &object)
    }
}

fn failure(code: StatusCode) -> Response<Body> {
    let reason = code.canonical_reason().unwrap().replace(' ', "");
    answer(
        code,
        &json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": reason, "reason": reason, "code": code.as_u16(),
        }),
    )
}

fn answer(code: StatusCode, object: &Value) -> Response<Body> {
    Response::builder().status(code).body(Body::from(serde_json::to_vec(object).unwrap())).unwrap()
}
