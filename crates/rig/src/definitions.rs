//! The custom resource definitions on a cluster.

use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionCondition,
};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use prism_api::all_crds;
use prism_testbed::until;

use crate::error::Result;

/// The API server serves a new definition within this time.
const SERVED_TIMEOUT: Duration = Duration::from_secs(30);

/// Installs the custom resource definitions, and waits until they are served. Harmless when repeated.
pub async fn install_definitions(client: &Client, manager: &str) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply(manager).force();
    let crds = all_crds().map_err(kube::Error::SerdeError)?;
    let installed = crds.iter().map(async |crd| {
        let name = crd.name_any();
        api.patch(&name, &params, &Patch::Apply(crd)).await?;
        let what = format!("{name} is served");
        let served = until(&api, &name, &what, SERVED_TIMEOUT, |crd| {
            let status = crd.and_then(|crd| crd.status.as_ref());
            let conditions = status.and_then(|status| status.conditions.as_deref());
            if conditions.is_some_and(|conditions| conditions.iter().any(is_established)) {
                Ok(())
            } else {
                Err("it is not established".to_owned())
            }
        });
        Ok(Box::pin(served).await?)
    });
    try_join_all(installed).await.map(drop)
}

fn is_established(condition: &CustomResourceDefinitionCondition) -> bool {
    condition.type_ == "Established" && condition.status == "True"
}
