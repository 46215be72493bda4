//! Kubeconfig files: complete in themselves, so they can be copied anywhere.

use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::certs::{Identity, Pki, write_private};
use crate::error::{Error, Result};

/// Writes a kubeconfig for `identity` at the API server `server`.
pub(crate) fn write(path: &Path, server: &str, pki: &Pki, user: &str, identity: &Identity) -> Result<()> {
    let cluster = json!({ "server": server, "certificate-authority-data": base64(&pki.authority()?) });
    let credentials = json!({
        "client-certificate-data": base64(&identity.certificate),
        "client-key-data": base64(&identity.key),
    });
    write_entries(path, &cluster, user, &credentials)
}

/// Writes a kubeconfig without credentials for a plain HTTP endpoint.
pub(crate) fn write_plain(path: &Path, server: &str) -> Result<()> {
    write_entries(path, &json!({ "server": server }), "proxy", &json!({}))
}

fn write_entries(path: &Path, cluster: &Value, user: &str, credentials: &Value) -> Result<()> {
    let document = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "testbed", "cluster": cluster }],
        "users": [{ "name": user, "user": credentials }],
        "contexts": [{ "name": "testbed", "context": { "cluster": "testbed", "user": user } }],
        "current-context": "testbed",
    });
    let text = serde_saphyr::to_string(&document)
        .map_err(|error| Error::Malformed { path: path.to_owned(), reason: error.to_string() })?;
    write_private(path, &text)
}

/// Configuration from a kubeconfig file, whatever the environment says.
pub(crate) async fn load(path: &Path) -> Result<Config> {
    let kubeconfig = Kubeconfig::read_from(path)?;
    Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

/// A client that reports the first answer: it does not retry, and does not wait for ever.
pub(crate) fn impatient(mut config: Config) -> Result<Client> {
    config.default_retry = false;
    config.connect_timeout = Some(std::time::Duration::from_secs(2));
    Ok(Client::try_from(config)?)
}

/// Text as a field of bytes.
pub(crate) fn base64(text: &str) -> Value {
    // The API type encodes bytes the way Kubernetes wants them.
    json!(k8s_openapi::ByteString(text.as_bytes().to_vec()))
}
