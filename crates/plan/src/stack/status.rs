//! What a stack's status says.

use k8s_openapi::jiff::Timestamp;
use prism_api::{
    component::ComponentStatus,
    condition::{self, reason},
    stack::{PrismStack, PrismStackStatus, StackSummary},
};

use super::{
    Facts, Plan, component,
    parts::{self, NAMED, is_serving, named, share},
    scaling,
};
use crate::{
    conditions::Conditions,
    edge::Missing,
    invalid::Invalid,
    program::Rollout,
    report::{Problem, Report, phase, reconciling, with_storage},
};

/// The status after a pass. `facts` are those after it.
#[must_use]
pub fn status(
    stack: &PrismStack,
    plan: &Plan,
    facts: &Facts,
    report: Report,
    now: Timestamp,
) -> PrismStackStatus {
    let previous = stack.status.clone().unwrap_or_default();
    let mut components = parts::components(plan, facts);
    let (patterns, backends) = (parts::patterns(plan, facts), parts::backends(plan, facts));
    let problems = problems(plan, &report);
    let mut conditions = Conditions::new(&previous.conditions, stack.metadata.generation, now);
    let stall = problems.iter().find_map(Problem::as_stall);
    let late = parts::late(&components, &patterns, &backends, plan);

    match (&stall, late.is_empty()) {
        (Some((reason, message)), _) => conditions.set(condition::READY, false, reason, *message),
        (None, true) => conditions.set(condition::READY, true, reason::ALL_READY, "every part is ready"),
        (None, false) => conditions.set(condition::READY, false, reason::PARTS_NOT_READY, named(&late)),
    }
    moving(&mut conditions, plan, facts, &problems, &report);
    if let Some((reason, message)) = &stall {
        conditions.set(condition::STALLED, true, reason, *message);
    }
    judge_parts(&mut conditions, plan, &components, &patterns, &backends);
    advice(&mut conditions, plan);
    scaling::judge(&mut conditions, plan, facts, &previous.components, &mut components, now);
    let conditions = conditions.finish();
    PrismStackStatus {
        observed_generation: stack.metadata.generation,
        phase: Some(phase(&conditions, is_serving(&components), previous.phase)),
        summary: Some(StackSummary {
            components: Some(share(&components)),
            patterns: Some(share(&patterns)),
            backends: Some(share(&backends)),
        }),
        proxy_endpoint: plan
            .proxy
            .as_ref()
            .map(|proxy| component::endpoint(&plan.stack, &proxy.program.program)),
        admin_endpoint: plan
            .admin
            .as_ref()
            .map(|admin| component::endpoint(&plan.stack, &admin.program.program)),
        plan: plan.approval.actions.clone(),
        plan_hash: plan.approval.hash.clone(),
        last_handled_reconcile_at: report.handled_request.or(previous.last_handled_reconcile_at),
        inventory: report.inventory,
        conditions,
        components,
        patterns,
        backends,
    }
}

/// The status of a stack whose spec cannot be followed: what runs, runs on, and is still counted.
#[must_use]
pub fn refused(stack: &PrismStack, invalid: &Invalid, now: Timestamp) -> PrismStackStatus {
    let previous = stack.status.clone().unwrap_or_default();
    let mut conditions = Conditions::new(&previous.conditions, stack.metadata.generation, now);
    conditions.set(condition::READY, false, reason::INVALID_SPEC, invalid.to_string());
    conditions.set(condition::STALLED, true, reason::INVALID_SPEC, invalid.to_string());
    for kept in [
        condition::ADMIN_HEALTHY,
        condition::PROXY_HEALTHY,
        condition::CONSOLE_HEALTHY,
        condition::PATTERNS_READY,
        condition::BACKENDS_READY,
        condition::SCALING_ACTIVE,
        condition::SCALING_LIMITED,
        condition::SCALER_CONFLICT,
    ] {
        conditions.keep(kept);
    }
    let conditions = conditions.finish();
    PrismStackStatus {
        observed_generation: stack.metadata.generation,
        phase: Some(phase(&conditions, is_serving(&previous.components), previous.phase)),
        conditions,
        ..previous
    }
}

/// Whether two statuses differ in nothing but counts and messages.
#[must_use]
pub fn is_progress_only(before: &PrismStackStatus, after: &PrismStackStatus) -> bool {
    let essence = |status: &PrismStackStatus| {
        let mut essence = status.clone();
        essence.summary = None;
        let parts = [&mut essence.components, &mut essence.patterns, &mut essence.backends];
        parts.into_iter().for_each(Vec::clear);
        essence.conditions.iter_mut().for_each(|condition| condition.message.clear());
        essence
    };
    essence(before) == essence(after)
}

fn problems(plan: &Plan, report: &Report) -> Vec<Problem> {
    let mut problems = report.problems.clone();
    let stalled =
        |(reason, message): &(&'static str, String)| Problem::Stalled { reason, message: message.clone() };
    problems.extend(plan.problems.iter().map(stalled));
    let admin = plan.admin.iter().map(|admin| &admin.program);
    let others = plan.proxy.iter().chain(&plan.console).map(|component| &component.program);
    admin.chain(others).fold(problems, with_storage)
}

/// `Reconciling`: something is being written, announced, waited for or rolled out.
fn moving(
    conditions: &mut Conditions<'_>,
    plan: &Plan,
    facts: &Facts,
    problems: &[Problem],
    report: &Report,
) {
    if plan.approval.waits_for_person() && !report.is_paused {
        let hash = plan.approval.hash.as_deref().unwrap_or_default();
        let message = format!(
            "status.plan waits for approval: to agree, set the annotation prism.io/approved-plan to {hash}"
        );
        return conditions.set(condition::RECONCILING, true, reason::APPROVAL_REQUIRED, message);
    }
    if !plan.approval.is_granted && !report.is_paused {
        let message = "status.plan is announced, and carried out next";
        return conditions.set(condition::RECONCILING, true, reason::PROGRESSING, message);
    }
    if let Some(next) =
        plan.admin.as_ref().and_then(|admin| admin.next_step.as_ref()).filter(|_| !report.is_paused)
    {
        return conditions.set(condition::RECONCILING, true, reason::WORKLOAD_PROGRESSING, next.as_str());
    }
    let admin = plan.admin.iter().map(|admin| (&admin.program, &facts.admin));
    let proxy = plan.proxy.iter().map(|proxy| (&proxy.program, &facts.proxy));
    let console = plan.console.iter().map(|console| (&console.program, &facts.console));
    let rollouts = admin.chain(proxy).chain(console);
    let mut rollouts = rollouts.map(|(plan, facts)| Rollout::of(plan.program.kind, facts));
    let rollout = rollouts.find(|rollout| rollout.is_moving);
    reconciling(conditions, problems, rollout.as_ref(), report.is_paused);
}

/// One condition for each kind of part that the stack has.
fn judge_parts(
    conditions: &mut Conditions<'_>,
    plan: &Plan,
    components: &[ComponentStatus],
    patterns: &[ComponentStatus],
    backends: &[ComponentStatus],
) {
    let waits = |component: &Option<super::ComponentPlan>| {
        component.as_ref().is_some_and(|component| component.waits_for.is_some())
    };
    let admin_waits = plan.admin.as_ref().is_some_and(|admin| admin.waits_for.is_some());
    for (type_, name, waits) in [
        (condition::ADMIN_HEALTHY, "admin", admin_waits),
        (condition::PROXY_HEALTHY, "proxy", waits(&plan.proxy)),
        (condition::CONSOLE_HEALTHY, "web-console", waits(&plan.console)),
    ] {
        if let Some(part) = components.iter().find(|part| part.name == name) {
            let reason = match (part.ready, waits) {
                (true, _) => reason::WORKLOAD_READY,
                (false, true) => reason::WAITING_FOR_DEPENDENCY,
                (false, false) => reason::WORKLOAD_PROGRESSING,
            };
            conditions.set(type_, part.ready, reason, part.message.clone().unwrap_or_default());
        }
    }
    let of = |what: &'static str, parts: &[ComponentStatus]| -> (bool, &'static str, String) {
        let late: Vec<_> = parts.iter().filter(|part| !part.ready).map(|part| (what, part)).collect();
        match (parts.is_empty(), late.is_empty()) {
            (true, _) => (true, reason::NOT_WANTED, format!("the stack has no {what}s")),
            (false, true) => (true, reason::ALL_READY, format!("{} of {0} are ready", parts.len())),
            (false, false) => (false, reason::PARTS_NOT_READY, named(&late)),
        }
    };
    let (status, reason, message) = of("pattern", patterns);
    conditions.set(condition::PATTERNS_READY, status, reason, message);
    let required = plan.backends.iter().zip(backends).filter(|(entry, _)| entry.is_required);
    let required: Vec<_> = required.map(|(_, part)| part.clone()).collect();
    let (status, reason, message) = match of("backend", &required) {
        (true, reason::NOT_WANTED, _) if !backends.is_empty() => {
            (true, reason::NOT_WANTED, "the stack only knows the addresses of its backends".to_owned())
        }
        judged => judged,
    };
    conditions.set(condition::BACKENDS_READY, status, reason, message);
}

fn advice(conditions: &mut Conditions<'_>, plan: &Plan) {
    if let Some((reason, _)) = plan.warnings.first() {
        let messages = plan.warnings.iter().take(NAMED).map(|(_, message)| message.as_str());
        let message = messages.collect::<Vec<_>>().join("; ");
        conditions.set(condition::SPEC_WARNING, true, reason, message);
    }
    if !plan.missing.is_empty() {
        let named = |missing: &Missing| match &missing.why {
            None => format!("{} of {}", missing.kind, missing.group),
            Some(why) => format!("{} of {} ({why})", missing.kind, missing.group),
        };
        let kinds: Vec<_> = plan.missing.iter().map(named).collect();
        let mut remedies: Vec<_> = plan.missing.iter().map(|missing| missing.remedy).collect();
        remedies.dedup();
        let message = format!("not served here: {}; {}", kinds.join(", "), remedies.join("; "));
        conditions.set(condition::INTEGRATIONS_AVAILABLE, false, reason::API_NOT_INSTALLED, message);
    }
}
