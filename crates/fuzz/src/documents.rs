//! The samples of the project, with some of their fields changed.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use crate::hostile;

/// A change of one field of a document.
#[derive(Clone, Debug)]
pub enum Edit {
    /// It gets another value.
    Replace(Value),
    /// It goes.
    Remove,
    /// It gets a field, or an element, more.
    Add(String, Value),
    /// It gets the value that another field of the document has.
    Copy(prop::sample::Index),
}

/// Every document of `config/samples` whose kind is `kind`.
///
/// # Errors
/// A sentence, if there is none or it cannot be read.
pub fn samples(kind: &str) -> Result<Vec<Value>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/samples");
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", folder.display());
    let mut found = Vec::new();
    for file in std::fs::read_dir(&folder).map_err(|error| told(&error))?.flatten() {
        let text = std::fs::read_to_string(file.path()).map_err(|error| told(&error))?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).map_err(|error| told(&error))?;
        found.extend(documents.into_iter().filter(|document| document["kind"] == kind));
    }
    if found.is_empty() { Err(told(&format!("no sample of {kind}"))) } else { Ok(found) }
}

/// One of `samples` with up to six edits.
pub fn edited(samples: Vec<Value>) -> impl Strategy<Value = Value> {
    let edit = prop_oneof![
        4 => hostile::json().prop_map(Edit::Replace),
        1 => Just(Edit::Remove),
        2 => (hostile::text(), hostile::json()).prop_map(|(name, value)| Edit::Add(name, value)),
        2 => any::<prop::sample::Index>().prop_map(Edit::Copy),
    ];
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), edit), 1..7);
    (proptest::sample::select(samples), edits).prop_map(|(mut document, edits)| {
        for (place, edit) in edits {
            apply(&mut document, place, edit);
        }
        document
    })
}

fn apply(document: &mut Value, place: prop::sample::Index, edit: Edit) {
    let mut pointers = Vec::new();
    collect(document.get("spec").unwrap_or(&Value::Null), "/spec", &mut pointers);
    if pointers.is_empty() {
        return;
    }
    let pointer = place.get(&pointers).clone();
    let copied = match &edit {
        Edit::Copy(other) => document.pointer(&pointers[other.index(pointers.len())]).cloned(),
        _ => None,
    };
    match edit {
        Edit::Remove => {
            let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", &pointer));
            match document.pointer_mut(parent) {
                Some(Value::Object(fields)) => drop(fields.remove(name)),
                Some(Value::Array(elements)) => elements.clear(),
                _ => {}
            }
        }
        Edit::Replace(value) => set(document, &pointer, value),
        Edit::Copy(_) => set(document, &pointer, copied.unwrap_or_default()),
        Edit::Add(name, value) => match document.pointer_mut(&pointer) {
            Some(Value::Object(fields)) => drop(fields.insert(name, value)),
            Some(Value::Array(elements)) => elements.push(value),
            _ => {}
        },
    }
}

fn set(document: &mut Value, pointer: &str, value: Value) {
    if let Some(field) = document.pointer_mut(pointer) {
        *field = value;
    }
}

/// JSON pointers to `value` and to everything in it.
fn collect(value: &Value, at: &str, pointers: &mut Vec<String>) {
    pointers.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| !name.contains(['/', '~'])) {
                collect(value, &format!("{at}/{name}"), pointers);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                collect(value, &format!("{at}/{index}"), pointers);
            }
        }
        _ => {}
    }
}
