//! The settings of the runner, as files.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use prism_api::schema::FreeForm;
use serde_json::Value;

use super::{backend, resolved::ResolvedPattern};
use crate::{
    invalid::Invalid,
    program::{Program, metadata},
    text::{self, bounded},
};

/// Where the files are mounted.
pub(super) const MOUNT_PATH: &str = "/etc/prism";
/// `spec.config`.
pub(super) const CONFIG_FILE: &str = "config.yaml";
/// `spec.backendConfig` and the settings of each backend.
pub(super) const BACKEND_FILE: &str = "backend.yaml";

/// A `ConfigMap` with one file for `config` and one for the backends; none where both are silent.
pub(super) fn build(
    pattern: &ResolvedPattern,
    program: &Program,
    files: BTreeMap<String, String>,
) -> Option<ConfigMap> {
    (!files.is_empty()).then(|| ConfigMap {
        metadata: metadata(program, &name(pattern)),
        data: Some(files),
        ..ConfigMap::default()
    })
}

/// Name of the `ConfigMap`.
pub(super) fn name(pattern: &ResolvedPattern) -> String {
    bounded(&format!("{}-config", pattern.workload), 63)
}

/// Changes with the content of the files: on the pod template it makes a change roll out.
pub(super) fn hash(files: &BTreeMap<String, String>) -> String {
    let content: Vec<&str> = files.iter().flat_map(|(name, content)| [name.as_str(), content]).collect();
    let content = content.join("\0");
    text::hash(content.as_bytes(), 16)
}

/// The files by name.
pub(super) fn files(pattern: &ResolvedPattern) -> Result<BTreeMap<String, String>, Invalid> {
    let mut files = BTreeMap::new();
    if let Some(config) = pattern.spec.config.as_ref().filter(|config| !config.is_empty()) {
        files.insert(CONFIG_FILE.to_owned(), yaml("spec.config", config)?);
    }
    let settings = backend_settings(pattern);
    if !settings.is_empty() {
        files.insert(BACKEND_FILE.to_owned(), yaml("spec.backendConfig", &settings)?);
    }
    Ok(files)
}

/// `backendConfig`, unless it only refers to a `PrismBackend`, with each backend's own settings
/// under its name.
fn backend_settings(pattern: &ResolvedPattern) -> FreeForm {
    let inline = pattern.spec.backend_config.clone().filter(|config| backend::reference(config).is_none());
    let mut settings = inline.unwrap_or_default();
    for backend in &pattern.backends {
        if let Some(config) = &backend.config {
            settings.insert(backend.name.clone(), Value::Object(config.clone()));
        }
    }
    settings
}

fn yaml(field: &str, settings: &FreeForm) -> Result<String, Invalid> {
    serde_saphyr::to_string(settings)
        .map_err(|error| Invalid::new(field, format!("cannot be written as YAML: {error}")))
}
