//! How a `PrismStack` is looked after.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;
use kube::core::DeserializeGuard;
use prism_api::{
    stack::{PrismStack, PrismStackStatus},
    workload::WorkloadKind,
};
use prism_engine::{
    Error,
    cache::Cache,
    child::Child,
    object::{Kind, ObjectKey, Owner},
    worker::Action,
};
use prism_plan::{
    edge,
    invalid::Invalid,
    report::Report,
    scaling::Assignment,
    stack::{self, AdminPlan, ComponentPlan, Kept, Plan},
};

use crate::{
    context::Context,
    farewell, gather, kinds,
    managed::{Managed, Subject},
    ownership,
    scaling::secrets::secrets_of,
    steps::{Steps, child, key_of, workload_key},
};

impl Managed for PrismStack {
    const KIND: Kind = kinds::PRISM_STACK;
    const HAS_FINALIZER: bool = true;
    type Status = PrismStackStatus;
    type Plan = Plan;

    fn cache(ctx: &Context) -> &Cache<DeserializeGuard<Self>> {
        &ctx.stacks
    }

    fn status(&self) -> Option<&PrismStackStatus> {
        self.status.as_ref()
    }

    fn is_paused(&self, _: &Context) -> bool {
        ownership::is_paused(self)
    }

    fn plan(&self, owner: &Owner, ctx: &Context) -> Result<Plan, Invalid> {
        stack::plan(self, &gather::stack(self, owner, ctx))
    }

    fn steps(plan: &Plan, owner: &Owner, _: &Context) -> Result<Steps, serde_json::Error> {
        // Hashes, warnings and problems are for the report.
        let Plan {
            stack: _,
            admin,
            proxy,
            console,
            patterns,
            backends,
            edge,
            kept,
            approval: _,
            problems: _,
            warnings: _,
            missing: _,
        } = plan;
        let mut steps = Steps::default();
        let due = backends.iter().filter(|entry| entry.waits_for.is_none() && !entry.is_frozen);
        let children = due.map(|entry| child(owner, kinds::PRISM_BACKEND, &entry.object));
        steps.lines.push(vec![children.collect::<Result<_, _>>()?]);
        if let Some(admin) = admin {
            add_admin(&mut steps, owner, admin)?;
        }
        for component in [proxy, console].into_iter().flatten() {
            let ComponentPlan { program, waits_for } = component;
            if waits_for.is_none() {
                steps.add_program(owner, program, Vec::new())?;
            }
        }
        let due = patterns.iter().filter(|entry| entry.waits_for.is_none() && !entry.is_frozen);
        let children = due.map(|entry| child(owner, kinds::PRISM_PATTERN, &entry.object));
        steps.lines.push(vec![children.collect::<Result<_, _>>()?]);
        steps.lines.push(vec![edge_of(owner, edge)?]);
        steps.keep.extend(kept.iter().flat_map(|kept| kept_keys(owner, kept)));
        let frozen = patterns.iter().filter(|entry| entry.is_frozen);
        steps.keep.extend(frozen.map(|entry| key_of(kinds::PRISM_PATTERN, &entry.object)));
        let frozen = backends.iter().filter(|entry| entry.is_frozen);
        steps.keep.extend(frozen.map(|entry| key_of(kinds::PRISM_BACKEND, &entry.object)));
        Ok(steps)
    }

    fn assignments(plan: &Plan) -> Vec<Assignment> {
        let components = plan.proxy.iter().chain(&plan.console);
        let due = components.filter(|component| component.waits_for.is_none());
        due.filter_map(|component| component.program.scaling.assignment.clone()).collect()
    }

    fn next_change(plan: &Plan) -> Option<Timestamp> {
        let components = plan.proxy.iter().chain(&plan.console);
        components.filter_map(|component| component.program.scaling.next_change).min()
    }

    fn needs_polling(plan: &Plan) -> bool {
        let mut components = plan.proxy.iter().chain(&plan.console);
        components.any(|component| component.program.scaling.needs_polling())
    }

    fn secrets(&self) -> BTreeSet<String> {
        let components = self.spec.proxy.iter().chain(&self.spec.web_console);
        let blocks = components.filter_map(|component| component.autoscaling.as_ref());
        secrets_of(blocks.flat_map(|block| &block.triggers))
    }

    fn assess(
        &self,
        plan: &Result<Plan, Invalid>,
        owner: &Owner,
        report: Report,
        ctx: &Context,
    ) -> PrismStackStatus {
        match plan {
            Ok(plan) => stack::status(self, plan, &gather::stack(self, owner, ctx), report, Timestamp::now()),
            Err(invalid) => stack::refused(self, invalid, Timestamp::now()),
        }
    }

    fn is_progress_only(before: &PrismStackStatus, after: &PrismStackStatus) -> bool {
        stack::is_progress_only(before, after)
    }

    async fn finish(ctx: &Context, subject: &Subject<Self>) -> Result<Action, Error> {
        farewell::stack(ctx, subject).await
    }
}

fn add_admin(steps: &mut Steps, owner: &Owner, admin: &AdminPlan) -> Result<(), serde_json::Error> {
    let AdminPlan { program, rbac, next_step: _, waits_for, is_held } = admin;
    if waits_for.is_some() {
        return Ok(());
    }
    let mut needed: Vec<Child> = Vec::new();
    if let Some((role, binding)) = rbac {
        needed.push(child(owner, kinds::ROLE, role)?);
        needed.push(child(owner, kinds::ROLE_BINDING, binding)?);
    }
    steps.add_program(owner, program, needed)?;
    if *is_held {
        let key = |kind: WorkloadKind| workload_key(&program.program.namespace, &program.program.name, kind);
        steps.held.push(key(program.program.kind));
        steps.keep.push(key(program.program.kind.other()));
    }
    Ok(())
}

/// Every object that stays with what is kept.
fn kept_keys(owner: &Owner, kept: &Kept) -> Vec<ObjectKey> {
    match kept {
        Kept::Pattern((namespace, name)) => vec![ObjectKey::new(kinds::PRISM_PATTERN, namespace, name)],
        Kept::Backend((namespace, name)) => vec![ObjectKey::new(kinds::PRISM_BACKEND, namespace, name)],
        Kept::Component(name) => {
            let headless = ObjectKey::new(kinds::SERVICE, &owner.key.namespace, &format!("{name}-headless"));
            let own = kinds::CHILDREN.map(|kind| ObjectKey::new(kind, &owner.key.namespace, name));
            own.into_iter().chain([headless]).collect()
        }
    }
}

fn edge_of(owner: &Owner, edge: &edge::Children) -> Result<Vec<Child>, serde_json::Error> {
    let edge::Children { ingress, route, certificate, service_monitor, pod_monitor, rule, dashboard } = edge;
    let children = [
        ingress.as_ref().map(|object| child(owner, kinds::INGRESS, object)),
        route.as_ref().map(|object| child(owner, kinds::GRPC_ROUTE, object)),
        certificate.as_ref().map(|object| child(owner, kinds::CERTIFICATE, object)),
        service_monitor.as_ref().map(|object| child(owner, kinds::SERVICE_MONITOR, object)),
        pod_monitor.as_ref().map(|object| child(owner, kinds::POD_MONITOR, object)),
        rule.as_ref().map(|object| child(owner, kinds::PROMETHEUS_RULE, object)),
        dashboard.as_ref().map(|object| child(owner, kinds::CONFIG_MAP, object)),
    ];
    children.into_iter().flatten().collect()
}
