//! Setting the replicas of a workload, and looking at them.

use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    Engine,
    error::Error,
    live::{Live, WorkloadState},
    object::ObjectKey,
};

/// Suffix of the manager that owns replicas which were decided by the operator's own scaling.
pub(crate) const SUFFIX: &str = "-scaler";

impl Engine {
    /// Sets the replicas of the workload `key`, whoever made it, through its `scale` subresource: so the
    /// field belongs to a manager of its own, and the next scaler takes it over by writing it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if there is no such workload, or the API server cannot be reached.
    pub async fn scale(&self, key: &ObjectKey, replicas: i32) -> Result<(), Error> {
        let manager = format!("{}{SUFFIX}", self.ledger.manager());
        let params = PatchParams { field_manager: Some(manager), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let answer = self.api(key).patch_scale(&key.name, &params, &patch).await;
        answer.map_err(|error| Error::of_write(key, &error))?;
        tracing::info!(kind = key.kind.name, object = &*key.name, replicas, "Scaled {}", key.kind);
        Ok(())
    }

    /// The workload `key` as it is now, whoever made it; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the API server cannot be reached.
    pub async fn look(&self, key: &ObjectKey) -> Result<Option<WorkloadState>, Error> {
        let api: Api<Live> = self.api(key);
        let live = api.get_opt(&key.name).await.map_err(|error| Error::of_write(key, &error))?;
        Ok(live.map(|live| live.workload(self.ledger.signature().notes)))
    }
}
