//! Whatever stands in a list, its neighbours are decoded, and the place of what cannot be is known.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use kube::Resource;
use kube::core::{ObjectList, WatchEvent};
use prism_api::PrismPattern;
use prism_engine::decode::Decoded;
use prism_fuzz::documents::{edited, samples};
use prism_fuzz::{fuzz, hostile};
use proptest::prelude::*;
use serde_json::{Value, json};

type Patterns = ObjectList<Decoded<PrismPattern>>;

/// `text` inside of so many objects.
fn nested(levels: usize, text: &str) -> String {
    format!("{}{text}{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

/// An object as an API server sends it: edited, with a free-form block that is as deep as it likes.
fn object() -> impl Strategy<Value = String> {
    let levels = prop_oneof![4 => 0usize..140, 1 => 140usize..9_900];
    (edited(samples("PrismPattern").unwrap()), levels, hostile::json()).prop_map(
        |(mut document, levels, inner)| {
            document["metadata"]["resourceVersion"] = json!("7");
            match document["spec"].as_object_mut() {
                Some(spec) => drop(spec.insert("config".to_owned(), json!("HERE"))),
                None => document["spec"] = json!("HERE"),
            }
            document.to_string().replacen("\"HERE\"", &nested(levels, &inner.to_string()), 1)
        },
    )
}

fn list(items: &[&str]) -> String {
    let items = items.join(",");
    format!(
        r#"{{"apiVersion":"prism.io/v1alpha1","kind":"L","metadata":{{"resourceVersion":"9"}},"items":[{items}]}}"#
    )
}

#[test]
fn fuzz_lists_and_events() {
    let good = samples("PrismPattern").unwrap().remove(0);
    let name = good["metadata"]["name"].as_str().unwrap().to_owned();
    fuzz(file!(), &object(), |object| {
        let good = good.to_string();
        let page: Patterns = serde_json::from_str(&list(&[&good, &object, &good]))
            .map_err(|error| TestCaseError::fail(format!("the list cannot be read: {error}")))?;
        prop_assert_eq!(page.items.len(), 3);
        for neighbour in [&page.items[0], &page.items[2]] {
            prop_assert!(neighbour.0.is_ok());
            prop_assert_eq!(neighbour.meta().name.as_deref(), Some(&*name));
        }
        prop_assert_eq!(page.items[1].meta().resource_version.as_deref(), Some("7"));
        let line = format!(r#"{{"type":"DELETED","object":{object}}}"#);
        let event: WatchEvent<Decoded<PrismPattern>> = serde_json::from_str(&line)
            .map_err(|error| TestCaseError::fail(format!("the event cannot be read: {error}")))?;
        let WatchEvent::Deleted(gone) = event else { return Err(TestCaseError::fail("another event")) };
        prop_assert_eq!(gone.meta().name.as_ref(), page.items[1].meta().name.as_ref());
        Ok(())
    });
}

#[test]
fn fuzz_bytes() {
    let start = list(&[&samples("PrismPattern").unwrap().remove(0).to_string()]).into_bytes();
    let spoil = (any::<prop::sample::Index>(), any::<u8>(), any::<bool>());
    fuzz(file!(), &proptest::collection::vec(spoil, 1..20), |spoils| {
        let mut bytes = start.clone();
        for (place, byte, is_cut) in spoils {
            let place = place.index(bytes.len());
            if is_cut { bytes.truncate(place.max(1)) } else { bytes[place] = byte }
        }
        // An answer that is none is an error, and nothing worse.
        drop(serde_json::from_slice::<Patterns>(&bytes));
        drop(serde_json::from_slice::<Value>(&bytes));
        Ok(())
    });
}
