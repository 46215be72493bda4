//! The inventory in a status, and the ledger that it stands for between two processes.

use prism_api::inventory::InventoryEntry;
use prism_engine::{
    Engine,
    ledger::Applied,
    object::{ObjectKey, Owner},
};

use crate::kinds;

/// What an earlier process wrote down. Entries of kinds that this version does not know, or that
/// cannot be read, are passed over: their children are applied again.
pub(crate) fn read(owner: &Owner, inventory: &[InventoryEntry]) -> Vec<(ObjectKey, Applied)> {
    let entry = |entry: &InventoryEntry| {
        let kind = kinds::all().find(|kind| {
            kind.name == entry.kind && kind.group == entry.group.as_deref().unwrap_or_default()
        })?;
        let namespace = entry.namespace.as_deref().unwrap_or(&owner.key.namespace);
        let applied = Applied {
            uid: entry.uid.as_str().into(),
            wanted: entry.applied.parse().ok()?,
            owned: entry.owned.parse().ok()?,
        };
        Some((ObjectKey::new(kind, namespace, &entry.name), applied))
    };
    inventory.iter().filter_map(entry).collect()
}

/// What the next process has to know of `children`, whose owner lives in the namespace `home`.
pub(crate) fn write(
    engine: &Engine,
    home: &str,
    children: impl IntoIterator<Item = ObjectKey>,
) -> Vec<InventoryEntry> {
    let entry = |key: ObjectKey| {
        let applied = engine.ledger().applied(&key)?;
        Some(InventoryEntry {
            group: Some(key.kind.group).filter(|group| !group.is_empty()).map(str::to_owned),
            kind: key.kind.name.to_owned(),
            namespace: Some(key.namespace.to_string()).filter(|namespace| namespace != home),
            name: key.name.to_string(),
            uid: applied.uid.to_string(),
            applied: applied.wanted.to_string(),
            owned: applied.owned.to_string(),
        })
    };
    let order = |entry: &InventoryEntry| (entry.kind.clone(), entry.namespace.clone(), entry.name.clone());
    let mut inventory: Vec<_> = children.into_iter().filter_map(entry).collect();
    inventory.sort_by_cached_key(order);
    inventory
}
