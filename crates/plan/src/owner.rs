//! Owner references of children.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

/// What `metadata.ownerReferences` of the children of a custom resource says: they go with it.
pub(crate) fn reference(kind: &str, name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: "prism.io/v1alpha1".to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
