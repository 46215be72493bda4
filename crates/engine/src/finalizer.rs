//! Holding an owner back until its children in other namespaces are gone.

use kube::{
    api::{Patch, PatchParams},
    core::ObjectMeta,
};
use serde_json::json;

use crate::{
    Engine,
    error::{Error, has_code},
    object::Owner,
};

/// Suffix of the manager of finalizers: the owner may itself be a child that is applied without them.
pub(crate) const SUFFIX: &str = "-finalizer";

impl Engine {
    /// Makes sure that `owner` has the finalizer, so that its deletion waits for [`Engine::let_go`].
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn hold(&self, owner: &Owner, metadata: &ObjectMeta) -> Result<(), Error> {
        let finalizer = self.ledger().finalizer();
        if metadata.finalizers.iter().flatten().any(|known| known == finalizer) {
            return Ok(());
        }
        let body = json!({
            "apiVersion": owner.key.kind.api_version(),
            "kind": owner.key.kind.name,
            "metadata": {"name": &*owner.key.name, "uid": &*owner.uid, "finalizers": [finalizer]},
        });
        let params = PatchParams::apply(&format!("{}{SUFFIX}", self.ledger().manager()));
        let answer = self.api(&owner.key).patch(&owner.key.name, &params, &Patch::Apply(&body)).await;
        answer.map(drop).map_err(|error| Error::of_write(&owner.key, &error))
    }

    /// Takes the finalizer off, so that `owner` can go.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn let_go(&self, owner: &Owner, metadata: &ObjectMeta) -> Result<(), Error> {
        let finalizer = self.ledger().finalizer();
        let others: Vec<_> =
            metadata.finalizers.iter().flatten().filter(|known| *known != finalizer).collect();
        let patch = Patch::Merge(json!({"metadata": {
            "uid": &*owner.uid,
            "resourceVersion": metadata.resource_version,
            "finalizers": others,
        }}));
        match self.api(&owner.key).patch(&owner.key.name, &PatchParams::default(), &patch).await {
            Ok(_) => Ok(()),
            Err(error) if has_code(&error, 404) => Ok(()),
            Err(error) => Err(Error::of_write(&owner.key, &error)),
        }
    }
}
