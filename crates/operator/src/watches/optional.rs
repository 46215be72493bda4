//! Kinds that come and go with their definitions: their watches do, too.

use std::collections::HashMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, ResourceExt, core::PartialObjectMeta, runtime::watcher::Event};
use prism_api::{labels, names};
use prism_engine::{cache::Cache, live::Live, object::Kind, queue::Lane, watch};
use tokio_util::sync::CancellationToken;

use super::{Watches, wake};
use crate::{kinds, scaling::seen::ScaledObjectView};

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
    let view = view(watches, kind, &watch);
    tokio::spawn(async move {
        // Whatever others have made of the kind has to be known before anything is made of it here.
        let is_seen = view.await;
        let take = |event| {
            let is_synced = matches!(event, Event::InitDone);
            for owner in ctx.engine.ledger().observe(kind, event) {
                ctx.queue.add(owner, Lane::Child);
            }
            if is_synced && ctx.optional.begin(kind) {
                wake::all_who_may_use(&ctx, kind);
            }
        };
        if is_seen {
            watch::children(client, kind, &selector, &scope, pulse, shutdown, take).await;
        }
    });
    watch
}

/// Starts the watch of all objects of a kind of KEDA, whoever made them. The future ends when it has its
/// initial list; `false`: it never will.
fn view(watches: &Watches, kind: Kind, watch: &CancellationToken) -> impl Future<Output = bool> + use<> {
    let Watches { client, scope, ctx, health, .. } = watches.clone();
    let pulse = health.pulse(&all(kind));
    let (shutdown, ended) = (watch.clone(), watch.clone());
    let (synced, is_synced) = tokio::sync::watch::channel(false);
    if kind == kinds::SCALED_OBJECT {
        tokio::spawn(async move {
            let take = |event: Event<ScaledObjectView>| {
                let is_done = matches!(event, Event::InitDone);
                for difference in ctx.scaled_objects.take(event) {
                    wake::scaled_by_keda(&ctx, &difference);
                }
                synced.send_if_modified(|known| is_done && !std::mem::replace(known, is_done));
            };
            watch::dynamic(client, kind, &scope, pulse, shutdown, take).await;
        });
    } else if kind == kinds::TRIGGER_AUTHENTICATION {
        tokio::spawn(async move {
            let take = |event: Event<Live>| {
                let is_done = matches!(event, Event::InitDone);
                for difference in ctx.authentications.take(event) {
                    wake::users_of_authentication(&ctx, &difference);
                }
                synced.send_if_modified(|known| is_done && !std::mem::replace(known, is_done));
            };
            watch::children(client, kind, "", &scope, pulse, shutdown, take).await;
        });
    } else {
        watches.health.forget(&all(kind));
        synced.send_replace(true);
    }
    async move {
        let mut is_synced = is_synced;
        let synced = async { is_synced.wait_for(|is_synced| *is_synced).await.is_ok() };
        ended.run_until_cancelled(synced).await.unwrap_or(false)
    }
}

/// The pulse of the watch of all objects of a kind, beside that of the operator's own.
fn all(kind: Kind) -> String {
    format!("{}?", kind.plural)
}

fn end(watches: &Watches, kind: Kind, watch: &CancellationToken) {
    watch.cancel();
    watches.health.forget(kind.plural);
    watches.health.forget(&all(kind));
    if kind == kinds::SCALED_OBJECT {
        watches.ctx.scaled_objects.clear();
    } else if kind == kinds::TRIGGER_AUTHENTICATION {
        watches.ctx.authentications.clear();
    }
    watches.ctx.optional.end(kind);
    watches.ctx.engine.ledger().drop_kind(kind);
    wake::all_who_may_use(&watches.ctx, kind);
}
