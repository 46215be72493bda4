//! The parts of a stack, one by one.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use prism_api::{component::ComponentStatus, labels};

use super::{AdminPlan, BackendEntry, ChildFacts, ComponentPlan, Facts, PatternEntry, Plan, facts::place};
use crate::program::{ProgramFacts, ProgramPlan, Rollout, quorum};

/// Parts that a message names before it only counts.
pub(super) const NAMED: usize = 5;

pub(super) fn components(plan: &Plan, facts: &Facts) -> Vec<ComponentStatus> {
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
        // Of members that vote, the number that was decided: a set that is made anew begins with it.
        replicas: Some(workload.map_or(program.replicas, |workload| {
            if program.votes { quorum::decided(workload) } else { workload.desired }
        })),
        available_replicas: Some(workload.map_or(0, |workload| workload.available)),
        scaling: None,
        message: Some(waits_for.map_or(rollout.message, str::to_owned)),
    }
}

pub(super) fn patterns(plan: &Plan, facts: &Facts) -> Vec<ComponentStatus> {
    let status = |entry: &PatternEntry| {
        let child = facts.patterns.get(&place(&entry.object.metadata));
        of_child(plan, &entry.name, "PrismPattern", &entry.object.metadata, child, entry.waits_for.as_deref())
    };
    plan.patterns.iter().map(status).collect()
}

pub(super) fn backends(plan: &Plan, facts: &Facts) -> Vec<ComponentStatus> {
    let status = |entry: &BackendEntry| {
        let child = facts.backends.get(&place(&entry.object.metadata));
        of_child(plan, &entry.name, "PrismBackend", &entry.object.metadata, child, entry.waits_for.as_deref())
    };
    plan.backends.iter().map(status).collect()
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
        (None, waits_for) => waits_for.unwrap_or("it does not exist yet").to_owned(),
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
        scaling: None,
        message: Some(message).filter(|message| !message.is_empty()),
    }
}

/// Parts that keep the stack from being ready.
pub(super) fn late<'a>(
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
pub(super) fn named(late: &[(&'static str, &ComponentStatus)]) -> String {
    let first = late.iter().take(NAMED).map(|(what, part)| {
        format!("{what} {}: {}", part.name, part.message.as_deref().unwrap_or("not ready"))
    });
    let text = first.collect::<Vec<_>>().join("; ");
    match late.len().checked_sub(NAMED) {
        None | Some(0) => text,
        Some(more) => format!("{text}; and {more} more"),
    }
}

pub(super) fn share(parts: &[ComponentStatus]) -> String {
    format!("{}/{}", parts.iter().filter(|part| part.ready).count(), parts.len())
}

pub(super) fn is_serving(components: &[ComponentStatus]) -> bool {
    components.iter().any(|part| part.available_replicas.is_some_and(|count| count > 0))
}
