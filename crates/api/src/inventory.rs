//! What an object has made in the cluster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One object that the operator made for this one.
///
/// The two hashes let an operator that has just started know, without reading a single child, that
/// nothing changed: `applied` stands for what was last asked for, `owned` for the fields that were
/// ours in the cluster right after. While the plan still hashes to `applied`, and the metadata that
/// is watched anyway still hashes to `owned`, there is nothing to write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryEntry {
    /// API group of the object; left out for the core group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind of the object.
    pub kind: String,
    /// Namespace of the object, where it is not the namespace of the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the object.
    pub name: String,
    /// UID of the object: an object of the same name with another UID is not ours to prune.
    pub uid: String,
    /// Hash of what the operator wants the object to be.
    pub applied: String,
    /// Hash of the set of fields that the operator owned in the object after applying it.
    pub owned: String,
}
