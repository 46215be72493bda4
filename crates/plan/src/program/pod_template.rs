//! The escape hatch: a strategic merge patch on the pod template.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::Value;

use super::{Program, strategic};
use crate::{invalid::Invalid, strict};

/// Applies the block `podTemplate` to `template`. The labels that selectors rely on stay: a workload must never
/// lose its own pods.
pub(super) fn patch(program: &Program, template: PodTemplateSpec) -> Result<PodTemplateSpec, Invalid> {
    let Some(patch) = &program.pod_template else {
        return Ok(template);
    };
    let field = format!("{}.podTemplate", program.field);
    // What is misspelt would vanish silently.
    let words = strategic::without_directives(&Value::Object(patch.clone()));
    strict::typed::<PodTemplateSpec>(&field, &with_containers(words))?;
    let unreadable = |error: serde_json::Error| Invalid::new(&field, error.to_string());
    let mut merged = serde_json::to_value(template).map_err(unreadable)?;
    if let Some(fields) = merged.as_object_mut() {
        strategic::merge(&field, fields, patch).map_err(|(path, advice)| Invalid::new(path, advice))?;
    }
    let mut template: PodTemplateSpec = serde_json::from_value(with_containers(merged))
        .map_err(|error| Invalid::new(&field, format!("{error}: correct it as on a Kubernetes pod")))?;
    let containers = template.spec.iter().flat_map(|pod| &pod.containers);
    if !containers.into_iter().any(|container| container.name == program.container) {
        return Err(Invalid::new(
            field,
            format!("takes the container {} away: leave it, and change what is in it", program.container),
        ));
    }
    let metadata = template.metadata.get_or_insert_default();
    metadata.labels.get_or_insert_default().extend(program.workload_selector());
    Ok(template)
}

/// `containers` is required in the Kubernetes type, and rarely what a patch is about.
fn with_containers(mut template: Value) -> Value {
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        spec.entry("containers").or_insert_with(|| Value::Array(Vec::new()));
    }
    template
}
