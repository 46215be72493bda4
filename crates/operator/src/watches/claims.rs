//! Claims of the volumes of `StatefulSet`s that the operator makes: who has one, and how large it is.
//!
//! Claims outlive their `StatefulSet`, and a later one finds them again by their names. They carry the labels of
//! their template, which is all that is watched.

use std::sync::Arc;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{ResourceExt, runtime::watcher::Event};
use prism_api::{labels, names};
use prism_engine::{cache::Difference, object::ObjectKey, queue::Lane, volumes::CLAIM, watch};
use prism_plan::{backend, program::VOLUME};

use super::Watches;
use crate::{context::Context, kinds};

impl Watches {
    /// Claims, without what nobody looks at.
    pub(super) async fn claims(self) {
        let selector = format!("{}={}", labels::APP_MANAGED_BY, names::MANAGED_BY);
        let take = |event: Event<PersistentVolumeClaim>| {
            for difference in self.ctx.claims.take(watch::convert(event, without_bulk)) {
                wake(&self.ctx, &difference);
            }
        };
        self.watch(self.health.pulse(CLAIM.plural), &selector).objects(take).await;
    }
}

fn without_bulk(mut claim: PersistentVolumeClaim) -> PersistentVolumeClaim {
    claim.metadata.managed_fields = None;
    claim.metadata.labels = None;
    claim.status = None;
    claim
}

/// A claim that comes, goes or changes concerns the owner of its `StatefulSet`, and a backend that has none yet.
fn wake(ctx: &Context, difference: &Difference<PersistentVolumeClaim>) {
    let state = |claim: &Option<Arc<PersistentVolumeClaim>>| {
        claim
            .as_ref()
            .map(|claim| (claim.metadata.deletion_timestamp.is_some(), claim.spec.clone(), claim.uid()))
    };
    if state(&difference.before) == state(&difference.after) {
        return;
    }
    let Some(claim) = difference.after.as_ref().or(difference.before.as_ref()) else { return };
    let (name, namespace) = (claim.name_any(), claim.namespace().unwrap_or_default());
    let Some(workload) = workload_of(&name) else { return };
    let set = ObjectKey::new(kinds::STATEFUL_SET, &namespace, workload);
    if let Some(owner) = ctx.engine.ledger().get(&set).and_then(|seen| seen.owner) {
        return ctx.queue.add(owner.key, Lane::Child);
    }
    ctx.enqueue(&ctx.backends, Lane::Child, |guarded| {
        let metadata = kube::Resource::meta(guarded);
        metadata.namespace.as_deref() == Some(&namespace)
            && metadata.name.as_deref().is_some_and(|name| backend::workload_name(name) == workload)
    });
}

/// Name of the `StatefulSet` that the claim `name` belongs to.
fn workload_of(name: &str) -> Option<&str> {
    let (workload, ordinal) = name.strip_prefix(VOLUME)?.strip_prefix('-')?.rsplit_once('-')?;
    (!ordinal.is_empty() && ordinal.bytes().all(|digit| digit.is_ascii_digit())).then_some(workload)
}

/// Name of the claim of the pod `ordinal` of the `StatefulSet` `workload`.
pub(crate) fn claim_name(workload: &str, ordinal: i32) -> String {
    format!("{VOLUME}-{workload}-{ordinal}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_names_its_workload() {
        assert_eq!(workload_of(&claim_name("shop-admin", 12)), Some("shop-admin"));
        assert_eq!(workload_of("data-shop"), None);
        assert_eq!(workload_of("data-shop-x"), None);
        assert_eq!(workload_of("other-shop-0"), None);
    }
}
