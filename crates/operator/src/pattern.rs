//! How a `PrismPattern` is looked after.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;
use kube::core::DeserializeGuard;
use prism_api::pattern::{PrismPattern, PrismPatternStatus};
use prism_engine::{
    cache::Cache,
    object::{Kind, Owner},
};
use prism_plan::{
    invalid::Invalid,
    pattern::{self, Plan},
    report::Report,
    scaling::Assignment,
};

use crate::{
    context::Context,
    gather, kinds,
    managed::Managed,
    ownership,
    scaling::secrets::secrets_of,
    steps::{Steps, child},
};

impl Managed for PrismPattern {
    const KIND: Kind = kinds::PRISM_PATTERN;
    type Status = PrismPatternStatus;
    type Plan = Plan;

    fn cache(ctx: &Context) -> &Cache<DeserializeGuard<Self>> {
        &ctx.patterns
    }

    fn status(&self) -> Option<&PrismPatternStatus> {
        self.status.as_ref()
    }

    fn is_paused(&self, ctx: &Context) -> bool {
        ownership::is_paused_by_stack(ctx, kinds::PRISM_PATTERN, &self.metadata)
    }

    fn plan(&self, owner: &Owner, ctx: &Context) -> Result<Plan, Invalid> {
        pattern::plan(self, &gather::pattern(self, owner, ctx))
    }

    fn steps(plan: &Plan, owner: &Owner, _: &Context) -> Result<Steps, serde_json::Error> {
        let mut steps = Steps::default();
        let config = plan.config.iter().map(|config| child(owner, kinds::CONFIG_MAP, config));
        steps.add_program(owner, &plan.runner, config.collect::<Result<_, _>>()?)?;
        Ok(steps)
    }

    fn hold(plan: &Plan) -> Option<&str> {
        plan.hold.as_deref()
    }

    fn assignments(plan: &Plan) -> Vec<Assignment> {
        plan.runner.scaling.assignment.iter().cloned().collect()
    }

    fn next_change(plan: &Plan) -> Option<Timestamp> {
        plan.runner.scaling.next_change
    }

    fn needs_polling(plan: &Plan) -> bool {
        plan.runner.scaling.needs_polling()
    }

    fn secrets(&self) -> BTreeSet<String> {
        let triggers = self.spec.autoscaling.iter().flat_map(|block| &block.triggers);
        secrets_of(triggers)
    }

    fn assess(
        &self,
        plan: &Result<Plan, Invalid>,
        owner: &Owner,
        report: Report,
        ctx: &Context,
    ) -> PrismPatternStatus {
        let facts = gather::pattern(self, owner, ctx);
        match plan {
            Ok(plan) => pattern::status(self, plan, &facts, report, Timestamp::now()),
            Err(invalid) => pattern::refused(self, invalid, &facts, Timestamp::now()),
        }
    }

    fn is_progress_only(before: &PrismPatternStatus, after: &PrismPatternStatus) -> bool {
        pattern::is_progress_only(before, after)
    }
}
