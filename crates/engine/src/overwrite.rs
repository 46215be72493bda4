//! Repairing what server-side apply cannot.
//!
//! Apply leaves alone what others have added, also where that makes our own part invalid: somebody
//! who renumbers a Service's port has removed our entry of that list and added one of theirs with
//! the same name; somebody who gives a budget a second limit has made two of one. Then our fields are
//! written as a merge patch, which replaces lists as a whole; if that does not help, it takes away what
//! others own of the spec as well. Then they are applied on top as always, and the patch's own claim to
//! the fields is taken back.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::{Engine, child::Child, error::has_code, foreign::removals, live::Live, object::Depth};

/// Suffix of the manager that owns nothing but the moment.
pub(crate) const SUFFIX: &str = "-overwrite";

/// How much of what others have put there goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Entries of lists in which the child has some.
    Lists,
    /// Everything in its spec.
    Spec,
}

impl Engine {
    /// Brings the child, which `body` updates, to our version as far as it takes to have the API server accept it.
    pub(crate) async fn make_room(&self, child: &Child, body: &Value) -> Result<Live, kube::Error> {
        match self.overwrite(child, body, Extent::Lists).await {
            Err(error) if has_code(&error, 422) => self.overwrite(child, body, Extent::Spec).await,
            answer => answer,
        }
    }

    /// Writes `body` over what others have put there.
    pub(crate) async fn overwrite(
        &self,
        child: &Child,
        body: &Value,
        extent: Extent,
    ) -> Result<Live, kube::Error> {
        let manager = format!("{}{SUFFIX}", self.ledger.manager());
        let params = PatchParams { field_manager: Some(manager.clone()), ..PatchParams::default() };
        let (api, name) = (self.api(&child.key), &child.key.name);
        let mut patch = body.clone();
        if extent == Extent::Spec {
            let entries = api.get(name).await?.metadata.managed_fields.unwrap_or_default();
            let may_be_scaled = child.key.kind.depth == Depth::Workload;
            merge(&mut patch["spec"], removals(&entries, self.ledger.manager(), may_be_scaled).into());
        }
        api.patch(name, &params, &Patch::Merge(&patch)).await?;
        let live = self.send(&child.key, body).await?;
        let mut entries = live.metadata.managed_fields.unwrap_or_default();
        entries.retain(|entry| entry.manager.as_deref() != Some(&manager));
        let claims = json!({"metadata": {
            "uid": body["metadata"]["uid"],
            "resourceVersion": live.metadata.resource_version,
            "managedFields": entries,
        }});
        api.patch(name, &params, &Patch::Merge(&claims)).await
    }
}

/// Adds the fields of `more` that `body` does not have.
fn merge(body: &mut Value, more: Value) {
    match (body, more) {
        (Value::Object(body), Value::Object(more)) => {
            for (name, value) in more {
                match body.get_mut(&name) {
                    Some(known) => merge(known, value),
                    None => drop(body.insert(name, value)),
                }
            }
        }
        (body @ Value::Null, more) => *body = more,
        _ => {}
    }
}
