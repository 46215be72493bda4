//! The custom resource definitions on a cluster.

use kube::Client;
use prism_api::all_crds;
use prism_testbed::definitions::install;

use crate::error::Result;

/// Installs the custom resource definitions, and waits until they are served. Harmless when repeated.
pub async fn install_definitions(client: &Client, manager: &str) -> Result<()> {
    let definitions = all_crds().map_err(kube::Error::SerdeError)?;
    Ok(install(client, manager, &definitions).await?)
}
