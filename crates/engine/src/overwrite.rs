//! Repairing what server-side apply cannot.
//!
//! Apply leaves alone what others have added, also where it makes our own part invalid: somebody
//! who renumbers a Service's port has removed our entry of that list and added one of theirs with
//! the same name. Then our fields are written as a merge patch, which replaces lists as a whole,
//! applied on top as always, and the patch's own claim to the fields is taken back.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{Engine, child::Child, error::Error, live::Live};

/// Suffix of the manager that owns nothing but the moment.
const SUFFIX: &str = "-overwrite";

impl Engine {
    /// Brings the lists of the child to our version, whatever others have put there.
    pub(crate) async fn overwrite(&self, child: &Child, uid: &str) -> Result<Live, Error> {
        let manager = format!("{}{SUFFIX}", self.ledger.manager());
        let params = PatchParams { field_manager: Some(manager.clone()), ..PatchParams::default() };
        let body = child.updating_body(self.ledger.stamp(), uid);
        let (api, name) = (self.api(&child.key), &child.key.name);
        let failed = |error: kube::Error| Error::of_write(&child.key, &error);
        api.patch(name, &params, &Patch::Merge(&body)).await.map_err(failed)?;
        let live = self.send(&child.key, &body).await.map_err(failed)?;
        let mut entries = live.metadata.managed_fields.unwrap_or_default();
        entries.retain(|entry| entry.manager.as_deref() != Some(&manager));
        let claims = json!({"metadata": {
            "uid": uid,
            "resourceVersion": live.metadata.resource_version,
            "managedFields": entries,
        }});
        api.patch(name, &params, &Patch::Merge(&claims)).await.map_err(failed)
    }
}
