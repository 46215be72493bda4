//! What the engine knows of every child: what was applied, and what is there now.
//!
//! Two sources feed it: watches, and the answers to the engine's own writes. The newer one wins
//! by resource version, so a reconcile right after a write never sees the world before it.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::runtime::watcher::Event;

use crate::{
    digest::Digest,
    live::{Live, Ownership, WorkloadState},
    object::{Depth, Kind, ObjectKey, Owner},
};

/// A child as it is in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// Its controlling owner, when that is of a kind this ledger serves.
    pub owner: Option<Owner>,
    /// Whether an annotation says so, rather than an owner reference: then no garbage collector
    /// follows the owner.
    pub is_marked: bool,
    /// Whether something else controls it.
    pub has_foreign_controller: bool,
    /// Whether it is being deleted.
    pub is_deleting: bool,
    /// What our field manager owns of it.
    pub ownership: Ownership,
    /// Fingerprint of the body that it says was applied to it last.
    pub stamp: Option<Digest>,
    /// Replica counts and claims, for workloads.
    pub workload: Option<WorkloadState>,
}

/// A child as it was last applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The incarnation it was applied to.
    pub uid: Arc<str>,
    /// Fingerprint of the body that was applied.
    pub wanted: Digest,
    /// Fingerprint of the fields the API server says we own since.
    pub owned: Digest,
}

/// How the operator signs what it makes.
#[derive(Clone, Debug)]
pub struct Signature {
    /// Its field manager.
    pub manager: &'static str,
    /// Annotation that marks children which an owner reference cannot.
    pub mark: &'static str,
    /// Annotation of children that holds the fingerprint of the body that was applied.
    pub stamp: &'static str,
    /// Finalizer of owners that have children which the garbage collector cannot follow.
    pub finalizer: &'static str,
    /// Prefix of the annotations of workloads that are kept as notes, such as `example.io/`.
    pub notes: &'static str,
    /// Label whose value makes an object of somebody else's one that is meant to be taken over.
    pub adoption_label: &'static str,
    /// Annotation by which its owner agrees to what that changes in it.
    pub adoption_consent: &'static str,
    /// Kinds that have children.
    pub owner_kinds: Vec<Kind>,
}

/// See the module's description. Cheap to share: all methods take `&self`.
#[derive(Debug)]
pub struct Ledger {
    signature: Signature,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    observed: HashMap<ObjectKey, (u64, Observed)>,
    applied: HashMap<ObjectKey, Applied>,
    by_owner: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// Owners whose inventory has been taken over from an earlier process.
    recalled: HashMap<ObjectKey, Arc<str>>,
    /// Newest resource version that the watch of a kind has delivered.
    progress: HashMap<Kind, u64>,
    /// During a relist: what was known before it and has not been seen in it.
    unseen: HashMap<Kind, HashSet<ObjectKey>>,
}

impl Ledger {
    /// An empty ledger of the children that carry `signature`.
    #[must_use]
    pub fn new(signature: Signature) -> Self {
        Self { signature, inner: Mutex::default() }
    }

    /// How the operator signs what it makes.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The field manager whose ownership is tracked.
    #[must_use]
    pub fn manager(&self) -> &str {
        self.signature.manager
    }

    /// The annotation that marks children which an owner reference cannot.
    #[must_use]
    pub fn mark(&self) -> &str {
        self.signature.mark
    }

    /// The annotation of children that tells which body they were given.
    #[must_use]
    pub fn stamp(&self) -> &str {
        self.signature.stamp
    }

    /// The finalizer of owners with children elsewhere.
    #[must_use]
    pub fn finalizer(&self) -> &str {
        self.signature.finalizer
    }

    /// Takes in an event of the watch of `kind`; returns the owners that have to look.
    pub fn observe(&self, kind: Kind, event: Event<Live>) -> Vec<ObjectKey> {
        let mut inner = self.lock();
        match event {
            Event::Init => {
                let known = inner.observed.keys().filter(|key| key.kind == kind).cloned().collect();
                inner.unseen.insert(kind, known);
                Vec::new()
            }
            Event::InitApply(live) | Event::Apply(live) => {
                let key = key_of(kind, &live);
                if let Some(unseen) = inner.unseen.get_mut(&kind) {
                    unseen.remove(&key);
                }
                inner.advance(kind, live.version());
                inner.upsert(key, live.version(), self.read(kind, &live))
            }
            Event::InitDone => {
                let gone = inner.unseen.remove(&kind).unwrap_or_default();
                gone.iter().flat_map(|key| inner.remove(key)).collect()
            }
            Event::Delete(live) => {
                inner.advance(kind, live.version());
                let key = key_of(kind, &live);
                let is_current =
                    inner.observed.get(&key).is_some_and(|(version, _)| *version <= live.version());
                if is_current { inner.remove(&key) } else { Vec::new() }
            }
        }
    }

    /// Forgets every child of `kind`, which the cluster no longer serves; returns the owners that
    /// have to look.
    pub fn drop_kind(&self, kind: Kind) -> Vec<ObjectKey> {
        let mut inner = self.lock();
        let gone: Vec<_> = inner.observed.keys().filter(|key| key.kind == kind).cloned().collect();
        gone.iter().flat_map(|key| inner.remove(key)).collect()
    }

    /// Takes in the API server's answer to a write of ours, unless the watch is already past it.
    pub fn record(&self, key: &ObjectKey, live: &Live) -> Observed {
        let observed = self.read(key.kind, live);
        let mut inner = self.lock();
        let watch_is_past = inner.progress.get(&key.kind).is_some_and(|seen| *seen >= live.version());
        if !watch_is_past {
            inner.upsert(key.clone(), live.version(), observed.clone());
        }
        observed
    }

    /// Remembers that `wanted` was applied and what the API server answered.
    pub fn mark_applied(&self, key: &ObjectKey, wanted: Digest, answer: &Observed) {
        let Some(owned) = answer.ownership.fields else {
            return;
        };
        self.lock().applied.insert(key.clone(), Applied { uid: answer.uid.clone(), wanted, owned });
    }

    /// Takes over what an earlier process remembered of the children of `owner`: once, at the
    /// first pass, and where this process knows nothing yet.
    pub fn recall(&self, owner: &Owner, remembered: impl IntoIterator<Item = (ObjectKey, Applied)>) {
        let mut inner = self.lock();
        if inner.recalled.insert(owner.key.clone(), owner.uid.clone()).as_ref() == Some(&owner.uid) {
            return;
        }
        for (key, applied) in remembered {
            inner.applied.entry(key).or_insert(applied);
        }
    }

    /// Drops what is remembered of an owner that is gone.
    pub fn drop_owner(&self, owner: &ObjectKey) {
        self.lock().recalled.remove(owner);
    }

    /// Forgets what was applied, so that the next pass applies everything of `owner` again.
    pub fn forget(&self, owner: &ObjectKey) {
        let mut inner = self.lock();
        for key in inner.by_owner.get(owner).cloned().unwrap_or_default() {
            inner.applied.remove(&key);
        }
    }

    /// The child as it is in the cluster, if it is there.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Observed> {
        self.lock().observed.get(key).map(|(_, observed)| observed.clone())
    }

    /// What was last applied to the child.
    #[must_use]
    pub fn applied(&self, key: &ObjectKey) -> Option<Applied> {
        self.lock().applied.get(key).cloned()
    }

    /// All children in the cluster that `owner`, in this incarnation, controls.
    #[must_use]
    pub fn children(&self, owner: &Owner) -> Vec<(ObjectKey, Observed)> {
        let inner = self.lock();
        let keys = inner.by_owner.get(&owner.key).into_iter().flatten();
        keys.filter_map(|key| inner.observed.get(key).map(|(_, observed)| (key.clone(), observed.clone())))
            .filter(|(_, observed)| observed.owner.as_ref() == Some(owner))
            .collect()
    }

    /// Takes in that the child was deleted just now, before the watch tells.
    pub fn gone(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    /// What `live` means to this ledger.
    #[must_use]
    pub fn read(&self, kind: Kind, live: &Live) -> Observed {
        let namespace = live.metadata.namespace.as_deref().unwrap_or_default();
        let references = live.metadata.owner_references.as_deref().unwrap_or_default();
        let controller = references.iter().find(|reference| reference.controller == Some(true));
        let referred = controller.and_then(|reference| {
            let kind = self.signature.owner_kinds.iter().find(|kind| {
                kind.name == reference.kind
                    && reference.api_version.split_once('/').map_or("", |(group, _)| group) == kind.group
            })?;
            let key = ObjectKey::new(*kind, namespace, &reference.name);
            Some(Owner { key, uid: reference.uid.as_str().into() })
        });
        let annotations = live.metadata.annotations.as_ref();
        let mark = annotations.and_then(|all| all.get(self.signature.mark));
        let marked = mark.and_then(|mark| Owner::from_mark(mark, &self.signature.owner_kinds));
        Observed {
            uid: live.uid(),
            has_foreign_controller: controller.is_some() && referred.is_none(),
            is_marked: referred.is_none() && marked.is_some(),
            owner: referred.or(marked),
            is_deleting: live.metadata.deletion_timestamp.is_some(),
            ownership: Ownership {
                is_extended: self.signature.owner_kinds.contains(&kind)
                    && live.is_extended(self.signature.manager),
                ..live.ownership(self.signature.manager)
            },
            stamp: annotations.and_then(|all| all.get(self.signature.stamp)?.parse().ok()),
            workload: (kind.depth == Depth::Workload).then(|| live.workload(self.signature.notes)),
        }
    }

    /// A panic while the lock was held leaves whole entries behind: each update is one insert.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn advance(&mut self, kind: Kind, version: u64) {
        let seen = self.progress.entry(kind).or_default();
        *seen = version.max(*seen);
    }

    fn upsert(&mut self, key: ObjectKey, version: u64, new: Observed) -> Vec<ObjectKey> {
        let owner = new.owner.as_ref().map(|owner| owner.key.clone());
        let old = match self.observed.get(&key) {
            Some((known, _)) if *known >= version => return Vec::new(),
            Some((_, old)) if *old == new => None,
            Some((_, old)) => Some(old.owner.as_ref().map(|owner| owner.key.clone())),
            None => Some(None),
        };
        self.observed.insert(key.clone(), (version, new));
        let Some(old_owner) = old else { return Vec::new() };
        let mut awake = Vec::new();
        if let Some(old_owner) = old_owner.filter(|old| Some(old) != owner.as_ref()) {
            self.unlink(&old_owner, &key);
            awake.push(old_owner);
        }
        if let Some(owner) = owner {
            self.by_owner.entry(owner.clone()).or_default().insert(key);
            awake.push(owner);
        }
        awake
    }

    fn remove(&mut self, key: &ObjectKey) -> Vec<ObjectKey> {
        self.applied.remove(key);
        let Some((_, gone)) = self.observed.remove(key) else {
            return Vec::new();
        };
        let Some(owner) = gone.owner else {
            return Vec::new();
        };
        self.unlink(&owner.key, key);
        vec![owner.key]
    }

    fn unlink(&mut self, owner: &ObjectKey, key: &ObjectKey) {
        if let Some(keys) = self.by_owner.get_mut(owner) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_owner.remove(owner);
            }
        }
    }
}

fn key_of(kind: Kind, live: &Live) -> ObjectKey {
    let namespace = live.metadata.namespace.as_deref().unwrap_or_default();
    ObjectKey::new(kind, namespace, live.metadata.name.as_deref().unwrap_or_default())
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
