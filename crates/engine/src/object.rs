//! Names of things: kinds, keys and owners.

use std::{fmt, ops::Deref, sync::Arc};

use kube::core::ApiResource;

/// How much of an object a watch has to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Depth {
    /// Metadata is enough to see drift.
    Metadata,
    /// Replica counts and volume claims are needed as well.
    Workload,
}

/// What is known of a kind when the program is compiled.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KindInfo {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// API version without the group, such as `v1`.
    pub version: &'static str,
    /// Kind in singular camel case, such as `Deployment`.
    pub name: &'static str,
    /// Resource name in the URL, such as `deployments`.
    pub plural: &'static str,
    /// What a watch of this kind delivers.
    pub depth: Depth,
}

/// A Kubernetes kind: as small as a pointer, because every key holds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(pub &'static KindInfo);

impl KindInfo {
    /// A kind of which only metadata is watched.
    #[must_use]
    pub const fn new(
        group: &'static str,
        version: &'static str,
        name: &'static str,
        plural: &'static str,
    ) -> Self {
        Self { group, version, name, plural, depth: Depth::Metadata }
    }

    /// The same kind, watched with its replica counts.
    #[must_use]
    pub const fn workload(self) -> Self {
        Self { depth: Depth::Workload, ..self }
    }
}

impl Deref for Kind {
    type Target = KindInfo;

    fn deref(&self) -> &KindInfo {
        self.0
    }
}

impl Kind {
    /// `group/version`, or the bare version for the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// What kube's dynamic API asks for.
    #[must_use]
    pub fn api_resource(&self) -> ApiResource {
        ApiResource {
            group: self.group.to_owned(),
            version: self.version.to_owned(),
            api_version: self.api_version(),
            kind: self.name.to_owned(),
            plural: self.plural.to_owned(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// One namespaced object, whether it exists or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// The key of `namespace/name`.
    #[must_use]
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// The object on whose behalf children are applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Which object.
    pub key: ObjectKey,
    /// Which incarnation of it: a re-created object of the same name is another owner.
    pub uid: Arc<str>,
}

impl Owner {
    /// The owner as the value of an annotation: `PrismStack/shop/main/<uid>`.
    #[must_use]
    pub fn to_mark(&self) -> String {
        format!("{}/{}/{}/{}", self.key.kind, self.key.namespace, self.key.name, self.uid)
    }

    /// Reads what [`Owner::to_mark`] writes, if it is about one of `kinds`.
    #[must_use]
    pub fn from_mark(mark: &str, kinds: &[Kind]) -> Option<Self> {
        let mut parts = mark.split('/');
        let (kind, namespace, name, uid) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let kind = kinds.iter().find(|known| known.name == kind)?;
        Some(Self { key: ObjectKey::new(*kind, namespace, name), uid: uid.into() })
    }
}
