//! Objects that are watched whole, and what changed about them.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use kube::{Resource, runtime::watcher::Event};

/// Namespace and name.
type Name = (String, String);

/// The newest state of every watched object of type `K`.
#[derive(Debug)]
pub struct Cache<K> {
    inner: RwLock<Inner<K>>,
}

#[derive(Debug)]
struct Inner<K> {
    objects: HashMap<Name, Arc<K>>,
    /// During a relist: what has not been seen in it.
    unseen: HashSet<Name>,
    is_relisting: bool,
    /// Whether there was an initial list: before that, what is not here may well exist.
    is_filled: bool,
}

/// One object before and after an event.
#[derive(Debug)]
pub struct Difference<K> {
    /// `None`: it is new.
    pub before: Option<Arc<K>>,
    /// `None`: it is gone.
    pub after: Option<Arc<K>>,
    /// Whether a list told, rather than the watch: the change may be old.
    pub is_listed: bool,
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        let inner =
            Inner { objects: HashMap::new(), unseen: HashSet::new(), is_relisting: false, is_filled: false };
        Self { inner: RwLock::new(inner) }
    }
}

impl<K: Resource> Cache<K> {
    /// Takes in a watch event; returns what differs, which after a lost connection may be much.
    pub fn take(&self, event: Event<K>) -> Vec<Difference<K>> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => {
                inner.unseen = inner.objects.keys().cloned().collect();
                inner.is_relisting = true;
                Vec::new()
            }
            Event::InitApply(object) | Event::Apply(object) => {
                let name = name_of(&object);
                inner.unseen.remove(&name);
                let (after, is_listed) = (Arc::new(object), inner.is_relisting);
                let before = inner.objects.insert(name, after.clone());
                vec![Difference { before, after: Some(after), is_listed }]
            }
            Event::Delete(object) => {
                let before = inner.objects.remove(&name_of(&object));
                vec![Difference { before, after: None, is_listed: false }]
            }
            Event::InitDone => {
                inner.is_relisting = false;
                inner.is_filled = true;
                let gone = std::mem::take(&mut inner.unseen);
                let gone = gone.into_iter().filter_map(|name| inner.objects.remove(&name));
                gone.map(|before| Difference { before: Some(before), after: None, is_listed: true }).collect()
            }
        }
    }

    /// Forgets everything: nobody watches any more.
    pub fn clear(&self) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.objects.clear();
        inner.is_filled = false;
    }

    /// Whether all that exists is known, or was when the watch was last heard of.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).is_filled
    }

    /// The object of that name.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.objects.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// All objects that `is_wanted` accepts.
    #[must_use]
    pub fn find(&self, is_wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.objects.values().filter(|object| is_wanted(object)).cloned().collect()
    }
}

fn name_of<K: Resource>(object: &K) -> Name {
    let meta = object.meta();
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    fn named(name: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.to_owned());
        object
    }

    #[test]
    fn a_relist_tells_what_is_gone() {
        let cache = Cache::default();
        cache.take(Event::Apply(named("a")));
        cache.take(Event::Apply(named("b")));
        cache.take(Event::Init);
        cache.take(Event::InitApply(named("b")));
        let differences = cache.take(Event::InitDone);
        assert_eq!(differences.len(), 1);
        assert_eq!(differences[0].before.as_deref(), Some(&named("a")));
        assert!(cache.get("", "a").is_none());
        assert!(cache.get("", "b").is_some());
    }
}
