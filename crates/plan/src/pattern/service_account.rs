//! The identity of the pods.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::{child::metadata, resolved::ResolvedPattern};

/// An account without any rights, so that runners do not share the one of the namespace. None if
/// the spec brings one.
pub(super) fn build(pattern: &ResolvedPattern) -> Option<ServiceAccount> {
    pattern.spec.service_account_name.is_none().then(|| ServiceAccount {
        metadata: metadata(pattern, &pattern.workload),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    })
}

/// Name of the account the pods run under.
pub(super) fn name(pattern: &ResolvedPattern) -> String {
    pattern.spec.service_account_name.clone().unwrap_or_else(|| pattern.workload.clone())
}
