//! Kinds that a cluster may or may not serve: their watches come and go with what the API server says.
//!
//! Nothing waits for any of them for longer than one try. A kind counts as served when its watch has its initial
//! list: before that, nobody could tell what is there already. One whose list is refused, be it that the version that
//! is wanted is not served or that the operator may not see it, is not served, and is tried again and again.

use std::future::pending;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, api::ListParams, runtime::watcher::Event};
use prism_api::{labels, names};
use prism_engine::{
    health::{Failure, Pulse},
    live::Live,
    object::Kind,
    queue::Lane,
    watch::Watch,
};
use tokio_util::sync::CancellationToken;

use super::{
    Watches,
    definitions::{Definitions, Installed},
    wake,
};
use crate::{
    background::Background,
    context::Standing,
    kinds,
    scaling::seen::{ScaledObjectSpecView, ScaledObjectView},
};

/// Kinds of which all objects are watched, whoever made them, beside the operator's own: their pulses are named so.
const WATCHED_WHOLE: [Kind; 2] = [kinds::SCALED_OBJECT, kinds::TRIGGER_AUTHENTICATION];

/// Starts what watches each optional kind while it is served.
pub(super) fn start(watches: &Watches, tasks: &mut Background) {
    let definitions = Definitions::default();
    for kind in kinds::OPTIONAL {
        // Known from the beginning: whoever waits for the first lists waits for the first try of these.
        register(watches, kind);
        let (watches, definitions) = (watches.clone(), definitions.clone());
        tasks.spawn(format!("watch of {}", kind.plural), move || {
            keep(watches.clone(), kind, definitions.clone())
        });
    }
    let watches = watches.clone();
    tasks.spawn("watch of definitions", move || definitions.clone().watch(watches.clone()));
}

fn register(watches: &Watches, kind: Kind) {
    for pulse in pulses(watches, kind) {
        pulse.restarted();
    }
}

/// The pulses of the watches of `kind`.
fn pulses(watches: &Watches, kind: Kind) -> Vec<std::sync::Arc<Pulse>> {
    let whole = WATCHED_WHOLE.contains(&kind).then(|| watches.health.optional(&whole(kind)));
    whole.into_iter().chain([watches.health.optional(kind.plural)]).collect()
}

/// The pulse of the watch of all objects of a kind, beside that of the operator's own.
fn whole(kind: Kind) -> String {
    format!("{}?", kind.plural)
}

/// Watches `kind` while it is served, until the shutdown.
async fn keep(watches: Watches, kind: Kind, definitions: Definitions) {
    let shutdown = watches.shutdown.clone();
    let keeping = async {
        let mut changes = definitions.changes();
        loop {
            changes.borrow_and_update();
            match definitions.installed(kind) {
                Installed::Pending => register(&watches, kind),
                Installed::No => {
                    for pulse in pulses(&watches, kind) {
                        watches.health.forget(pulse.name());
                    }
                    end(&watches, kind, Standing::Absent(None));
                }
                installed => {
                    attempt(&watches, kind, &definitions, &installed).await;
                    continue;
                }
            }
            // Cannot fail: the sender lives in `definitions`.
            let _ = changes.changed().await;
        }
    };
    shutdown.run_until_cancelled(Box::pin(keeping)).await;
}

/// Watches `kind` until its definition changes or the API server refuses what it has served.
async fn attempt(watches: &Watches, kind: Kind, definitions: &Definitions, installed: &Installed) {
    let mut definition = definitions.changes();
    if definitions.installed(kind) != *installed {
        return;
    }
    let pulses = pulses(watches, kind);
    register(watches, kind);
    let mut changes = watches.health.changes();
    let ends = watches.shutdown.child_token();
    let _ends_with_this = ends.clone().drop_guard();
    let watching = watch(watches, kind, &ends);
    tokio::pin!(watching);
    let (mut is_served, mut told) = (false, None);
    loop {
        let failure = pulses.iter().find_map(|pulse| pulse.failure());
        if let Some(failure) = failure.filter(|failure| !is_served || failure.is_refusal()) {
            if told.as_ref() != Some(&failure) {
                end(watches, kind, standing(watches, kind, &failure).await);
                told = Some(failure);
            }
            if is_served {
                // What was seen may have changed since: the next try begins with a list.
                return;
            }
        } else if pulses.iter().all(|pulse| pulse.is_synced()) && !is_served {
            is_served = true;
            if watches.ctx.optional.set(kind, Standing::Served) {
                wake::all_who_may_use(&watches.ctx, kind);
            }
        }
        tokio::select! {
            () = &mut watching => return,
            _ = changes.changed() => {}
            _ = definition.changed() => {
                let now = definitions.installed(kind);
                // A definition that is there to stay does not end a watch that works.
                if now != *installed && (!is_served || now == Installed::No) {
                    return;
                }
            }
        }
    }
}

/// Both watches of `kind`, if it has two: whatever others have made of it has to be known before anything is made of
/// it here.
async fn watch(watches: &Watches, kind: Kind, ends: &CancellationToken) {
    let one = |pulse: &str, selector: String| Watch {
        shutdown: ends.clone(),
        ..watches.watch(watches.health.optional(pulse), &selector)
    };
    let ctx = &watches.ctx;
    let own = one(kind.plural, format!("{}={}", labels::APP_MANAGED_BY, names::MANAGED_BY));
    let own = own.children(kind, |event| {
        for owner in ctx.engine.ledger().observe(kind, event) {
            ctx.queue.add(owner, Lane::Child);
        }
    });
    match kind {
        kinds::SCALED_OBJECT => {
            let bare = |metadata| ScaledObjectView {
                types: None,
                metadata,
                spec: ScaledObjectSpecView::default(),
                status: None,
            };
            let all =
                one(&whole(kind), String::new()).dynamic(kind, bare, |event: Event<ScaledObjectView>| {
                    for difference in ctx.scaled_objects.take(event) {
                        wake::scaled_by_keda(ctx, &difference);
                    }
                });
            tokio::join!(all, own);
        }
        kinds::TRIGGER_AUTHENTICATION => {
            let all = one(&whole(kind), String::new()).children(kind, |event: Event<Live>| {
                for difference in ctx.authentications.take(event) {
                    wake::users_of_authentication(ctx, &difference);
                }
            });
            tokio::join!(all, own);
        }
        _ => own.await,
    }
    // The shutdown ends who waits for this.
    pending::<()>().await;
}

/// What a failed list says about `kind`.
async fn standing(watches: &Watches, kind: Kind, failure: &Failure) -> Standing {
    match failure.code {
        Some(404) => Standing::Absent(versions(watches, kind).await),
        Some(403) => Standing::Hidden("the operator may not list and watch it".to_owned()),
        _ => Standing::Hidden("the API server does not list it".to_owned()),
    }
}

/// The versions in which `kind` is served, if it is, and if the operator may know.
async fn versions(watches: &Watches, kind: Kind) -> Option<String> {
    let api: Api<CustomResourceDefinition> = Api::all(watches.client.clone());
    let name = ListParams::default().fields(&format!("metadata.name={}.{}", kind.plural, kind.group));
    let found = match api.list(&name).await {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(%error, %kind, "Its definition cannot be read");
            return None;
        }
    };
    let versions = found.into_iter().next()?.spec.versions;
    let served: Vec<_> =
        versions.into_iter().filter(|version| version.served).map(|version| version.name).collect();
    // Not yet: a definition that has just been made is served a moment later.
    (!served.iter().any(|version| version == kind.version))
        .then(|| format!("{} is needed, and the cluster has {}", kind.version, served.join(", ")))
}

/// The kind is not served, or no longer.
fn end(watches: &Watches, kind: Kind, standing: Standing) {
    if !watches.ctx.optional.set(kind, standing) {
        return;
    }
    if kind == kinds::SCALED_OBJECT {
        watches.ctx.scaled_objects.clear();
    } else if kind == kinds::TRIGGER_AUTHENTICATION {
        watches.ctx.authentications.clear();
    }
    watches.ctx.engine.ledger().drop_kind(kind);
    wake::all_who_may_use(&watches.ctx, kind);
}
