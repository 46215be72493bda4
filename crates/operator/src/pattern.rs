//! How a `PrismPattern` is looked after.

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
};

use crate::{
    context::Context,
    family, gather, kinds,
    managed::Managed,
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
        family::stack_of(ctx, &self.metadata).is_some_and(|stack| family::is_paused(&stack))
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
