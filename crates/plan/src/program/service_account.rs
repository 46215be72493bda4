//! The identity of the pods.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::{Program, children::metadata};

/// An account of the program's own, so that programs do not share the one of the namespace; it has no
/// rights unless somebody binds some to it. None if the spec brings one.
pub(super) fn build(program: &Program) -> Option<ServiceAccount> {
    program.service_account_name.is_none().then(|| ServiceAccount {
        metadata: metadata(program, &program.name),
        automount_service_account_token: Some(program.uses_api),
        ..ServiceAccount::default()
    })
}

/// Name of the account the pods run under.
pub(super) fn name(program: &Program) -> String {
    program.service_account_name.clone().unwrap_or_else(|| program.name.clone())
}
