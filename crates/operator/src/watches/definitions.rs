//! Which optional kinds have a definition in the cluster.

use std::{collections::HashMap, sync::Arc};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{ResourceExt, core::PartialObjectMeta, runtime::watcher::Event};
use prism_engine::{
    cache::Cache,
    health::{Failure, Pulse},
    object::Kind,
};
use tokio::sync::watch;

use super::Watches;
use crate::kinds;

type Definition = PartialObjectMeta<CustomResourceDefinition>;

/// Whether a kind has a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Installed {
    /// Not known yet.
    Pending,
    /// Nobody here may know: whether the kind is served shows when it is asked for.
    Unknown,
    /// It has none.
    No,
    /// It has one, of this resource version. In which versions that serves the kind shows when it is asked for.
    Yes(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Known {
    #[default]
    Pending,
    Nothing,
    These(HashMap<Kind, String>),
}

/// The definitions of optional kinds, as far as they are known. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Definitions(Arc<watch::Sender<Known>>);

impl Definitions {
    /// Told of whatever changes about any definition of an optional kind.
    pub(super) fn changes(&self) -> watch::Receiver<impl Sized + use<>> {
        self.0.subscribe()
    }

    pub(super) fn installed(&self, kind: Kind) -> Installed {
        match &*self.0.borrow() {
            Known::Pending => Installed::Pending,
            Known::Nothing => Installed::Unknown,
            Known::These(all) => all.get(&kind).cloned().map_or(Installed::No, Installed::Yes),
        }
    }

    /// Watches the metadata of definitions, until the shutdown.
    pub(super) async fn watch(self, watches: Watches) {
        let pulse = watches.health.optional("customresourcedefinitions");
        let mut changes = watches.health.changes();
        let cache = Cache::default();
        let watch = watches.watch(pulse.clone(), "").cluster_objects(|event: Event<Definition>| {
            if concerns_us(&event) {
                cache.take(event);
                self.tell(&cache, &pulse);
            }
        });
        // A watch that fails has no event to tell it by.
        let failures = async {
            while changes.changed().await.is_ok() {
                self.tell(&cache, &pulse);
            }
        };
        tokio::select! { () = watch => {} () = failures => {} }
    }

    fn tell(&self, cache: &Cache<Definition>, pulse: &Pulse) {
        let failure = pulse.failure();
        let known = if failure.as_ref().is_some_and(Failure::is_refusal) {
            Known::Nothing
        } else if cache.is_filled() {
            let all = cache.find(|_| true);
            let version = |crd: &Arc<Definition>| {
                Some((optional(&crd.name_any())?, crd.resource_version().unwrap_or_default()))
            };
            Known::These(all.iter().filter_map(version).collect())
        } else if failure.is_some() {
            Known::Nothing
        } else {
            Known::Pending
        };
        self.0.send_if_modified(|before| {
            let is_news = *before != known;
            *before = known;
            is_news
        });
    }
}

/// Most definitions are of kinds that nobody here has heard of.
fn concerns_us(event: &Event<Definition>) -> bool {
    match event {
        Event::Init | Event::InitDone => true,
        Event::InitApply(crd) | Event::Apply(crd) | Event::Delete(crd) => optional(&crd.name_any()).is_some(),
    }
}

fn optional(definition: &str) -> Option<Kind> {
    kinds::OPTIONAL.into_iter().find(|kind| definition == format!("{}.{}", kind.plural, kind.group))
}
