//! What is announced before it happens, and what waits for a person.
//!
//! A change that restarts the admin, moves data or cannot be undone is written into `status.plan`
//! first, and carried out in a later pass. With `spec.approval: Manual`, and always where data would be
//! lost, it waits until the annotation `prism.io/approved-plan` names the hash of that very plan.

use prism_api::{labels, stack::PlannedAction, workload::WorkloadKind};

use super::resolved::ResolvedStack;
use crate::{
    program::{ProgramFacts, ProgramPlan, Replace, Workload},
    text,
};

/// The actions that are planned, and what has been agreed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approval {
    /// What is about to be done.
    pub actions: Vec<PlannedAction>,
    /// Hash of the actions: what the annotation has to say.
    pub hash: Option<String>,
    /// Whether the actions may be carried out now.
    pub is_granted: bool,
}

impl Approval {
    /// Judges `actions`.
    pub(super) fn new(stack: &ResolvedStack, actions: Vec<PlannedAction>) -> Self {
        if actions.is_empty() {
            return Self { is_granted: true, ..Self::default() };
        }
        let words: Vec<_> = actions
            .iter()
            .map(|action| format!("{} {} {}", action.action, action.object, action.reason))
            .collect();
        let hash = text::hash(format!("{}\n{}", stack.generation, words.join("\n")).as_bytes(), 16);
        let is_announced = stack.announced.as_ref() == Some(&hash);
        let needs_approval = actions.iter().any(|action| action.needs_approval);
        let is_approved = stack.approved.as_ref() == Some(&hash);
        let is_granted = is_announced && (is_approved || !needs_approval);
        Self { actions, hash: Some(hash), is_granted }
    }

    /// Whether `action` stands in the plan that was announced, and that somebody has agreed to.
    pub(super) fn agrees_to(stack: &ResolvedStack, action: &PlannedAction) -> bool {
        stack.announced.is_some()
            && stack.announced == stack.approved
            && stack.announced_plan.contains(action)
    }

    /// Whether it is a person that is waited for, rather than the next pass.
    #[must_use]
    pub fn waits_for_person(&self) -> bool {
        !self.is_granted && self.actions.iter().any(|action| action.needs_approval)
    }
}

/// What the plan for the admin would do that has to be announced.
pub(super) fn of_admin(
    stack: &ResolvedStack,
    plan: &ProgramPlan,
    facts: &ProgramFacts,
    leaves_log: bool,
) -> Vec<PlannedAction> {
    let manual = stack.needs_approval();
    let set = format!("StatefulSet {}", plan.program.name);
    let mut actions = Vec::new();
    if facts.deployment.is_some() && plan.program.kind == WorkloadKind::StatefulSet {
        let reason = if leaves_log {
            "the admin becomes a StatefulSet; the Deployment has no log that members could take over: what it has agreed on is lost"
        } else {
            "the admin becomes a StatefulSet; its database stays"
        };
        let object = format!("Deployment {}", plan.program.name);
        actions.push(action("Replace", object, reason.to_owned(), leaves_log || manual));
    }
    match &plan.replace {
        Some(Replace::Grow(size)) => {
            actions.push(action(
                "Update",
                set.clone(),
                format!("its volumes grow to {size}; no pod restarts"),
                manual,
            ));
        }
        Some(Replace::Claims) => {
            actions.push(action("Replace", set.clone(), "its volumes change".to_owned(), manual));
        }
        None => {}
    }
    if restarts(plan, facts) {
        let reason = "its pods are replaced one at a time, each when all others are ready";
        actions.push(action("Update", set, reason.to_owned(), manual));
    }
    actions
}

/// Whether the template differs from the one that was applied last.
fn restarts(plan: &ProgramPlan, facts: &ProgramFacts) -> bool {
    let Workload::StatefulSet(wanted) = &plan.children.workload else { return false };
    let wanted = wanted.metadata.annotations.as_ref().and_then(|all| all.get(labels::TEMPLATE_HASH));
    let live = facts.stateful_set.as_ref().and_then(|live| live.notes.get(labels::TEMPLATE_HASH));
    live.is_some_and(|live| Some(live) != wanted)
}

/// That the number of members goes below what can agree on anything.
pub(super) fn of_quorum_loss(name: &str, from: i32, to: i32) -> PlannedAction {
    let reason = format!(
        "from {from} members to {to}: too few of the running ones would be left to agree on anything, and what they agreed on may be lost"
    );
    action("Update", format!("StatefulSet {name}"), reason, true)
}

/// That members come or go. The words say where that ends, and are the same at each step.
pub(super) fn of_members(stack: &ResolvedStack, name: &str, to: i32) -> PlannedAction {
    let reason = format!(
        "its members become {to}, one at a time; those that stay restart one at a time, to learn of it"
    );
    action("Update", format!("StatefulSet {name}"), reason, stack.needs_approval())
}

/// That something which is no longer wanted goes.
pub(super) fn of_removal(kind: &str, name: &str, needs_approval: bool) -> PlannedAction {
    action("Delete", format!("{kind} {name}"), "it is no longer in the spec".to_owned(), needs_approval)
}

fn action(action: &str, object: String, reason: String, needs_approval: bool) -> PlannedAction {
    PlannedAction { action: action.to_owned(), object, reason, needs_approval }
}
