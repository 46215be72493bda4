//! What the engine is asked to bring about.

use serde::Serialize;
use serde_json::Value;

use crate::{
    digest::Digest,
    object::{Kind, ObjectKey},
};

/// Who decides `spec.replicas` of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// The body does, or the kind has none.
    InBody,
    /// An autoscaler does. The number stands in the very first write and in no later one.
    Seeded(i32),
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
        Ok(Self { key: ObjectKey::new(kind, namespace, name), body, replicas: Replicas::InBody })
    }

    /// The same child, with replicas that an autoscaler owns after the first write.
    #[must_use]
    pub fn seeded(self, replicas: i32) -> Self {
        Self { replicas: Replicas::Seeded(replicas), ..self }
    }

    /// Fingerprint of the body.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.body)
    }

    /// The body that creates the child, and that the API server refuses if the name is taken.
    ///
    /// A server-side apply that carries a resource version is refused when the object exists with
    /// another one, and is accepted when there is no object. No object has version 1, as that is
    /// the store's own first revision: so this body can only create.
    #[must_use]
    pub fn creating_body(&self) -> Value {
        let mut body = self.body.clone();
        body["metadata"]["resourceVersion"] = Value::from("1");
        if let Replicas::Seeded(replicas) = self.replicas {
            body["spec"]["replicas"] = Value::from(replicas);
        }
        body
    }

    /// The body that updates the child if it is still the incarnation `uid`.
    #[must_use]
    pub fn updating_body(&self, uid: &str) -> Value {
        let mut body = self.body.clone();
        body["metadata"]["uid"] = Value::from(uid);
        body
    }
}
