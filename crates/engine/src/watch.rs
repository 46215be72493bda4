//! Watches: each with a backoff of its own, so that none can delay another.

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::ClusterResourceScope;
use kube::{
    Api, Client, Resource,
    core::{
        ApiResource, DeserializeGuard, DynamicResourceScope, NamespaceResourceScope, ObjectMeta,
        PartialObjectMeta, error_boundary::InvalidObject,
    },
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    decode::Decoded,
    health::{Failure, Pulse},
    live::Live,
    metrics::Metrics,
    object::{Depth, Kind},
};

/// Pause before a list that replaces a watch which cannot go on.
const RELIST_PAUSE: Duration = Duration::from_secs(1);

/// What the watches of a process have in common.
#[derive(Clone, Debug)]
pub struct Scope {
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// Server-side time limit of one watch request.
    pub timeout: Duration,
}

impl Scope {
    fn api<K>(&self, client: Client) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }

    fn dynamic<K>(&self, client: Client, resource: &ApiResource) -> Api<K>
    where
        K: Resource<Scope = DynamicResourceScope, DynamicType = ApiResource>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, resource),
            None => Api::all_with(client, resource),
        }
    }

    fn config(&self) -> watcher::Config {
        watcher::Config::default().timeout(u32::try_from(self.timeout.as_secs()).unwrap_or(290))
    }
}

/// One watch: where its objects come from, and who is told how it goes.
#[derive(Clone)]
pub struct Watch {
    /// Asks the API server.
    pub client: Client,
    /// What all watches have in common.
    pub scope: Scope,
    /// Labels of the objects that are watched; empty for all.
    pub selector: String,
    /// Signs of life.
    pub pulse: Arc<Pulse>,
    /// Where objects that cannot be read are counted.
    pub metrics: Arc<Metrics>,
    /// Ends the watch.
    pub shutdown: CancellationToken,
}

impl Watch {
    /// Watches the custom resources of the type `K`, and hands each event to `take`. An object that cannot be read
    /// is handed over with its error.
    pub async fn custom_resources<K>(self, mut take: impl FnMut(Event<DeserializeGuard<K>>))
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
    {
        let api: Api<Decoded<K>> = self.scope.api(self.client.clone());
        self.drain(api, |event| take(convert(event, DeserializeGuard::from))).await;
    }

    /// Watches the objects of the type `K` in the namespace that is looked at. Of one that cannot be read, which is
    /// logged and counted, only metadata is handed over.
    pub async fn objects<K>(self, take: impl FnMut(Event<K>))
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Default
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
    {
        let api = self.scope.api(self.client.clone());
        self.readable(api, bare, take).await;
    }

    /// The same of a type without namespaces.
    pub async fn cluster_objects<K>(self, take: impl FnMut(Event<K>))
    where
        K: Resource<Scope = ClusterResourceScope, DynamicType = ()>
            + Clone
            + Default
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
    {
        let api = Api::all(self.client.clone());
        self.readable(api, bare, take).await;
    }

    /// The same of a kind that is known by name only, in the form of `K`; `bare` makes one of metadata.
    pub async fn dynamic<K>(self, kind: Kind, bare: impl Fn(ObjectMeta) -> K, take: impl FnMut(Event<K>))
    where
        K: Resource<Scope = DynamicResourceScope, DynamicType = ApiResource>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
    {
        let api = self.scope.dynamic(self.client.clone(), &kind.api_resource());
        self.readable(api, bare, take).await;
    }

    /// Watches children of `kind`, as deeply as the engine needs to know them.
    pub async fn children(self, kind: Kind, mut take: impl FnMut(Event<Live>)) {
        let bare = |metadata| Live { metadata, ..Live::default() };
        match kind.depth {
            Depth::Workload => self.dynamic(kind, bare, take).await,
            Depth::Metadata => {
                let api = self.scope.dynamic(self.client.clone(), &kind.api_resource());
                let partial =
                    |metadata| PartialObjectMeta::<Live> { metadata, ..PartialObjectMeta::default() };
                self.readable(api, partial, |event| take(convert(event, Live::from))).await;
            }
        }
    }

    async fn readable<K>(
        self,
        api: Api<Decoded<K>>,
        bare: impl Fn(ObjectMeta) -> K,
        mut take: impl FnMut(Event<K>),
    ) where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
        K::DynamicType: Clone,
    {
        let (pulse, metrics) = (self.pulse.clone(), self.metrics.clone());
        let readable = |Decoded(object)| match object {
            Ok(object) => object,
            Err(InvalidObject { error, metadata }) => {
                let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
                tracing::warn!(watch = pulse.name(), namespace, name, error, "Object cannot be read");
                metrics.unreadable(pulse.name());
                bare(metadata)
            }
        };
        self.drain(api, |event| take(convert(event, readable))).await;
    }

    async fn drain<K>(self, api: Api<K>, mut take: impl FnMut(Event<K>))
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
        K::DynamicType: Clone,
    {
        let Self { scope, selector, pulse, shutdown, .. } = self;
        let begin = || Box::pin(watcher(api.clone(), scope.config().labels(&selector)).default_backoff());
        let mut events = begin();
        while let Some(Some(result)) = shutdown.run_until_cancelled(events.next()).await {
            match result {
                Ok(event) => {
                    let is_synced = matches!(event, Event::InitDone);
                    if !matches!(event, Event::Init) {
                        pulse.proved();
                    }
                    take(event);
                    if is_synced {
                        pulse.synced();
                    }
                }
                Err(error) => {
                    let failure = Failure::from(&error);
                    tracing::warn!(watch = pulse.name(), error = failure.text, "Watch failed");
                    let has_expired = failure.code == Some(410);
                    pulse.failed(failure);
                    if has_expired && matches!(error, watcher::Error::WatchStartFailed(_)) {
                        // The version from which to go on is forgotten by the API server, and would be asked for
                        // again and again.
                        shutdown.run_until_cancelled(sleep(RELIST_PAUSE)).await;
                        events = begin();
                    }
                }
            }
        }
    }
}

fn bare<K: Resource + Default>(metadata: ObjectMeta) -> K {
    let mut object = K::default();
    *object.meta_mut() = metadata;
    object
}

/// The same event about what `into` makes of the object.
pub fn convert<A, B>(event: Event<A>, mut into: impl FnMut(A) -> B) -> Event<B> {
    match event {
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(into(object)),
        Event::InitDone => Event::InitDone,
        Event::Apply(object) => Event::Apply(into(object)),
        Event::Delete(object) => Event::Delete(into(object)),
    }
}
