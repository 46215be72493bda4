//! What becomes of a `PrismStack`.

mod admin;
mod approval;
mod check;
mod component;
mod entries;
mod facts;
mod front;
mod locality;
mod members;
mod order;
mod ownership;
mod parts;
mod rbac;
mod removals;
mod resolved;
mod scaling;
mod status;
#[cfg(test)]
mod tests;
mod warnings;

use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use prism_api::stack::PrismStack;

pub use approval::Approval;
pub use entries::{BackendEntry, PatternEntry};
pub use facts::{ChildFacts, Facts, Place};
pub use ownership::{Candidate, owns, reaches};
pub use resolved::{ResolvedStack, child_name};
pub use status::{is_progress_only, refused, status};

use crate::{
    edge::{self, Edge, Missing},
    invalid::Invalid,
    program::{Program, ProgramFacts, ProgramPlan},
    refusals,
};
use locality::Locality;

/// Everything that is to be done for one stack. Destructure it without `..` where it is carried out:
/// then a part that is forgotten does not compile.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The stack with defaults and references resolved.
    pub stack: ResolvedStack,
    /// The control plane.
    pub admin: Option<AdminPlan>,
    /// The proxy.
    pub proxy: Option<ComponentPlan>,
    /// The web console.
    pub console: Option<ComponentPlan>,
    /// The patterns.
    pub patterns: Vec<PatternEntry>,
    /// The backends.
    pub backends: Vec<BackendEntry>,
    /// Route from outside, and what monitoring needs.
    pub edge: edge::Children,
    /// What is no longer in the spec, and stays until its removal has been announced or agreed to.
    pub kept: Vec<Kept>,
    /// What is announced, and whether it may be carried out.
    pub approval: Approval,
    /// What somebody has to mend: reason and message.
    pub problems: Vec<(&'static str, String)>,
    /// What works, and should be thought about again: reason and message.
    pub warnings: Vec<(&'static str, String)>,
    /// Optional APIs that are asked for and not served.
    pub missing: Vec<Missing>,
}

/// The control plane of a stack.
#[derive(Clone, Debug)]
pub struct AdminPlan {
    /// The program.
    pub program: ProgramPlan,
    /// What its pods may do.
    pub rbac: Option<(Role, RoleBinding)>,
    /// What is still to come, while members come or go one at a time.
    pub next_step: Option<String>,
    /// What it waits for before it is made, if it is not there yet.
    pub waits_for: Option<String>,
    /// Whether its workload is left as it is, because a change of it is only announced so far.
    pub is_held: bool,
}

/// A component that clients use.
#[derive(Clone, Debug)]
pub struct ComponentPlan {
    /// The program.
    pub program: ProgramPlan,
    /// What it waits for before it is made, if it is not there yet.
    pub waits_for: Option<String>,
}

/// Something that stays although it is no longer wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A component, and what surrounds it: the name of its workload.
    Component(String),
    /// A `PrismPattern`.
    Pattern(Place),
    /// A `PrismBackend`.
    Backend(Place),
}

/// Host and port of the admin of `stack`, if it has one.
#[must_use]
pub fn admin_endpoint(stack: &PrismStack) -> Option<String> {
    component::admin_endpoint(&ResolvedStack::new(stack, &Facts::default()))
}

/// Plans `stack`.
///
/// # Errors
/// When the spec contradicts itself in a way that the schema cannot see.
pub fn plan(stack: &PrismStack, facts: &Facts) -> Result<Plan, Invalid> {
    let stack = ResolvedStack::new(stack, facts);
    check::names(&stack)?;
    let mut locality = Locality::new(&stack, facts)?;
    let mut actions = Vec::new();
    let mut problems = Vec::new();

    let admin = members::plan(&stack, facts, &mut actions, &mut problems)?;
    let (mut admin, unmoved) = admin.map_or((None, None), |(admin, unmoved)| (Some(admin), unmoved));
    let of_admin = admin.as_ref().map(|admin| &admin.program.program);
    let proxy = stack.spec.proxy.clone().unwrap_or_default();
    let proxy = proxy
        .component
        .is_enabled()
        .then(|| front::proxy(&stack, &proxy, of_admin, &facts.proxy))
        .transpose()?;
    let console = stack.spec.web_console.as_ref().filter(|console| console.component.is_enabled());
    let console = console
        .map(|console| front::console(&stack, console, of_admin, proxy.as_ref(), &facts.console))
        .transpose()?;

    let backends = stack.spec.backends.iter();
    let backends: Vec<_> =
        backends.map(|backend| entries::backend(&stack, backend, locality.backend(&backend.name))).collect();
    let endpoint = proxy.as_ref().map(|proxy| component::endpoint(&stack, proxy));
    let patterns: Vec<_> = stack
        .spec
        .patterns
        .iter()
        .map(|pattern| {
            let spot = locality.pattern(&stack, pattern, facts);
            let entry = entries::pattern(&stack, pattern, &spot, endpoint.as_deref());
            let waits_for = order::of_pattern(&entry.object, pattern, proxy.as_ref(), &backends, facts);
            PatternEntry { waits_for, ..entry }
        })
        .collect();
    problems.append(&mut locality.problems);

    let wanted = removals::Wanted {
        components: [admin.is_some(), proxy.is_some(), console.is_some()],
        patterns: &patterns,
        backends: &backends,
    };
    let (kept, removed) = removals::announced(&stack, &wanted, facts);
    actions.extend(removed);
    let approval = Approval::new(&stack, actions);
    if let Some(admin) = &mut admin {
        members::settle(admin, unmoved, facts, &approval);
    }
    let (edge, mut missing) = plan_edge(&stack, proxy.as_ref(), &patterns, facts)?;
    for missing in &mut missing {
        missing.why = facts.obstacles.get(missing.kind).cloned();
    }
    let component = |program: Option<Program>, facts_of: &ProgramFacts| {
        program
            .map(|program| {
                let waits_for = order::of_component(&program, facts_of, admin.as_ref(), facts);
                Ok::<_, Invalid>(ComponentPlan { program: program.plan(facts_of)?, waits_for })
            })
            .transpose()
    };
    let (proxy, console) = (component(proxy, &facts.proxy)?, component(console, &facts.console)?);
    Ok(Plan {
        warnings: warnings::of(&stack, &patterns, facts),
        kept: if approval.is_granted { Vec::new() } else { kept },
        stack,
        admin,
        proxy,
        console,
        patterns,
        backends,
        edge,
        approval,
        problems,
        missing,
    })
}

fn plan_edge(
    stack: &ResolvedStack,
    proxy: Option<&Program>,
    patterns: &[PatternEntry],
    facts: &Facts,
) -> Result<(edge::Children, Vec<Missing>), Invalid> {
    let labels = stack.labels("stack");
    let owner = stack.owner_reference();
    let mut away: Vec<String> =
        patterns.iter().filter_map(|pattern| pattern.object.metadata.namespace.clone()).collect();
    away.retain(|namespace| *namespace != stack.namespace);
    away.sort_unstable();
    away.dedup();
    let edge = Edge {
        stack: &stack.name,
        namespace: &stack.namespace,
        labels: &labels,
        owner: &owner,
        proxy_service: proxy.map_or("", |proxy| &proxy.name),
        proxy_port: proxy.and_then(|proxy| proxy.ports.first()).map_or(0, |port| port.number),
        ingress: stack.spec.ingress.as_ref().filter(|_| proxy.is_some()),
        observability: stack.spec.observability.as_ref(),
        pattern_namespaces: &away,
        metrics_port: stack.metrics_port(),
        apis: facts.apis,
    };
    edge::check(&edge)?;
    if let Some(ingress) = edge.ingress {
        refusals::check_ingress(ingress, &stack.namespace, stack.images.refusals)?;
    }
    Ok(edge::plan(&edge))
}
