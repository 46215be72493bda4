//! The requests by which an operator makes children, word for word.

use std::collections::HashMap;

use prism_rig::{Note, OperatorProcess};
use prism_testbed::audit::Entry;
use serde_json::Value;

use crate::bed::Bed;
use crate::error::{Error, Result};
use crate::product;

/// Its requests are in the audit log with their bodies.
const AUDITED_USER: &str = "bench-capture";

/// What an operator sent for the children of all patterns.
pub(crate) struct Captured {
    pub(crate) requests: Vec<Request>,
    namespace: String,
}

/// One server-side apply.
pub(crate) struct Request {
    uri: String,
    body: String,
    owner: String,
    owner_uid: String,
}

/// Lets an operator make the children of all patterns, and keeps what it sent.
pub(crate) async fn requests(bed: &mut Bed) -> Result<Captured> {
    eprintln!("capture: what the operator sends");
    let place = bed.place("capture").await?;
    let kubeconfig = bed.user(AUDITED_USER, true)?;
    let patterns = bed.patterns.clone();
    let client = bed.client("bench-user").await?;
    let audit = bed.testbed.audit()?;
    let mark = audit.mark()?;
    let mut operator = OperatorProcess::start(&kubeconfig, &product::arguments(bed))?;
    bed.steps.step("    operator", async |note| operator.leads(note).await).await?;
    let created = async |_: &Note| patterns.create(&client, &place.name).await;
    bed.steps.step("    custom resources", created).await?;
    let ready = async |note: &Note| {
        product::all_ready(&mut operator, &client, &place.name, patterns.count, note).await
    };
    bed.steps.step("    all Ready", ready).await?;
    operator.stop().await;
    let mut entries = audit.since(mark, |user| user == AUDITED_USER)?;
    entries.retain(is_creation);
    entries.sort_by_key(|entry| entry.received);
    let requests = entries.into_iter().filter_map(Request::read).collect::<Vec<_>>();
    if requests.is_empty() {
        return Err(Error::NothingSeen("creation of a child"));
    }
    let namespace = place.name.clone();
    bed.clear(place).await?;
    bed.calm().await?;
    Ok(Captured { requests, namespace })
}

/// Whether the request made a child.
pub(crate) fn is_creation(entry: &Entry) -> bool {
    entry.verb == "patch" && entry.code == 201 && entry.subresource.is_empty() && !entry.is_lease()
}

impl Request {
    fn read(entry: Entry) -> Option<Self> {
        let body = entry.request_object?;
        let owner = &body["metadata"]["ownerReferences"][0];
        let text = |field: &str| owner[field].as_str().map(str::to_owned);
        Some(Self {
            uri: entry.uri,
            owner: text("name")?,
            owner_uid: text("uid")?,
            body: Value::to_string(&body),
        })
    }
}

impl Captured {
    /// Those of them that made a child of one kind, by its plural name.
    pub(crate) fn only(mut self, resource: &str) -> Self {
        let part = format!("/{resource}/");
        self.requests.retain(|request| request.uri.contains(&part));
        self
    }

    /// The same requests for another namespace, where the patterns have these UIDs.
    pub(crate) fn moved_to(
        &self,
        namespace: &str,
        uids: &HashMap<String, String>,
    ) -> Result<Vec<http::Request<Vec<u8>>>> {
        let moved = self.requests.iter().map(|request| {
            let uid = uids.get(&request.owner).map_or("", String::as_str);
            let body = request.body.replace(&self.namespace, namespace).replace(&request.owner_uid, uid);
            let request = http::Request::patch(request.uri.replace(&self.namespace, namespace))
                .header(http::header::ACCEPT, "application/json")
                .header(http::header::CONTENT_TYPE, "application/apply-patch+yaml")
                .body(body.into_bytes());
            request.map_err(kube::Error::HttpError).map_err(Error::from)
        });
        moved.collect()
    }

    /// The requests as they update what is there: without the precondition that lets them only create.
    pub(crate) fn updating(request: &http::Request<Vec<u8>>) -> Result<http::Request<Vec<u8>>> {
        let json = |error| Error::Json("a captured request", error);
        let mut body: Value = serde_json::from_slice(request.body()).map_err(json)?;
        if let Some(metadata) = body["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
        }
        let mut updating = request.clone();
        *updating.body_mut() = body.to_string().into_bytes();
        Ok(updating)
    }
}
