//! What the operator watches, and whom each event wakes.

pub(crate) mod claims;
mod optional;
mod wake;

use std::{fmt::Debug, sync::Arc};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Namespace, Service},
        storage::v1::StorageClass,
    },
};
use kube::{Api, Client, Resource, core::DeserializeGuard, runtime::watcher::Event};
use prism_api::{
    autoscaler::PrismAutoscaler, backend::PrismBackend, cluster::PrismCluster, labels, names,
    pattern::PrismPattern, stack::PrismStack,
};
use prism_engine::{
    cache::{Cache, Difference},
    health::Health,
    live::Live,
    object::Kind,
    queue::Lane,
    watch::{self, Scope},
};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{context::Context, kinds, managed::Managed};

/// Services are watched twice: as children, and as what backends refer to.
const SERVICES_OF_BACKENDS: &str = "services?prism.io/backend-type";
/// Autoscalers, too: as children, and for what they say, whoever made them.
const ALL_AUTOSCALERS: &str = "horizontalpodautoscalers?";

/// What every watch needs.
#[derive(Clone)]
pub(crate) struct Watches {
    pub(crate) client: Client,
    pub(crate) scope: Scope,
    pub(crate) ctx: Arc<Context>,
    pub(crate) health: Arc<Health>,
    pub(crate) shutdown: CancellationToken,
}

impl Watches {
    /// Starts every watch. They end with the shutdown.
    pub(crate) fn start(&self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for kind in kinds::CHILDREN {
            tasks.spawn(self.clone().children(kind));
        }
        tasks.spawn(self.clone().owners::<PrismCluster>(|_, _| ()));
        tasks.spawn(self.clone().owners::<PrismStack>(wake::by_stack));
        tasks.spawn(self.clone().owners::<PrismPattern>(wake::autoscalers_of));
        tasks.spawn(self.clone().owners::<PrismBackend>(wake::users_of));
        tasks.spawn(self.clone().owners::<PrismAutoscaler>(wake::by_autoscaler));
        tasks.spawn(self.clone().members());
        tasks.spawn(self.clone().claims());
        let autoscalers = self.scope.api::<HorizontalPodAutoscaler>(self.client.clone());
        tasks.spawn(self.clone().others(
            autoscalers,
            ALL_AUTOSCALERS,
            "",
            |ctx| &ctx.autoscalers,
            wake::scaled_by_autoscaler,
        ));
        let services = self.scope.api::<Service>(self.client.clone());
        tasks.spawn(self.clone().others(
            services,
            SERVICES_OF_BACKENDS,
            labels::BACKEND_TYPE,
            |ctx| &ctx.services,
            wake::backends_behind,
        ));
        tasks.spawn(self.clone().others(
            Api::<Namespace>::all(self.client.clone()),
            "namespaces",
            labels::BACKEND_TYPE,
            |ctx| &ctx.namespaces,
            wake::all_whom_consent_concerns,
        ));
        tasks.spawn(self.clone().others(
            Api::<StorageClass>::all(self.client.clone()),
            "storageclasses",
            "",
            |ctx| &ctx.storage_classes,
            |ctx, _| wake::all_stalled_for_storage(ctx),
        ));
        tasks.spawn(optional::watch(self.clone()));
        tasks
    }

    /// Children of one kind go into the ledger, which tells whose they are.
    async fn children(self, kind: Kind) {
        let Self { client, scope, ctx, health, shutdown } = self;
        let selector = format!("{}={}", labels::APP_MANAGED_BY, names::MANAGED_BY);
        let take = |event| {
            for owner in ctx.engine.ledger().observe(kind, event) {
                ctx.queue.add(owner, Lane::Child);
            }
        };
        watch::children(client, kind, &selector, &scope, health.pulse(kind.plural), shutdown, take).await;
    }

    /// Custom resources are cached whole, and are children, too: of a stack, or of a cluster.
    async fn owners<K: Managed + Debug>(self, also: fn(&Arc<Context>, &Difference<DeserializeGuard<K>>)) {
        let Self { client, scope, ctx, health, shutdown } = self;
        let pulse = health.pulse(K::KIND.plural);
        let take = |event: Event<DeserializeGuard<K>>| {
            for owner in ctx.engine.ledger().observe(K::KIND, lives(&event)) {
                ctx.queue.add(owner, Lane::Child);
            }
            for difference in K::cache(&ctx).take(event) {
                wake::itself(&ctx, &difference);
                wake::parent(&ctx, &difference);
                also(&ctx, &difference);
            }
        };
        watch::objects(scope.api(client), "", &scope, pulse, shutdown, take).await;
    }

    /// Other objects are looked up when somebody plans, and wake those that they concern.
    async fn others<K>(
        self,
        api: Api<K>,
        name: &'static str,
        selector: &'static str,
        cache: fn(&Context) -> &Cache<K>,
        wake: fn(&Arc<Context>, &Difference<K>),
    ) where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let Self { ctx, scope, health, shutdown, .. } = self;
        let take = |event| {
            for difference in cache(&ctx).take(event) {
                wake(&ctx, &difference);
            }
        };
        watch::objects(api, selector, &scope, health.pulse(name), shutdown, take).await;
    }

    /// Pods of admins, for their readiness one by one.
    async fn members(self) {
        let Self { client, scope, ctx, health, shutdown } = self;
        let selector = format!("{}=admin", labels::COMPONENT);
        let take = |event| {
            for difference in ctx.pods.take(event) {
                wake::stack_of_member(&ctx, &difference);
            }
        };
        let pulse = health.pulse(kinds::POD.plural);
        watch::children(client, kinds::POD, &selector, &scope, pulse, shutdown, take).await;
    }
}

/// The same event about the metadata alone.
fn lives<K>(event: &Event<DeserializeGuard<K>>) -> Event<Live>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let live = |object: &DeserializeGuard<K>| Live { metadata: object.meta().clone(), ..Live::default() };
    match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(object) => Event::InitApply(live(object)),
        Event::Apply(object) => Event::Apply(live(object)),
        Event::Delete(object) => Event::Delete(live(object)),
    }
}
