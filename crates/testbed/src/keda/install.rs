//! What the cluster has to know of KEDA: its kinds, its permissions, and where its programs are.

use std::path::Path;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::programs::{METRICS_API, PERMISSIONS, WEBHOOKS};
use super::{KedaPrograms, NAMESPACE};
use crate::definitions::{self, ThirdParty, third_party};
use crate::error::{Error, Result, io};
use crate::kubeconfig::base64;

/// Who writes what KEDA comes with.
const FIELD_MANAGER: &str = "prism-testbed";
/// Name of the Service behind the aggregated API.
pub(super) const METRICS_SERVICE: &str = "keda-metrics-apiserver";

/// Installs KEDA's definitions and returns when the cluster serves its kinds. Starts nothing.
///
/// # Errors
/// As [`third_party`]; [`Error::NotReady`] when the cluster does not serve them.
pub async fn install_definitions(client: &Client) -> Result<()> {
    definitions::install(client, FIELD_MANAGER, &third_party(ThirdParty::Keda).await?).await
}

/// Writes the namespace and the permissions that KEDA ships.
pub(super) async fn permissions(client: &Client, programs: &KedaPrograms) -> Result<()> {
    apply(client, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } }))
        .await?;
    for manifest in PERMISSIONS {
        for document in read(&programs.manifest(manifest))? {
            apply(client, document).await?;
        }
    }
    Ok(())
}

/// Sends the external metrics API to the adapter: the Service leads to `port` on this machine.
pub(super) async fn metrics_api(
    client: &Client,
    programs: &KedaPrograms,
    port: u16,
    authority: &str,
) -> Result<()> {
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": METRICS_SERVICE, "namespace": NAMESPACE },
        "spec": { "type": "ExternalName", "externalName": "localhost" },
    });
    apply(client, service).await?;
    for mut document in read(&programs.manifest(METRICS_API))? {
        document["spec"]["service"]["port"] = port.into();
        document["spec"]["caBundle"] = base64(authority);
        apply(client, document).await?;
    }
    Ok(())
}

/// Registers the webhooks as KEDA ships them, at `port` on this machine.
pub(super) async fn webhooks(
    client: &Client,
    programs: &KedaPrograms,
    port: u16,
    authority: &str,
) -> Result<()> {
    let path = programs.manifest(WEBHOOKS);
    for mut document in read(&path)? {
        for webhook in document["webhooks"].as_array_mut().into_iter().flatten() {
            let endpoint = webhook["clientConfig"]["service"]["path"].as_str().ok_or_else(|| {
                Error::Malformed { path: path.clone(), reason: "a webhook has no path".into() }
            })?;
            webhook["clientConfig"] = json!({
                "url": format!("https://127.0.0.1:{port}{endpoint}"),
                "caBundle": base64(authority),
            });
        }
        apply(client, document).await?;
    }
    Ok(())
}

async fn apply(client: &Client, document: Value) -> Result<()> {
    let object: DynamicObject = serde_json::from_value(document).map_err(malformed)?;
    let kind = GroupVersionKind::try_from(object.types.clone().unwrap_or_default()).map_err(malformed)?;
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = match object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(&object.name_any(), &parameters, &Patch::Apply(&object)).await?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).map_err(io("read", path))?;
    serde_saphyr::from_multiple(&text)
        .map_err(|error| Error::Malformed { path: path.to_owned(), reason: error.to_string() })
}

fn malformed(error: impl std::fmt::Display) -> Error {
    Error::Malformed { path: "a manifest of KEDA".into(), reason: error.to_string() }
}
