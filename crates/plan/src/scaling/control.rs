//! Holding a workload where it is, by annotation.

use std::collections::BTreeMap;

use prism_api::labels::{PINNED_REPLICAS, SCALING_PAUSED};

use crate::invalid::Invalid;

/// The largest number that the schema allows for replicas.
const MOST: i32 = 100_000;

/// What a person has decided about the replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// Nothing: the scaler decides.
    #[default]
    Free,
    /// They stay as they are.
    Paused,
    /// They are this many.
    Pinned(i32),
}

/// What `annotations` say about the scaling of `component` of a stack, or of the object itself if there
/// is none.
///
/// # Errors
/// When the number cannot be read.
pub fn control(
    annotations: Option<&BTreeMap<String, String>>,
    component: Option<&str>,
) -> Result<Control, Invalid> {
    let get = |key: &str| annotations.and_then(|all| all.get(key)).map(|value| value.trim());
    if let Some(pinned) = get(PINNED_REPLICAS)
        && let Some(number) = entry(pinned, component)
    {
        let replicas = number.parse().ok().filter(|replicas| (0..=MOST).contains(replicas));
        return replicas.map(Control::Pinned).ok_or_else(|| {
            let example = component.map_or_else(|| "7".to_owned(), |component| format!("{component}=7"));
            Invalid::new(
                format!("metadata.annotations[{PINNED_REPLICAS}]"),
                format!("write a number from 0 to {MOST}, such as {example}, or remove the annotation"),
            )
        });
    }
    let is_paused = get(SCALING_PAUSED).is_some_and(|value| {
        value == "true"
            || component.is_some_and(|component| value.split(',').any(|name| name.trim() == component))
    });
    Ok(if is_paused { Control::Paused } else { Control::Free })
}

/// The value of `component` in a list such as `proxy=7, web-console=2`.
fn entry<'a>(list: &'a str, component: Option<&str>) -> Option<&'a str> {
    let Some(component) = component else { return Some(list) };
    list.split(',').find_map(|item| {
        let (name, value) = item.split_once('=')?;
        (name.trim() == component).then_some(value.trim())
    })
}
