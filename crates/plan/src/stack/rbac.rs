//! What the admin may do in the cluster: elect a leader, and nothing else.

use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use prism_api::component::AdminSpec;

use super::admin;
use crate::program::{Program, metadata};

/// Role and binding, where members elect a leader by a Lease.
pub(super) fn build(spec: &AdminSpec, program: &Program) -> Option<(Role, RoleBinding)> {
    admin::elects(spec)?;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let role = Role {
        metadata: metadata(program, &program.name),
        rules: Some(vec![
            PolicyRule {
                api_groups: Some(words(&["coordination.k8s.io"])),
                resources: Some(words(&["leases"])),
                // A name cannot be asked for when the object is made.
                verbs: words(&["create"]),
                ..PolicyRule::default()
            },
            PolicyRule {
                api_groups: Some(words(&["coordination.k8s.io"])),
                resources: Some(words(&["leases"])),
                resource_names: Some(vec![program.name.clone()]),
                verbs: words(&["get", "update", "patch", "watch"]),
                ..PolicyRule::default()
            },
            PolicyRule {
                api_groups: Some(words(&["", "events.k8s.io"])),
                resources: Some(words(&["events"])),
                verbs: words(&["create", "patch"]),
                ..PolicyRule::default()
            },
        ]),
    };
    let account = program.service_account_name.clone().unwrap_or_else(|| program.name.clone());
    let binding = RoleBinding {
        metadata: metadata(program, &program.name),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: program.name.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: account,
            namespace: Some(program.namespace.clone()),
            api_group: None,
        }]),
    };
    Some((role, binding))
}
