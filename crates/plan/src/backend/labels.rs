//! Labels of a backend's children and pods.

use std::collections::BTreeMap;

use prism_api::{labels, names};

use crate::text::label_value;

/// What the pods are to Prism.
const COMPONENT: &str = "backend";

/// All labels: the recommended ones, those of the group `prism.io`, and the plain ones that make
/// short selectors such as `app=redis,backend=sessions` work.
pub(super) fn all(name: &str, provider: &str, stack: Option<&str>) -> BTreeMap<String, String> {
    let name = label_value(name);
    let mut all = vec![
        (labels::APP_NAME, provider),
        (labels::APP_INSTANCE, &name),
        (labels::APP_COMPONENT, COMPONENT),
        (labels::APP_PART_OF, stack.unwrap_or("prism")),
        (labels::APP_MANAGED_BY, names::MANAGED_BY),
        (labels::COMPONENT, COMPONENT),
        (labels::BACKEND, &name),
        (labels::PLAIN_APP, provider),
        (labels::PLAIN_BACKEND, &name),
    ];
    if let Some(stack) = stack {
        all.extend([(labels::STACK, stack), (labels::PLAIN_STACK, stack)]);
    }
    all.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The labels by which Services and budgets find the pods. Both keys are needed: pods of patterns
/// carry the name of their backend too.
pub(super) fn pod_selector(name: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (labels::COMPONENT.to_owned(), COMPONENT.to_owned()),
        (labels::BACKEND.to_owned(), label_value(name)),
    ])
}
