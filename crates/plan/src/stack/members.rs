//! The plan for the admin: its members come and go, and are replaced, one at a time.

use prism_api::{condition::reason, stack::PlannedAction, workload::WorkloadKind};

use super::{AdminPlan, Approval, Facts, admin, approval, order, rbac, resolved::ResolvedStack};
use crate::{
    invalid::Invalid,
    program::{
        ProgramPlan,
        quorum::{self, Membership, Wish},
    },
};

/// Plans the admin; `is_held` says for now that there is something to announce about it. The second plan
/// is the one without a step of its members, for as long as that is only announced.
pub(super) fn plan(
    stack: &ResolvedStack,
    facts: &Facts,
    actions: &mut Vec<PlannedAction>,
    problems: &mut Vec<(&'static str, String)>,
) -> Result<Option<(AdminPlan, Option<ProgramPlan>)>, Invalid> {
    let Some(spec) = stack.spec.admin.as_ref().filter(|admin| admin.component.is_enabled()) else {
        return Ok(None);
    };
    let name = stack.child_name(admin::ROLE.component);
    let mut wish = Wish {
        members: spec.component.replicas.unwrap_or(1),
        may_lose_quorum: false,
        recorded: stack.recorded(admin::ROLE.component, Some(WorkloadKind::StatefulSet)),
    };
    let refused = quorum::membership(&wish, &facts.admin);
    let loss = refused.is_refused.then(|| approval::of_quorum_loss(&name, refused.voters, wish.members));
    wish.may_lose_quorum = loss.as_ref().is_some_and(|loss| Approval::agrees_to(stack, loss));

    let still = quorum::unmoved(&wish, &facts.admin);
    let program = admin::program(stack, spec, &still)?;
    let leaves_log = admin::leaves_a_log_behind(spec, &program, &facts.admin);
    let unmoved = program.plan(&facts.admin)?;
    let announced = approval::of_admin(stack, &unmoved, &facts.admin, leaves_log);
    let is_held = !announced.is_empty();
    // Members do not come or go while they are to be replaced for another reason, or the set made anew:
    // what somebody agrees to is then one thing, and stays the same through all its steps.
    let has_turn = loss.is_some() || (!is_held && unmoved.program.votes);
    let membership = if has_turn { quorum::membership(&wish, &facts.admin) } else { still.clone() };
    if membership.is_refused {
        problems.push((reason::QUORUM_LOSS_REFUSED, refusal(&wish, &membership)));
    }
    let next_step = next_step(&name, &wish, &membership);
    let becomes = approval::of_members(stack, &name, wish.members);
    // A loss of the quorum takes several passes, and what was agreed to must stay the same plan in each.
    match loss {
        Some(loss) => actions.push(loss),
        None => actions.extend(announced.into_iter().chain(membership.is_under_way.then_some(becomes))),
    }
    let has_moved = (membership.replicas, membership.peers) != (still.replicas, still.peers);
    let (program, unmoved) = if has_moved {
        (admin::program(stack, spec, &membership)?.plan(&facts.admin)?, Some(unmoved))
    } else {
        (unmoved, None)
    };
    let rbac = rbac::build(spec, &program.program);
    let waits_for = order::of_admin(stack, spec, facts);
    Ok(Some((AdminPlan { program, rbac, next_step, waits_for, is_held }, unmoved)))
}

/// What of it is carried out, now that it is known whether that may be done.
pub(super) fn settle(
    admin: &mut AdminPlan,
    unmoved: Option<ProgramPlan>,
    facts: &Facts,
    approval: &Approval,
) {
    if approval.is_granted {
        admin.is_held = false;
        return;
    }
    if let Some(unmoved) = unmoved {
        admin.program = unmoved;
    }
    // A workload that is held is not applied, so what somebody else wrote is set back by itself.
    let live = facts.admin.stateful_set.as_ref().filter(|_| admin.is_held);
    admin.program.scaling.wake = live
        .map(|live| (quorum::decided(live), live.desired))
        .filter(|(decided, live)| decided != live)
        .map(|(decided, _)| decided);
}

fn refusal(wish: &Wish, membership: &Membership) -> String {
    format!(
        "spec.admin.replicas: {} of {} running members cannot agree on anything: keep at least {}, or agree to status.plan by the annotation prism.io/approved-plan",
        wish.members,
        membership.voters,
        quorum::quorum(membership.voters),
    )
}

/// What is still to come.
fn next_step(name: &str, wish: &Wish, membership: &Membership) -> Option<String> {
    let Membership { replicas, peers, is_refused, waits_for, .. } = membership;
    let is_there = *is_refused || (*replicas, *peers) == (wish.members, wish.members);
    match (waits_for, is_there) {
        (Some(wait), _) => Some(format!("{replicas} members of {}: {}", wish.members, wait.text(name))),
        (None, false) => {
            Some(format!("{replicas} members of {}: they come and go one at a time", wish.members))
        }
        (None, true) => None,
    }
}
