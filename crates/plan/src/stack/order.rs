//! What waits for what: a database comes before the admin that needs it, the admin before the proxy, the
//! proxy and the provided backends before the patterns.
//!
//! Only what does not exist yet waits: an edit of something that runs never does. And it waits for
//! something that serves, not for something perfect, so that one lost pod holds up nobody.

use prism_api::{component::AdminSpec, pattern::PrismPattern, stack::StackPattern};

use super::{AdminPlan, BackendEntry, Facts, admin, facts::place, locality, resolved::ResolvedStack};
use crate::{
    backend::is_provisioned,
    program::{Program, ProgramFacts, quorum},
};

/// What the admin waits for: the database that it keeps its state in, if the stack provides it.
pub(super) fn of_admin(stack: &ResolvedStack, spec: &AdminSpec, facts: &Facts) -> Option<String> {
    let exists = facts.admin.deployment.is_some() || facts.admin.stateful_set.is_some();
    let database = admin::database_of(stack, spec).filter(|_| !exists)?;
    let place = (stack.namespace.clone(), stack.child_name(&database.name));
    let is_late = facts.backends.get(&place).is_none_or(|child| child.ready != Some(true));
    (is_provisioned(&database.spec) && is_late)
        .then(|| format!("it is made when backend {} serves", database.name))
}

/// What a component waits for: members of the admin that can agree.
pub(super) fn of_component(
    program: &Program,
    own: &ProgramFacts,
    admin: Option<&AdminPlan>,
    facts: &Facts,
) -> Option<String> {
    let exists = own.running(program.kind).is_some();
    let admin = admin.filter(|_| !exists)?;
    let running = facts.admin.running(admin.program.program.kind);
    let can_agree = running.is_some_and(|admin| admin.available >= quorum::quorum(admin.desired));
    (!can_agree).then(|| format!("it is made when {} serves", admin.program.program.name))
}

/// What a pattern waits for: the proxy, and the backends that the stack provides for it.
pub(super) fn of_pattern(
    object: &PrismPattern,
    pattern: &StackPattern,
    proxy: Option<&Program>,
    backends: &[BackendEntry],
    facts: &Facts,
) -> Option<String> {
    // One that moves to another namespace exists as well: it must not go before it has arrived.
    if facts.patterns.keys().any(|(_, name)| Some(name) == object.metadata.name.as_ref()) {
        return None;
    }
    if let Some(proxy) = proxy {
        let running = facts.proxy.running(proxy.kind);
        if running.is_none_or(|running| running.available == 0 && running.desired > 0) {
            return Some(format!("it is made when {} serves", proxy.name));
        }
    }
    let used = locality::names(pattern);
    let mut provided = backends
        .iter()
        .filter(|backend| used.contains(&backend.name))
        .filter(|backend| is_provisioned(&backend.object.spec));
    let late = provided.find(|backend| {
        let child = facts.backends.get(&place(&backend.object.metadata));
        child.is_none_or(|child| child.ready != Some(true))
    })?;
    Some(format!("it is made when backend {} serves", late.name))
}
