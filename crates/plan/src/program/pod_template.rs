//! The escape hatch: a strategic merge patch on the pod template.

use k8s_openapi::{DeepMerge, api::core::v1::PodTemplateSpec};
use serde_json::Value;

use super::Program;
use crate::{invalid::Invalid, strict};

/// Merges the block `podTemplate` into `template`, lists by their Kubernetes merge keys. The labels that
/// selectors rely on stay: a workload must never lose its own pods.
pub(super) fn patch(program: &Program, mut template: PodTemplateSpec) -> Result<PodTemplateSpec, Invalid> {
    let Some(patch) = &program.pod_template else {
        return Ok(template);
    };
    let patch: PodTemplateSpec =
        strict::typed(&format!("{}.podTemplate", program.field), &Value::Object(with_containers(patch)))?;
    template.merge_from(patch);
    let metadata = template.metadata.get_or_insert_default();
    metadata.labels.get_or_insert_default().extend(program.workload_selector());
    Ok(template)
}

/// `containers` is required in the Kubernetes type, and rarely what a patch is about.
fn with_containers(patch: &prism_api::schema::FreeForm) -> prism_api::schema::FreeForm {
    let mut patch = patch.clone();
    if let Some(spec) = patch.get_mut("spec").and_then(Value::as_object_mut) {
        spec.entry("containers").or_insert_with(|| Value::Array(Vec::new()));
    }
    patch
}
