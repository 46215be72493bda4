//! One look at one object of any kind that has children: gather, plan, apply, report.

use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::{NamespaceResourceScope, jiff::Timestamp};
use kube::{Resource, ResourceExt, core::DeserializeGuard};
use prism_api::{
    PrismAutoscalerStatus, PrismBackendStatus, PrismClusterStatus, PrismPatternStatus, PrismStackStatus,
    condition::Condition, inventory::InventoryEntry, labels,
};
use prism_engine::{
    Error,
    cache::Cache,
    object::{Kind, ObjectKey, Owner},
    queue::Lane,
    worker::Action,
};
use prism_plan::{invalid::Invalid, report::Report, scaling::Assignment};
use serde::{Serialize, de::DeserializeOwned};

use crate::{apply, context::Context, report, steps::Steps};

/// A custom resource that has children.
pub(crate) trait Managed:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Default
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Its kind.
    const KIND: Kind;
    /// Whether its deletion needs more than the garbage collector.
    const HAS_FINALIZER: bool = false;
    /// Its status.
    type Status: Status;
    /// What is to be done for it.
    type Plan: Send + Sync;

    /// Where objects of this kind are cached.
    fn cache(ctx: &Context) -> &Cache<DeserializeGuard<Self>>;

    /// Its status, as last seen.
    fn status(&self) -> Option<&Self::Status>;

    /// Whether its spec, or that of the object it belongs to, asks to leave it alone.
    fn is_paused(&self, ctx: &Context) -> bool;

    /// Decides what should be, from facts that are gathered from caches alone.
    fn plan(&self, owner: &Owner, ctx: &Context) -> Result<Self::Plan, Invalid>;

    /// How the plan is carried out.
    fn steps(plan: &Self::Plan, owner: &Owner, ctx: &Context) -> Result<Steps, serde_json::Error>;

    /// The status after a pass.
    fn assess(
        &self,
        plan: &Result<Self::Plan, Invalid>,
        owner: &Owner,
        report: Report,
        ctx: &Context,
    ) -> Self::Status;

    /// Whether two statuses differ in nothing but counts and messages.
    fn is_progress_only(before: &Self::Status, after: &Self::Status) -> bool;

    /// Why the children stay as they are, although the plan says what they should be.
    fn hold(_: &Self::Plan) -> Option<&str> {
        None
    }

    /// What the operator itself looks at to scale the workloads of the plan.
    fn assignments(_: &Self::Plan) -> Vec<Assignment> {
        Vec::new()
    }

    /// When the plan is another one although nothing has happened.
    fn next_change(_: &Self::Plan) -> Option<Timestamp> {
        None
    }

    /// Whether the plan waits for something that no watch shows, so that it is made again from time to time.
    fn needs_polling(_: &Self::Plan) -> bool {
        false
    }

    /// Secrets of the object's namespace whose keys the plan has to know.
    fn secrets(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }

    /// Brings a deletion forward.
    fn finish(_: &Context, _: &Subject<Self>) -> impl Future<Output = Result<Action, Error>> + Send {
        async { Ok(Action::Await) }
    }
}

/// What the statuses of all kinds have.
pub(crate) trait Status: Clone + Default + PartialEq + Serialize + Send + Sync {
    fn conditions(&self) -> &[Condition];
    fn inventory(&self) -> &[InventoryEntry];
    fn handled_request(&self) -> Option<&str>;
    fn with_conditions(self, conditions: Vec<Condition>) -> Self;
}

macro_rules! statuses {
    ($($status:ty),*) => {$(
        impl Status for $status {
            fn conditions(&self) -> &[Condition] {
                &self.conditions
            }
            fn inventory(&self) -> &[InventoryEntry] {
                &self.inventory
            }
            fn handled_request(&self) -> Option<&str> {
                self.last_handled_reconcile_at.as_deref()
            }
            fn with_conditions(self, conditions: Vec<Condition>) -> Self {
                Self { conditions, ..self }
            }
        }
    )*};
}

statuses!(
    PrismAutoscalerStatus,
    PrismBackendStatus,
    PrismClusterStatus,
    PrismPatternStatus,
    PrismStackStatus
);

/// Brings one object, and its children, to where its spec wants them.
pub(crate) async fn reconcile<K: Managed>(
    ctx: &Context,
    key: &ObjectKey,
    lane: Lane,
) -> Result<Action, Error> {
    let Some(guarded) = K::cache(ctx).get(&key.namespace, &key.name) else {
        return Ok(ctx.forget(key));
    };
    let subject = Subject::new(&guarded, key);
    if subject.is_being_deleted() {
        ctx.looks.assign(key, Vec::new());
        return match K::finish(ctx, &subject).await {
            Ok(action) => Ok(action),
            Err(error) => report::unfinished(ctx, &subject, error).await,
        };
    }
    ctx.secret_keys.refresh(&key.namespace, &subject.object.secrets()).await;
    ctx.shortages.refresh(ctx, &subject.owner).await;
    let plan = subject.readable().and_then(|object| object.plan(&subject.owner, ctx));
    if let Ok(plan) = &plan {
        let is_left_alone = subject.is_paused(ctx) || K::hold(plan).is_some();
        ctx.looks.assign(key, if is_left_alone { Vec::new() } else { K::assignments(plan) });
    }
    let applied = apply::apply(ctx, &subject, plan).await;
    report::report(ctx, &subject, applied, lane).await
}

/// The object that is looked at.
pub(crate) struct Subject<K> {
    pub(crate) object: K,
    pub(crate) owner: Owner,
    /// Why it cannot be read, if it cannot: then `object` has metadata only.
    unreadable: Option<String>,
}

impl<K: Managed> Subject<K> {
    fn new(guarded: &Arc<DeserializeGuard<K>>, key: &ObjectKey) -> Self {
        let (object, unreadable) = match &guarded.0 {
            Ok(object) => (object.clone(), None),
            Err(invalid) => {
                let mut object = K::default();
                *object.meta_mut() = invalid.metadata.clone();
                (object, Some(invalid.error.clone()))
            }
        };
        let owner = Owner { key: key.clone(), uid: object.uid().unwrap_or_default().into() };
        Self { object, owner, unreadable }
    }

    fn readable(&self) -> Result<&K, Invalid> {
        match &self.unreadable {
            None => Ok(&self.object),
            Some(error) => Err(Invalid::new("spec", format!("{error}: correct the value"))),
        }
    }

    fn is_being_deleted(&self) -> bool {
        self.object.meta().deletion_timestamp.is_some()
    }

    /// Whether somebody asks to leave the children alone.
    pub(crate) fn is_paused(&self, ctx: &Context) -> bool {
        self.annotation(labels::PAUSED).is_some_and(|value| value == "true") || self.object.is_paused(ctx)
    }

    /// A request for a reconciliation that no earlier pass has served.
    pub(crate) fn open_request(&self) -> Option<&str> {
        let handled = self.object.status().and_then(Status::handled_request);
        self.annotation(labels::RECONCILE_REQUESTED_AT).filter(|request| Some(*request) != handled)
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.object.annotations().get(key).map(String::as_str)
    }
}
