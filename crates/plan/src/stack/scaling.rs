//! What the scaling of proxy and web console comes to, for the stack as a whole, and whether somebody
//! tries to scale the admin.

use k8s_openapi::jiff::Timestamp;
use prism_api::{
    component::ComponentStatus,
    condition::{self, Condition},
};

use super::{AdminPlan, ComponentPlan, Facts, Plan};
use crate::{conditions::Conditions, scaling};

/// Sets the conditions about scaling: of each type the one that needs attention most, with the name of
/// its component. Adds to `components` why each has the replicas that it has.
pub(super) fn judge(
    conditions: &mut Conditions<'_>,
    plan: &Plan,
    facts: &Facts,
    previous: &[ComponentStatus],
    components: &mut [ComponentStatus],
    now: Timestamp,
) {
    let mut judged: Vec<(&str, Condition)> = Vec::new();
    if let Some(AdminPlan { program, waits_for: None, .. }) = &plan.admin {
        let mut own = Conditions::new(&[], None, now);
        scaling::conditions(
            &mut own,
            &program.program.scaling(),
            &program.scaling,
            &facts.admin.scaling,
            None,
            now,
        );
        judged.extend(own.finish().into_iter().map(|condition| ("admin", condition)));
    }
    for (name, component, facts) in
        [("proxy", &plan.proxy, &facts.proxy), ("web-console", &plan.console, &facts.console)]
    {
        let Some(ComponentPlan { program, waits_for: None }) = component else { continue };
        let before = previous.iter().find(|part| part.name == name).and_then(|part| part.scaling.as_ref());
        let mut own = Conditions::new(&[], None, now);
        let record = scaling::conditions(
            &mut own,
            &program.program.scaling(),
            &program.scaling,
            &facts.scaling,
            before,
            now,
        );
        judged.extend(own.finish().into_iter().map(|condition| (name, condition)));
        if let Some(part) = components.iter_mut().find(|part| part.name == name) {
            part.scaling = record;
        }
    }
    for (type_, bad) in [
        (condition::SCALER_CONFLICT, "True"),
        (condition::SCALING_ACTIVE, "False"),
        (condition::SCALING_LIMITED, "True"),
    ] {
        let urgency = |status: &str| match status {
            "Unknown" => 1,
            status if status == bad => 2,
            _ => 0,
        };
        let of_type = judged.iter().filter(|(_, condition)| condition.type_ == type_);
        let Some((name, worst)) = of_type.rev().max_by_key(|(_, condition)| urgency(&condition.status))
        else {
            continue;
        };
        let message = format!("{name}: {}", worst.message);
        match worst.status.as_str() {
            "Unknown" => conditions.set_unknown(type_, &worst.reason, message),
            status => conditions.set(type_, status == "True", &worst.reason, message),
        }
    }
}
