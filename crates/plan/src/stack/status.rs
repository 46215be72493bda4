//! What a stack's status says.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::ObjectMeta, jiff::Timestamp};
use prism_api::{
    component::ComponentStatus,
    condition::{self, reason},
    labels,
    pattern::ActiveScaler,
    stack::{PrismStack, PrismStackStatus, StackSummary},
};

use super::{AdminPlan, ChildFacts, ComponentPlan, Facts, Plan, component};
use crate::{
    conditions::Conditions,
    invalid::Invalid,
    program::{ProgramFacts, ProgramPlan, Rollout},
    report::{Problem, Report, phase, reconciling, scaling_active, with_storage},
};

/// Parts that a message names before it only counts.
const NAMED: usize = 5;

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
    let components = components(plan, facts);
    let (patterns, backends) = (patterns(plan, facts), backends(plan, facts));
    let problems = problems(plan, &report);
    let mut conditions = Conditions::new(&previous.conditions, stack.metadata.generation, now);
    let stall = problems.iter().find_map(Problem::as_stall);
    let late = late(&components, &patterns, &backends, plan);

    match (&stall, late.is_empty()) {
        (Some((reason, message)), _) => conditions.set(condition::READY, false, reason, *message),
        (None, true) => conditions.set(condition::READY, true, reason::ALL_READY, "every part is ready"),
        (None, false) => conditions.set(condition::READY, false, reason::PARTS_NOT_READY, named(&late)),
    }
    moving(&mut conditions, plan, facts, &problems, &report);
    if let Some((reason, message)) = &stall {
        conditions.set(condition::STALLED, true, reason, *message);
    }
    parts(&mut conditions, plan, &components, &patterns, &backends);
    advice(&mut conditions, plan);
    let scaled = plan.proxy.iter().chain(&plan.console).map(|component| &component.program.program);
    if let Some(program) = scaled
        .into_iter()
        .find(|program| program.scaler != ActiveScaler::Hpa && program.scaler != ActiveScaler::None)
    {
        scaling_active(&mut conditions, program.scaler, program.replicas);
    }
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

fn components(plan: &Plan, facts: &Facts) -> Vec<ComponentStatus> {
    let admin = plan.admin.as_ref().map(|AdminPlan { program, waits_for, .. }| {
        of_program("admin", program, waits_for.as_deref(), &facts.admin)
    });
    let other = |name, component: &Option<ComponentPlan>, facts| {
        component.as_ref().map(|ComponentPlan { program, waits_for }| {
            of_program(name, program, waits_for.as_deref(), facts)
        })
    };
    let proxy = other("proxy", &plan.proxy, &facts.proxy);
    let console = other("web-console", &plan.console, &facts.console);
    [admin, proxy, console].into_iter().flatten().collect()
}

fn of_program(
    name: &str,
    plan: &ProgramPlan,
    waits_for: Option<&str>,
    facts: &ProgramFacts,
) -> ComponentStatus {
    let program = &plan.program;
    let rollout = Rollout::of(program.kind, facts);
    let workload = facts.workload(program.kind);
    ComponentStatus {
        name: name.to_owned(),
        kind: Some(program.kind.as_str().to_owned()),
        object: Some(program.name.clone()),
        namespace: None,
        ready: rollout.is_ready,
        replicas: Some(workload.map_or(program.replicas, |workload| workload.desired)),
        available_replicas: Some(workload.map_or(0, |workload| workload.available)),
        message: Some(waits_for.map_or(rollout.message, str::to_owned)),
    }
}

fn patterns(plan: &Plan, facts: &Facts) -> Vec<ComponentStatus> {
    let status = |entry: &super::PatternEntry| {
        let child = child(&entry.object.metadata, &facts.patterns);
        of_child(plan, &entry.name, "PrismPattern", &entry.object.metadata, child, entry.waits_for.as_deref())
    };
    plan.patterns.iter().map(status).collect()
}

fn backends(plan: &Plan, facts: &Facts) -> Vec<ComponentStatus> {
    let status = |entry: &super::BackendEntry| {
        let child = child(&entry.object.metadata, &facts.backends);
        of_child(plan, &entry.name, "PrismBackend", &entry.object.metadata, child, None)
    };
    plan.backends.iter().map(status).collect()
}

fn child<'a>(
    metadata: &ObjectMeta,
    children: &'a std::collections::BTreeMap<super::Place, ChildFacts>,
) -> Option<&'a ChildFacts> {
    let place = (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default());
    children.get(&place)
}

fn of_child(
    plan: &Plan,
    name: &str,
    kind: &str,
    metadata: &ObjectMeta,
    child: Option<&ChildFacts>,
    waits_for: Option<&str>,
) -> ComponentStatus {
    let hash = metadata.annotations.as_ref().and_then(|all| all.get(labels::SPEC_HASH));
    let message = match (child, waits_for) {
        (None, waits_for) => waits_for.map_or("it does not exist yet", |waits_for| waits_for).to_owned(),
        (Some(child), _) => child.message.clone(),
    };
    ComponentStatus {
        name: name.to_owned(),
        kind: Some(kind.to_owned()),
        object: metadata.name.clone(),
        namespace: metadata.namespace.clone().filter(|namespace| *namespace != plan.stack.namespace),
        ready: child.is_some_and(|child| child.is_ready(hash)),
        replicas: child.and_then(|child| child.replicas),
        available_replicas: child.and_then(|child| child.available),
        message: Some(message).filter(|message| !message.is_empty()),
    }
}

/// Parts that keep the stack from being ready.
fn late<'a>(
    components: &'a [ComponentStatus],
    patterns: &'a [ComponentStatus],
    backends: &'a [ComponentStatus],
    plan: &Plan,
) -> Vec<(&'static str, &'a ComponentStatus)> {
    let required = plan.backends.iter().zip(backends).filter(|(entry, _)| entry.is_required);
    let all = (components.iter().map(|part| ("component", part)))
        .chain(patterns.iter().map(|part| ("pattern", part)))
        .chain(required.map(|(_, part)| ("backend", part)));
    all.filter(|(_, part)| !part.ready).collect()
}

/// The first few parts by name, with what they say.
fn named(late: &[(&'static str, &ComponentStatus)]) -> String {
    let first = late.iter().take(NAMED).map(|(what, part)| {
        format!("{what} {}: {}", part.name, part.message.as_deref().unwrap_or("not ready"))
    });
    let text = first.collect::<Vec<_>>().join("; ");
    match late.len().checked_sub(NAMED) {
        None | Some(0) => text,
        Some(more) => format!("{text}; and {more} more"),
    }
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
fn parts(
    conditions: &mut Conditions<'_>,
    plan: &Plan,
    components: &[ComponentStatus],
    patterns: &[ComponentStatus],
    backends: &[ComponentStatus],
) {
    for (type_, name) in [
        (condition::ADMIN_HEALTHY, "admin"),
        (condition::PROXY_HEALTHY, "proxy"),
        (condition::CONSOLE_HEALTHY, "web-console"),
    ] {
        if let Some(part) = components.iter().find(|part| part.name == name) {
            let reason = if part.ready { reason::WORKLOAD_READY } else { reason::WORKLOAD_PROGRESSING };
            let waits = part.message.as_deref().is_some_and(|message| message.starts_with("it is made when"));
            let reason = if waits { reason::WAITING_FOR_DEPENDENCY } else { reason };
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
        let kinds: Vec<_> =
            plan.missing.iter().map(|missing| format!("{} of {}", missing.kind, missing.group)).collect();
        let mut remedies: Vec<_> = plan.missing.iter().map(|missing| missing.remedy).collect();
        remedies.dedup();
        let message = format!("not served here: {}; {}", kinds.join(", "), remedies.join("; "));
        conditions.set(condition::INTEGRATIONS_AVAILABLE, false, reason::API_NOT_INSTALLED, message);
    }
}

fn share(parts: &[ComponentStatus]) -> String {
    format!("{}/{}", parts.iter().filter(|part| part.ready).count(), parts.len())
}

fn is_serving(components: &[ComponentStatus]) -> bool {
    components.iter().any(|part| part.available_replicas.is_some_and(|count| count > 0))
}
