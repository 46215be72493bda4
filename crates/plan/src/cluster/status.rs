//! What a cluster's status says: that of its stack, in other words.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use prism_api::{
    cluster::{PrismCluster, PrismClusterStatus},
    component::ComponentStatus,
    condition::{self, reason},
    labels,
    pattern::Phase,
    stack::{PrismStack, PrismStackStatus},
};

use super::Plan;
use crate::{
    conditions::{Conditions, find},
    invalid::Invalid,
    report::{Problem, Report},
};

/// Conditions that are the stack's own words.
const MIRRORED: [&str; 9] = [
    condition::READY,
    condition::RECONCILING,
    condition::STALLED,
    condition::ADMIN_HEALTHY,
    condition::PROXY_HEALTHY,
    condition::PATTERNS_READY,
    condition::BACKENDS_READY,
    condition::SPEC_WARNING,
    condition::INTEGRATIONS_AVAILABLE,
];

/// The status after a pass. `stack` is the one behind the cluster, as it is seen now.
#[must_use]
pub fn status(
    cluster: &PrismCluster,
    plan: &Result<Plan, Invalid>,
    stack: Option<&PrismStack>,
    report: Report,
    now: Timestamp,
) -> PrismClusterStatus {
    let previous = cluster.status.clone().unwrap_or_default();
    let mirrored = stack.and_then(|stack| stack.status.clone()).unwrap_or_default();
    let hash = |stack: &PrismStack| stack.metadata.annotations.as_ref()?.get(labels::SPEC_HASH).cloned();
    let is_current = stack.is_some_and(|stack| {
        let given = plan.as_ref().ok().and_then(|plan| hash(&plan.stack));
        mirrored.observed_generation == stack.metadata.generation && hash(stack) == given
    });
    let mut status = PrismClusterStatus {
        observed_generation: cluster.metadata.generation,
        conditions: conditions(cluster, plan, &mirrored, is_current, &report, now),
        phase: Some(mirrored.phase.unwrap_or(Phase::Pending)),
        stack: cluster.metadata.name.clone(),
        admin_status: component(&mirrored, "admin"),
        proxy_status: component(&mirrored, "proxy"),
        pattern_status: mirrored.patterns.iter().map(runner).collect(),
        backend_status: mirrored.backends.clone(),
        last_reconciled: previous.last_reconciled.clone(),
        last_handled_reconcile_at: report.handled_request.or(previous.last_handled_reconcile_at.clone()),
        inventory: report.inventory,
    };
    if status != previous {
        status.last_reconciled = Some(Time(Timestamp::from_second(now.as_second()).unwrap_or(now)));
    }
    status
}

fn conditions(
    cluster: &PrismCluster,
    plan: &Result<Plan, Invalid>,
    mirrored: &PrismStackStatus,
    is_current: bool,
    report: &Report,
    now: Timestamp,
) -> Vec<condition::Condition> {
    let previous = cluster.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let mut conditions = Conditions::new(previous, cluster.metadata.generation, now);
    let stall = match plan {
        Err(invalid) => Some((reason::INVALID_SPEC, invalid.to_string())),
        Ok(_) => report
            .problems
            .iter()
            .find_map(Problem::as_stall)
            .map(|(reason, message)| (reason, message.to_owned())),
    };
    for type_ in MIRRORED {
        let said = find(&mirrored.conditions, type_);
        match (type_, &stall) {
            (condition::READY, Some((reason, message))) => {
                conditions.set(type_, false, reason, message.as_str());
            }
            (condition::STALLED, Some((reason, message))) => {
                conditions.set(type_, true, reason, message.as_str());
            }
            (condition::RECONCILING, _) if report.is_paused => {
                let message =
                    "reconciliation is paused: remove the annotation prism.io/pause-reconciliation to go on";
                conditions.set(type_, false, reason::PAUSED, message);
            }
            (condition::READY, None) if !is_current => {
                conditions.set(type_, false, reason::PROGRESSING, "the stack has yet to follow");
            }
            _ => {
                if let Some(said) = said {
                    conditions.set(type_, said.status == "True", &said.reason, said.message.as_str());
                }
            }
        }
    }
    conditions.finish()
}

/// Components go by the name of their program.
fn component(stack: &PrismStackStatus, name: &str) -> Option<ComponentStatus> {
    let part = stack.components.iter().find(|part| part.name == name)?;
    Some(ComponentStatus { name: format!("prism-{name}"), ..part.clone() })
}

/// Patterns go by the name of their program.
fn runner(part: &ComponentStatus) -> ComponentStatus {
    ComponentStatus { name: format!("{}-runner", part.name), ..part.clone() }
}

/// Whether two statuses differ in nothing but counts and messages.
#[must_use]
pub fn is_progress_only(before: &PrismClusterStatus, after: &PrismClusterStatus) -> bool {
    let essence = |status: &PrismClusterStatus| {
        let mut essence = status.clone();
        essence.last_reconciled = None;
        (essence.admin_status, essence.proxy_status) = (None, None);
        essence.pattern_status.clear();
        essence.backend_status.clear();
        essence.conditions.iter_mut().for_each(|condition| condition.message.clear());
        essence
    };
    essence(before) == essence(after)
}
