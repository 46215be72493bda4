//! Watches: each with a backoff of its own, so that none can delay another.

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, TryStreamExt};
use kube::{
    Api, Client, Resource,
    core::{ApiResource, DynamicResourceScope, NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{
    error::describe,
    health::Pulse,
    live::Live,
    object::{Depth, Kind},
};

/// What the watches of a process have in common.
#[derive(Clone, Debug)]
pub struct Scope {
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// Server-side time limit of one watch request.
    pub timeout: Duration,
}

impl Scope {
    /// An API of a custom resource in this scope.
    #[must_use]
    pub fn api<K>(&self, client: Client) -> Api<K>
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

/// Watches the objects of `K` that `selector` selects, which is all if it is empty, and hands each
/// event to `take`, until `shutdown`.
pub async fn objects<K>(
    api: Api<K>,
    selector: &str,
    scope: &Scope,
    pulse: Arc<Pulse>,
    shutdown: CancellationToken,
    take: impl FnMut(Event<K>),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Clone,
{
    drain(watcher(api, scope.config().labels(selector)), pulse, shutdown, take).await;
}

/// Watches all objects of `kind` in the form of `K`, until `shutdown`.
pub async fn dynamic<K>(
    client: Client,
    kind: Kind,
    scope: &Scope,
    pulse: Arc<Pulse>,
    shutdown: CancellationToken,
    take: impl FnMut(Event<K>),
) where
    K: Resource<Scope = DynamicResourceScope, DynamicType = ApiResource>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + 'static,
{
    let api: Api<K> = scope.dynamic(client, &kind.api_resource());
    drain(watcher(api, scope.config()), pulse, shutdown, take).await;
}

/// Watches the metadata of all objects of `K`, until `shutdown`.
pub async fn metadata<K>(
    api: Api<PartialObjectMeta<K>>,
    scope: &Scope,
    pulse: Arc<Pulse>,
    shutdown: CancellationToken,
    take: impl FnMut(Event<PartialObjectMeta<K>>),
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    drain(watcher(api, scope.config()), pulse, shutdown, take).await;
}

/// Watches the children of `kind` that carry the label `selector`, until `shutdown`.
pub async fn children(
    client: Client,
    kind: Kind,
    selector: &str,
    scope: &Scope,
    pulse: Arc<Pulse>,
    shutdown: CancellationToken,
    take: impl FnMut(Event<Live>),
) {
    let config = scope.config().labels(selector);
    let resource = kind.api_resource();
    match kind.depth {
        Depth::Workload => {
            let api: Api<Live> = scope.dynamic(client, &resource);
            drain(watcher(api, config), pulse, shutdown, take).await;
        }
        Depth::Metadata => {
            let api: Api<PartialObjectMeta<Live>> = scope.dynamic(client, &resource);
            let events = watcher(api, config).map_ok(|event| convert(event, Live::from));
            drain(events, pulse, shutdown, take).await;
        }
    }
}

async fn drain<K>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    pulse: Arc<Pulse>,
    shutdown: CancellationToken,
    mut take: impl FnMut(Event<K>),
) {
    let mut events = std::pin::pin!(events.default_backoff());
    while let Some(Some(result)) = shutdown.run_until_cancelled(events.next()).await {
        match result {
            Ok(event) => {
                let is_synced = matches!(event, Event::InitDone);
                take(event);
                if is_synced {
                    pulse.synced();
                }
            }
            Err(error) => {
                let error = describe(&error);
                tracing::warn!(watch = pulse.name(), %error, "Watch failed");
                pulse.failed(error);
            }
        }
    }
}

/// The same event about what `into` makes of the object.
pub fn convert<A, B>(event: Event<A>, into: impl Fn(A) -> B) -> Event<B> {
    match event {
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(into(object)),
        Event::InitDone => Event::InitDone,
        Event::Apply(object) => Event::Apply(into(object)),
        Event::Delete(object) => Event::Delete(into(object)),
    }
}
