//! Proxy and web console: what clients and people talk to.

use prism_api::{component::ScaledComponentSpec, workload::WorkloadKind};

use super::{
    component::{self, CLIENT_PORT, Role, add_env},
    resolved::ResolvedStack,
};
use crate::{
    environment::literal,
    invalid::Invalid,
    program::{Program, ProgramFacts},
};

pub(super) const PROXY: Role = Role {
    component: "proxy",
    field: "spec.proxy",
    kind: WorkloadKind::Deployment,
    port_name: CLIENT_PORT,
    ports: [9090, 8980],
};

pub(super) const CONSOLE: Role = Role {
    component: "web-console",
    field: "spec.webConsole",
    kind: WorkloadKind::Deployment,
    port_name: "http",
    ports: [8080, 8080],
};

/// The program of the proxy.
pub(super) fn proxy(
    stack: &ResolvedStack,
    spec: &ScaledComponentSpec,
    admin: Option<&Program>,
    facts: &ProgramFacts,
) -> Result<Program, Invalid> {
    let mut program = component::scaled(stack, &PROXY, spec, facts)?;
    tell_ports(&mut program);
    add_env(&mut program, admin.map(|admin| literal("ADMIN_ENDPOINT", component::endpoint(stack, admin))));
    Ok(program)
}

/// The program of the web console.
pub(super) fn console(
    stack: &ResolvedStack,
    spec: &ScaledComponentSpec,
    admin: Option<&Program>,
    proxy: Option<&Program>,
    facts: &ProgramFacts,
) -> Result<Program, Invalid> {
    let mut program = component::scaled(stack, &CONSOLE, spec, facts)?;
    tell_ports(&mut program);
    let others = [("ADMIN_ENDPOINT", admin), ("PROXY_ENDPOINT", proxy)];
    let endpoint = |(name, other): (&str, Option<&Program>)| {
        other.map(|other| literal(name, component::endpoint(stack, other)))
    };
    add_env(&mut program, others.into_iter().filter_map(endpoint));
    Ok(program)
}

/// The ports to listen on.
fn tell_ports(program: &mut Program) {
    let number = |index: usize| program.ports.get(index).map(|port| port.number.to_string());
    let ports =
        [number(0).map(|port| literal("PORT", port)), number(1).map(|port| literal("METRICS_PORT", port))];
    add_env(program, ports.into_iter().flatten());
}
