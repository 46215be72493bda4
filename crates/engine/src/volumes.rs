//! Growing the claims of a workload.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    Engine,
    error::Error,
    object::{Kind, KindInfo, ObjectKey},
};

/// Claims are made by the workload's controller: they are no children, and not watched.
pub const CLAIM: Kind = Kind(&KindInfo::new("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"));

impl Engine {
    /// Asks for `size` for each claim of the template `volume` of the `StatefulSet` `workload` that
    /// `is_smaller` says is smaller. Claims carry the labels of their template: `selector`. Returns whether there was any.
    ///
    /// # Errors
    /// [`Error::Rejected`], about a [`CLAIM`], when the storage class does not let volumes grow.
    pub async fn grow_claims(
        &self,
        workload: &ObjectKey,
        volume: &str,
        selector: &str,
        size: &str,
        is_smaller: impl Fn(&str) -> bool,
    ) -> Result<bool, Error> {
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &workload.namespace);
        let failed = |error: kube::Error| Error::of_write(workload, &error);
        let claims = api.list(&ListParams::default().labels(selector)).await.map_err(failed)?;
        let prefix = format!("{volume}-{}-", workload.name);
        let patch = Patch::Merge(json!({"spec": {"resources": {"requests": {"storage": size}}}}));
        let params =
            PatchParams { field_manager: Some(self.ledger.manager().to_owned()), ..PatchParams::default() };
        let mut has_grown = false;
        for claim in claims {
            let name = claim.metadata.name.unwrap_or_default();
            let requests =
                claim.spec.and_then(|spec| spec.resources).and_then(|resources| resources.requests);
            let current = requests.as_ref().and_then(|requests| requests.get("storage"));
            if name.starts_with(&prefix) && current.is_some_and(|current| is_smaller(&current.0)) {
                let key = ObjectKey::new(CLAIM, &workload.namespace, &name);
                let refused = |error: kube::Error| Error::of_write(&key, &error);
                api.patch(&name, &params, &patch).await.map_err(refused)?;
                has_grown = true;
            }
        }
        Ok(has_grown)
    }
}
