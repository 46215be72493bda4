//! What the engine is asked to bring about.

use serde::Serialize;
use serde_json::Value;

use crate::{
    digest::Digest,
    object::{Kind, ObjectKey, Owner},
};

/// Who decides `spec.replicas` of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// The body does, or the kind has none.
    InBody,
    /// An autoscaler does. The number stands in the very first write and in no later one.
    Seeded(i32),
}

/// Where the data of a child comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The body says what it is.
    Planned,
    /// It is drawn at random when the child is made, and stays as it is from then on.
    Drawn,
    /// It was drawn once, and something relies on it: a child that is gone is not made anew.
    Relied,
}

/// One child as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Which object.
    pub key: ObjectKey,
    /// The body to apply, without `spec.replicas` if those are seeded.
    pub body: Value,
    /// Who decides the replicas.
    pub replicas: Replicas,
    /// Where its data comes from.
    pub content: Content,
}

impl Child {
    /// A child whose body is `object`.
    ///
    /// # Errors
    /// When `object` does not serialise to JSON.
    pub fn new(
        kind: Kind,
        namespace: &str,
        name: &str,
        object: &impl Serialize,
    ) -> Result<Self, serde_json::Error> {
        let body = serde_json::to_value(object)?;
        Ok(Self {
            key: ObjectKey::new(kind, namespace, name),
            body,
            replicas: Replicas::InBody,
            content: Content::Planned,
        })
    }

    /// The same child, whose `data` comes from there.
    #[must_use]
    pub fn with(self, content: Content) -> Self {
        Self { content, ..self }
    }

    /// Keys of its `data`.
    #[must_use]
    pub fn data_keys(&self) -> Vec<&str> {
        self.body["data"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }

    /// The same child, marked as that of `owner` by the annotation `mark` in place of an owner
    /// reference: for children in another namespace, which references cannot reach, and for such
    /// as outlive their owner.
    #[must_use]
    pub fn marked(mut self, mark: &str, owner: &Owner) -> Self {
        if let Some(metadata) = self.body["metadata"].as_object_mut() {
            metadata.remove("ownerReferences");
        }
        self.body["metadata"]["annotations"][mark] = Value::from(owner.to_mark());
        self
    }

    /// The same child, with replicas that an autoscaler owns after the first write.
    #[must_use]
    pub fn seeded(self, replicas: i32) -> Self {
        Self { replicas: Replicas::Seeded(replicas), ..self }
    }

    /// Fingerprint of the body. Of data that was drawn only the keys count: the values differ each time, and
    /// nobody shall try out guesses against a fingerprint.
    #[must_use]
    pub fn digest(&self) -> Digest {
        if self.content == Content::Planned {
            return Digest::of(&self.body);
        }
        let mut body = self.body.clone();
        body["data"] = Value::from(self.data_keys());
        Digest::of(&body)
    }

    /// The body that creates the child, and that the API server refuses if the name is taken.
    ///
    /// A server-side apply that carries a resource version is refused when the object exists with
    /// another one, and is accepted when there is no object. No object has version 1, as that is
    /// the store's own first revision: so this body can only create.
    #[must_use]
    pub fn creating_body(&self, stamp: &str) -> Value {
        let mut body = self.stamped(stamp);
        body["metadata"]["resourceVersion"] = Value::from("1");
        if let Replicas::Seeded(replicas) = self.replicas {
            body["spec"]["replicas"] = Value::from(replicas);
        }
        body
    }

    /// The body that updates the child if it is still the incarnation `uid`.
    #[must_use]
    pub fn updating_body(&self, stamp: &str, uid: &str) -> Value {
        let mut body = self.stamped(stamp);
        body["metadata"]["uid"] = Value::from(uid);
        body
    }

    /// The body with its own fingerprint in the annotation `stamp`, so that the object itself tells
    /// which body it was given last, whatever became of the process that gave it.
    fn stamped(&self, stamp: &str) -> Value {
        let mut body = self.body.clone();
        body["metadata"]["annotations"][stamp] = Value::from(self.digest().to_string());
        body
    }
}
