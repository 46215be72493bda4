//! Kinds that come and go with their definitions: their watches do, too.

use std::collections::HashMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, ResourceExt, core::PartialObjectMeta, runtime::watcher::Event};
use prism_api::{labels, names};
use prism_engine::{cache::Cache, object::Kind, queue::Lane, watch};
use tokio_util::sync::CancellationToken;

use super::{Watches, wake};
use crate::kinds;

type Definition = PartialObjectMeta<CustomResourceDefinition>;

/// Watches definitions, and starts and ends the watch of each optional kind with its own.
pub(super) async fn watch(watches: Watches) {
    let definitions = Cache::<Definition>::default();
    let mut running: HashMap<Kind, CancellationToken> = HashMap::new();
    let take = |event: Event<Definition>| {
        for difference in definitions.take(event) {
            let name = difference.after.as_ref().or(difference.before.as_ref()).map(|crd| crd.name_any());
            let Some(kind) = name.and_then(|name| optional(&name)) else { continue };
            match (difference.after, running.remove(&kind)) {
                (Some(_), Some(watch)) => drop(running.insert(kind, watch)),
                (Some(_), None) => drop(running.insert(kind, begin(&watches, kind))),
                (None, Some(watch)) => end(&watches, kind, &watch),
                (None, None) => {}
            }
        }
    };
    let api: Api<Definition> = Api::all(watches.client.clone());
    let pulse = watches.health.pulse("customresourcedefinitions");
    watch::metadata(api, &watches.scope, pulse, watches.shutdown.clone(), take).await;
}

fn optional(definition: &str) -> Option<Kind> {
    kinds::OPTIONAL.into_iter().find(|kind| definition == format!("{}.{}", kind.plural, kind.group))
}

/// The kind counts as served when its watch has its initial list: before that, nobody could tell
/// what is there already.
fn begin(watches: &Watches, kind: Kind) -> CancellationToken {
    let watch = watches.shutdown.child_token();
    let pulse = watches.health.pulse(kind.plural);
    let selector = format!("{}={}", labels::APP_MANAGED_BY, names::MANAGED_BY);
    let (Watches { client, scope, ctx, .. }, shutdown) = (watches.clone(), watch.clone());
    tokio::spawn(async move {
        let take = |event| {
            let is_synced = matches!(event, Event::InitDone);
            for owner in ctx.engine.ledger().observe(kind, event) {
                ctx.queue.add(owner, Lane::Child);
            }
            if is_synced && ctx.optional.begin(kind) {
                wake::all_stacks(&ctx);
            }
        };
        watch::children(client, kind, &selector, &scope, pulse, shutdown, take).await;
    });
    watch
}

fn end(watches: &Watches, kind: Kind, watch: &CancellationToken) {
    watch.cancel();
    watches.health.forget(kind.plural);
    watches.ctx.optional.end(kind);
    watches.ctx.engine.ledger().drop_kind(kind);
    wake::all_stacks(&watches.ctx);
}
