//! What the operator watches, and whom each event wakes.

pub(crate) mod claims;
mod definitions;
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
use kube::{Client, Resource, core::DeserializeGuard, runtime::watcher::Event};
use prism_api::{
    autoscaler::PrismAutoscaler, backend::PrismBackend, cluster::PrismCluster, labels, names,
    pattern::PrismPattern, stack::PrismStack,
};
use prism_engine::{
    cache::{Cache, Difference},
    health::{Health, Pulse},
    live::Live,
    metrics::Metrics,
    object::Kind,
    queue::Lane,
    watch::{Scope, Watch},
};
use tokio_util::sync::CancellationToken;

use crate::{background::Background, context::Context, kinds, managed::Managed};

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
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shutdown: CancellationToken,
}

impl Watches {
    /// Starts every watch. They end with the shutdown.
    pub(crate) fn start(&self, tasks: &mut Background) {
        for kind in kinds::CHILDREN {
            let watches = self.clone();
            tasks.spawn(format!("watch of {}", kind.plural), move || watches.clone().children(kind));
        }
        self.custom_resources::<PrismCluster>(tasks, |_, _| ());
        self.custom_resources::<PrismStack>(tasks, wake::by_stack);
        self.custom_resources::<PrismPattern>(tasks, wake::autoscalers_of);
        self.custom_resources::<PrismBackend>(tasks, wake::users_of);
        self.custom_resources::<PrismAutoscaler>(tasks, wake::by_autoscaler);
        let watches = self.clone();
        tasks.spawn("watch of members", move || watches.clone().members());
        let watches = self.clone();
        tasks.spawn("watch of claims", move || watches.clone().claims());
        let watches = self.clone();
        tasks.spawn("watch of all autoscalers", move || {
            let take = taker(&watches.ctx, |ctx| &ctx.autoscalers, wake::scaled_by_autoscaler);
            let watch = watches.watch(watches.health.pulse(ALL_AUTOSCALERS), "");
            watch.objects::<HorizontalPodAutoscaler>(take)
        });
        let watches = self.clone();
        tasks.spawn("watch of services of backends", move || {
            let take = taker(&watches.ctx, |ctx| &ctx.services, wake::backends_behind);
            let watch = watches.watch(watches.health.pulse(SERVICES_OF_BACKENDS), labels::BACKEND_TYPE);
            watch.objects::<Service>(take)
        });
        let watches = self.clone();
        tasks.spawn("watch of namespaces", move || {
            let take = taker(&watches.ctx, |ctx| &ctx.namespaces, wake::all_whom_consent_concerns);
            let watch = watches.watch(watches.of_the_cluster("namespaces"), labels::BACKEND_TYPE);
            watch.cluster_objects::<Namespace>(take)
        });
        let watches = self.clone();
        tasks.spawn("watch of storage classes", move || {
            let take = taker(
                &watches.ctx,
                |ctx| &ctx.storage_classes,
                |ctx, _| {
                    wake::all_stalled_for_storage(ctx);
                },
            );
            let watch = watches.watch(watches.of_the_cluster("storageclasses"), "");
            watch.cluster_objects::<StorageClass>(take)
        });
        optional::start(self, tasks);
    }

    fn watch(&self, pulse: Arc<Pulse>, selector: &str) -> Watch {
        Watch {
            client: self.client.clone(),
            scope: self.scope.clone(),
            selector: selector.to_owned(),
            pulse,
            metrics: self.metrics.clone(),
            shutdown: self.shutdown.clone(),
        }
    }

    /// The pulse of the watch of what has no namespace. Whoever looks at one namespace may have no right to it, and
    /// does without.
    fn of_the_cluster(&self, plural: &str) -> Arc<Pulse> {
        if self.scope.namespace.is_some() { self.health.optional(plural) } else { self.health.pulse(plural) }
    }

    /// Children of one kind go into the ledger, which tells whose they are.
    async fn children(self, kind: Kind) {
        let selector = format!("{}={}", labels::APP_MANAGED_BY, names::MANAGED_BY);
        let take = |event| {
            for owner in self.ctx.engine.ledger().observe(kind, event) {
                self.ctx.queue.add(owner, Lane::Child);
            }
        };
        self.watch(self.health.pulse(kind.plural), &selector).children(kind, take).await;
    }

    /// Custom resources are cached whole, and are children, too: of a stack, or of a cluster.
    fn custom_resources<K: Managed + Debug>(
        &self,
        tasks: &mut Background,
        also: fn(&Arc<Context>, &Difference<DeserializeGuard<K>>),
    ) {
        let watches = self.clone();
        tasks.spawn(format!("watch of {}", K::KIND.plural), move || {
            let ctx = watches.ctx.clone();
            let take = move |event: Event<DeserializeGuard<K>>| {
                for owner in ctx.engine.ledger().observe(K::KIND, lives(&event)) {
                    ctx.queue.add(owner, Lane::Child);
                }
                for difference in K::cache(&ctx).take(event) {
                    wake::itself(&ctx, &difference);
                    wake::parent(&ctx, &difference);
                    also(&ctx, &difference);
                }
            };
            watches.watch(watches.health.pulse(K::KIND.plural), "").custom_resources(take)
        });
    }

    /// Pods of admins, for their readiness one by one.
    async fn members(self) {
        let selector = format!("{}=admin", labels::COMPONENT);
        let take = |event| {
            for difference in self.ctx.pods.take(event) {
                wake::stack_of_member(&self.ctx, &difference);
            }
        };
        let pulse = self.health.pulse(kinds::POD.plural);
        self.watch(pulse, &selector).children(kinds::POD, take).await;
    }
}

/// Other objects are looked up when somebody plans, and wake those that they concern.
fn taker<K: Resource>(
    ctx: &Arc<Context>,
    cache: fn(&Context) -> &Cache<K>,
    wake: fn(&Arc<Context>, &Difference<K>),
) -> impl FnMut(Event<K>) + Send + use<K> {
    let ctx = ctx.clone();
    move |event| {
        for difference in cache(&ctx).take(event) {
            wake(&ctx, &difference);
        }
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
