//! How a `PrismAutoscaler` is looked after.

use k8s_openapi::jiff::Timestamp;
use kube::core::DeserializeGuard;
use prism_api::{
    autoscaler::{PrismAutoscaler, PrismAutoscalerStatus},
    workload::WorkloadKind,
};
use prism_engine::{
    cache::Cache,
    object::{Kind, Owner},
};
use prism_plan::{
    autoscaler::{self, Facts, Plan},
    invalid::Invalid,
    report::Report,
    scaling::Assignment,
};

use crate::{context::Context, gather, kinds, managed::Managed, scaling::seen, steps::Steps};

impl Managed for PrismAutoscaler {
    const KIND: Kind = kinds::PRISM_AUTOSCALER;
    type Status = PrismAutoscalerStatus;
    type Plan = Plan;

    fn cache(ctx: &Context) -> &Cache<DeserializeGuard<Self>> {
        &ctx.prism_autoscalers
    }

    fn status(&self) -> Option<&PrismAutoscalerStatus> {
        self.status.as_ref()
    }

    fn is_paused(&self, _: &Context) -> bool {
        false
    }

    fn plan(&self, owner: &Owner, ctx: &Context) -> Result<Plan, Invalid> {
        autoscaler::plan(self, &facts(self, owner, ctx))
    }

    fn steps(plan: &Plan, owner: &Owner, _: &Context) -> Result<Steps, serde_json::Error> {
        let mut steps = Steps::default();
        if let Some((scaling, plan)) = &plan.scaling {
            steps.add_scaling(owner, &scaling.target, plan)?;
        }
        Ok(steps)
    }

    fn assignments(plan: &Plan) -> Vec<Assignment> {
        plan.scaling.iter().filter_map(|(_, plan)| plan.assignment.clone()).collect()
    }

    fn next_change(plan: &Plan) -> Option<Timestamp> {
        plan.scaling.as_ref()?.1.next_change
    }

    fn assess(
        &self,
        plan: &Result<Plan, Invalid>,
        owner: &Owner,
        report: Report,
        ctx: &Context,
    ) -> PrismAutoscalerStatus {
        match plan {
            Ok(plan) => autoscaler::status(self, plan, &facts(self, owner, ctx), report, Timestamp::now()),
            Err(invalid) => autoscaler::refused(self, invalid, Timestamp::now()),
        }
    }

    fn is_progress_only(before: &PrismAutoscalerStatus, after: &PrismAutoscalerStatus) -> bool {
        autoscaler::is_progress_only(before, after)
    }
}

fn facts(object: &PrismAutoscaler, owner: &Owner, ctx: &Context) -> Facts {
    let Some(target) = seen::target(ctx, object) else { return Facts::default() };
    let kind =
        if target.kind == kinds::STATEFUL_SET { WorkloadKind::StatefulSet } else { WorkloadKind::Deployment };
    let name = target.name.to_string();
    let mut scaling = seen::facts(ctx, owner, &target.namespace, &[(target.kind, name.clone())]);
    scaling.decided_elsewhere = seen::other_decider(ctx, owner, &target);
    let admin = seen::maker(ctx, &target).and_then(|maker| gather::admin_of(ctx, &maker.key));
    Facts { target: Some((kind, name)), scaling, admin }
}
