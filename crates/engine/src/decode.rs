//! Decoding objects one by one, so that none of them can spoil the list that it stands in.
//!
//! JSON is decoded by recursion, which has to be bounded, and the decoder bounds it for a whole document: one object
//! that nests too deeply makes a page of five hundred unreadable. Here the envelope is decoded without looking into
//! its objects (skipping a value takes no recursion), and then each object with a bound of its own. What fails is the
//! one object, which keeps its metadata: enough to report on it, and to see it go.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use kube::{
    Resource,
    core::{DeserializeGuard, error_boundary::InvalidObject},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::{Value, value::RawValue};

/// An object of a list or a watch event, or why it cannot be read.
#[derive(Clone, Debug)]
pub struct Decoded<K>(pub Result<K, InvalidObject>);

/// A JSON object whose values have not been looked into.
type Fields = BTreeMap<String, Box<RawValue>>;

const MANAGED_FIELDS: &str = "managedFields";
const FIELDS: &str = "fieldsV1";

impl<'de, K: Resource + DeserializeOwned> Deserialize<'de> for Decoded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        match serde_json::from_str(text.get()) {
            Ok(object) => Ok(Self(Ok(object))),
            Err(_) => apart(text.get()).map_err(D::Error::custom),
        }
    }
}

impl<K> From<Decoded<K>> for DeserializeGuard<K> {
    fn from(decoded: Decoded<K>) -> Self {
        Self(decoded.0)
    }
}

impl<K: Resource> Resource for Decoded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(type_: &K::DynamicType) -> Cow<'_, str> {
        K::kind(type_)
    }
    fn group(type_: &K::DynamicType) -> Cow<'_, str> {
        K::group(type_)
    }
    fn version(type_: &K::DynamicType) -> Cow<'_, str> {
        K::version(type_)
    }
    fn plural(type_: &K::DynamicType) -> Cow<'_, str> {
        K::plural(type_)
    }
    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|invalid| &invalid.metadata, K::meta)
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|invalid| &mut invalid.metadata, K::meta_mut)
    }
    fn metadata_api() -> bool {
        K::metadata_api()
    }
}

/// Decodes the metadata of an object, for `#[serde(deserialize_with)]`: other than the derived code, it does not fail
/// for managed fields that nest too deeply.
pub(crate) fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let text = Box::<RawValue>::deserialize(deserializer)?;
    let metadata = serde_json::from_str(text.get());
    metadata.or_else(|_| metadata_apart(&text)).map_err(D::Error::custom)
}

/// Decodes the metadata and the rest apart. Fails only for what is no Kubernetes object at all.
fn apart<K: Resource + DeserializeOwned>(text: &str) -> serde_json::Result<Decoded<K>> {
    let mut fields: Fields = serde_json::from_str(text)?;
    let metadata = match fields.remove("metadata") {
        Some(metadata) => metadata_apart(&metadata)?,
        None => ObjectMeta::default(),
    };
    // Some types insist on metadata; what is in them is set below.
    fields.insert("metadata".to_owned(), RawValue::from_string("{}".to_owned())?);
    Ok(Decoded(match serde_json::from_str::<K>(&serde_json::to_string(&fields)?) {
        Ok(mut object) => {
            *object.meta_mut() = metadata;
            Ok(object)
        }
        Err(error) => Err(InvalidObject { error: sentence(&error), metadata }),
    }))
}

fn metadata_apart(text: &RawValue) -> serde_json::Result<ObjectMeta> {
    let mut fields: Fields = serde_json::from_str(text.get())?;
    let managed = fields.remove(MANAGED_FIELDS);
    let metadata: ObjectMeta = serde_json::from_str(&serde_json::to_string(&fields)?)?;
    let entries: Vec<Fields> =
        managed.map(|raw| serde_json::from_str(raw.get())).transpose()?.unwrap_or_default();
    let entries = entries.into_iter().map(entry).collect::<serde_json::Result<Vec<_>>>()?;
    Ok(ObjectMeta { managed_fields: (!entries.is_empty()).then_some(entries), ..metadata })
}

/// A set of fields that nests too deeply becomes its own text: whether it is the same set as before can still be told.
fn entry(mut fields: Fields) -> serde_json::Result<ManagedFieldsEntry> {
    let set = fields.remove(FIELDS);
    let entry: ManagedFieldsEntry = serde_json::from_str(&serde_json::to_string(&fields)?)?;
    let read = |raw: Box<RawValue>| {
        FieldsV1(serde_json::from_str(raw.get()).unwrap_or_else(|_| Value::String(raw.get().to_owned())))
    };
    Ok(ManagedFieldsEntry { fields_v1: set.map(read), ..entry })
}

/// Why an object cannot be read, in words that stay the same while the object does: a position would move with every
/// status that is written.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text =
        text.strip_suffix(&format!(" at line {} column {}", error.line(), error.column())).unwrap_or(&text);
    if text == "recursion limit exceeded" {
        return "values nest more than 127 levels deep, the object itself included".to_owned();
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::{DynamicObject, ObjectList, WatchEvent};
    use rstest::rstest;

    use crate::live::Live;

    fn nested(levels: usize, inner: &str) -> String {
        format!("{}{inner}{}", "{\"f:a\":".repeat(levels), "}".repeat(levels))
    }

    fn object(name: &str, spec: &str, fields: &str) -> String {
        format!(
            r#"{{"apiVersion":"v1","kind":"K","metadata":{{"name":"{name}","namespace":"ns","uid":"u","resourceVersion":"7",
               "managedFields":[{{"manager":"us","operation":"Apply","fieldsV1":{fields}}}]}},"spec":{spec}}}"#
        )
    }

    /// As deep as an API server accepts, and deeper than any stack.
    #[rstest]
    #[case(130)]
    #[case(9_900)]
    #[case(1_000_000)]
    fn an_object_that_nests_too_deeply_costs_its_list_nothing(#[case] levels: usize) {
        let (good, deep) =
            (object("good", "{}", "{}"), object("deep", &nested(levels, "1"), &nested(levels, "{}")));
        let page = format!(
            r#"{{"apiVersion":"v1","kind":"KList","metadata":{{"resourceVersion":"9"}},"items":[{good},{deep},{good}]}}"#
        );
        let list: ObjectList<Decoded<Spec>> = serde_json::from_str(&page).unwrap();
        let names: Vec<_> = list.items.iter().map(|item| item.meta().name.as_deref().unwrap()).collect();
        assert_eq!(names, ["good", "deep", "good"]);
        assert_eq!(list.items.iter().map(|item| item.0.is_ok()).collect::<Vec<_>>(), [true, false, true]);
        let error = &list.items[1].0.as_ref().unwrap_err().error;
        assert_eq!(error, "values nest more than 127 levels deep, the object itself included");
    }

    /// A custom resource with a free-form spec.
    type Spec = kube::core::Object<Value, Value>;

    #[test]
    fn its_events_are_read_and_its_deletion_is_seen() {
        let deep = object("deep", &nested(9_900, "1"), &nested(9_900, "{}"));
        for type_ in ["ADDED", "MODIFIED", "DELETED"] {
            let line = format!(r#"{{"type":"{type_}","object":{deep}}}"#);
            let event: WatchEvent<Decoded<Spec>> = serde_json::from_str(&line).unwrap();
            let (WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object)) =
                event
            else {
                panic!("{type_} became {event:?}")
            };
            assert_eq!(object.meta().resource_version.as_deref(), Some("7"));
        }
    }

    #[test]
    fn what_nobody_decodes_may_nest_as_deeply_as_it_likes() {
        let text = object(
            "deep",
            &format!(r#"{{"replicas":3,"else":{}}}"#, nested(9_900, "1")),
            &nested(9_900, "{}"),
        );
        let Decoded(live): Decoded<Live> = serde_json::from_str(&text).unwrap();
        assert_eq!(live.unwrap().workload("").desired, 3);
    }

    #[test]
    fn fields_that_nest_too_deeply_can_still_be_told_apart() {
        let ownership = |levels| {
            let Decoded(live): Decoded<Live> =
                serde_json::from_str(&object("o", "{}", &nested(levels, "{}"))).unwrap();
            live.unwrap().ownership("us").fields.unwrap()
        };
        assert_eq!(ownership(200), ownership(200));
        assert_ne!(ownership(200), ownership(201));
        assert_ne!(ownership(100), ownership(101));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_told_without_a_position() {
        let text = r#"{"metadata":{"name":"m"},"data":{"replicas":["a"]}}"#;
        let Decoded(map): Decoded<ConfigMap> = serde_json::from_str(text).unwrap();
        let invalid = map.unwrap_err();
        assert_eq!(invalid.metadata.name.as_deref(), Some("m"));
        assert_eq!(invalid.error, "invalid type: sequence, expected a string");
    }

    #[test]
    fn what_is_no_object_at_all_is_an_error() {
        serde_json::from_str::<Decoded<DynamicObject>>("[1]").unwrap_err();
    }
}
