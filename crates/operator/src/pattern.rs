//! One look at one `PrismPattern`: gather, plan, apply, report.

use std::sync::Arc;

use kube::{ResourceExt, core::DeserializeGuard};
use prism_api::{labels, pattern::PrismPattern};
use prism_engine::{
    Error,
    object::{ObjectKey, Owner},
    queue::Lane,
    worker::Action,
};
use prism_plan::invalid::Invalid;

use crate::{apply, context::Context, gather, report};

/// Brings one pattern, and its children, to where its spec wants them.
pub(crate) async fn reconcile(ctx: &Context, key: &ObjectKey, lane: Lane) -> Result<Action, Error> {
    let Some(guarded) = ctx.patterns.get(&key.namespace, &key.name) else {
        return Ok(ctx.forget(key));
    };
    let subject = Subject::new(&guarded, key);
    if subject.is_being_deleted() {
        return Ok(Action::Await);
    }
    let facts = gather::pattern(&subject.pattern, &subject.owner, ctx);
    let plan =
        subject.readable().and_then(|pattern| prism_plan::pattern::plan(pattern, &facts).map(Box::new));
    let applied = apply::pattern(ctx, &subject, plan).await?;
    report::pattern(ctx, &subject, applied, lane).await
}

/// The pattern that is looked at.
pub(crate) struct Subject {
    pub(crate) pattern: Arc<PrismPattern>,
    pub(crate) owner: Owner,
    /// Why it cannot be read, if it cannot: then `pattern` has metadata only.
    unreadable: Option<String>,
}

impl Subject {
    fn new(guarded: &Arc<DeserializeGuard<PrismPattern>>, key: &ObjectKey) -> Self {
        let (pattern, unreadable) = match &guarded.0 {
            Ok(pattern) => (pattern.clone(), None),
            Err(invalid) => {
                let metadata = invalid.metadata.clone();
                (PrismPattern { metadata, ..PrismPattern::default() }, Some(invalid.error.clone()))
            }
        };
        let owner = Owner { key: key.clone(), uid: pattern.uid().unwrap_or_default().into() };
        Self { pattern: Arc::new(pattern), owner, unreadable }
    }

    fn readable(&self) -> Result<&PrismPattern, Invalid> {
        match &self.unreadable {
            None => Ok(&self.pattern),
            Some(error) => Err(Invalid::new("spec", format!("{error}: correct the value"))),
        }
    }

    fn is_being_deleted(&self) -> bool {
        self.pattern.metadata.deletion_timestamp.is_some()
    }

    /// Whether the annotation asks to leave the children alone.
    pub(crate) fn is_paused(&self) -> bool {
        self.annotation(labels::PAUSED).is_some_and(|value| value == "true")
    }

    /// A request for a reconciliation that no earlier pass has served.
    pub(crate) fn open_request(&self) -> Option<&str> {
        let handled =
            self.pattern.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
        self.annotation(labels::RECONCILE_REQUESTED_AT).filter(|request| Some(*request) != handled)
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.pattern.annotations().get(key).map(String::as_str)
    }
}
