//! How a `PrismCluster` is looked after.

use k8s_openapi::jiff::Timestamp;
use kube::core::DeserializeGuard;
use prism_api::cluster::{PrismCluster, PrismClusterStatus};
use prism_engine::{
    cache::Cache,
    object::{Kind, ObjectKey, Owner},
};
use prism_plan::{
    cluster::{self, Plan},
    invalid::Invalid,
    report::Report,
};

use crate::{
    context::Context,
    kinds,
    managed::Managed,
    steps::{Steps, child},
};

impl Managed for PrismCluster {
    const KIND: Kind = kinds::PRISM_CLUSTER;
    type Status = PrismClusterStatus;
    type Plan = Plan;

    fn cache(ctx: &Context) -> &Cache<DeserializeGuard<Self>> {
        &ctx.clusters
    }

    fn status(&self) -> Option<&PrismClusterStatus> {
        self.status.as_ref()
    }

    fn is_paused(&self, _: &Context) -> bool {
        // The pause is the stack's, which has to learn of it.
        false
    }

    fn plan(&self, _: &Owner, _: &Context) -> Result<Plan, Invalid> {
        cluster::plan(self)
    }

    fn steps(plan: &Plan, owner: &Owner, _: &Context) -> Result<Steps, serde_json::Error> {
        let stack = child(owner, kinds::PRISM_STACK, &plan.stack)?;
        Ok(Steps { lines: vec![vec![vec![stack]]], ..Steps::default() })
    }

    fn assess(
        &self,
        plan: &Result<Plan, Invalid>,
        owner: &Owner,
        report: Report,
        ctx: &Context,
    ) -> PrismClusterStatus {
        let stack = ctx.stacks.get(&owner.key.namespace, &owner.key.name);
        let key = ObjectKey::new(kinds::PRISM_STACK, &owner.key.namespace, &owner.key.name);
        let is_ours = ctx.engine.ledger().get(&key).is_some_and(|seen| seen.owner.as_ref() == Some(owner));
        let stack = stack.as_ref().filter(|_| is_ours).and_then(|stack| stack.0.as_ref().ok());
        cluster::status(self, plan, stack, report, Timestamp::now())
    }

    fn is_progress_only(before: &PrismClusterStatus, after: &PrismClusterStatus) -> bool {
        cluster::is_progress_only(before, after)
    }
}
