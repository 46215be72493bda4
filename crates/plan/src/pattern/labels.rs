//! Labels of a pattern's children and pods.

use std::collections::BTreeMap;

use prism_api::{labels, names};

use crate::text::label_value;

/// All labels: the recommended ones, those of the group `prism.io`, and the plain ones that make
/// short selectors such as `app=prism,pattern=consumer` work.
pub(super) fn all(
    name: &str,
    pattern_type: &str,
    backend: Option<&str>,
    stack: Option<&str>,
) -> BTreeMap<String, String> {
    let program = format!("{pattern_type}-runner");
    let part_of = stack.unwrap_or("prism");
    let backend = backend.map(label_value).filter(|value| !value.is_empty());
    let mut all = vec![
        (labels::APP_NAME, program.as_str()),
        (labels::APP_INSTANCE, name),
        (labels::APP_COMPONENT, "pattern"),
        (labels::APP_PART_OF, part_of),
        (labels::APP_MANAGED_BY, names::MANAGED_BY),
        (labels::COMPONENT, "pattern"),
        (labels::PATTERN, pattern_type),
        (labels::PATTERN_INSTANCE, name),
        (labels::PLAIN_APP, "prism"),
        (labels::PLAIN_PATTERN, pattern_type),
        (labels::PLAIN_RUNNER, name),
    ];
    if let Some(backend) = &backend {
        all.extend([(labels::BACKEND, backend.as_str()), (labels::PLAIN_BACKEND, backend.as_str())]);
    }
    if let Some(stack) = stack {
        all.extend([(labels::STACK, stack), (labels::PLAIN_STACK, stack)]);
    }
    all.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The labels by which Services and budgets find the pods, of whatever workload kind.
pub(super) fn pod_selector(name: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(labels::PATTERN_INSTANCE.to_owned(), name.to_owned())])
}
