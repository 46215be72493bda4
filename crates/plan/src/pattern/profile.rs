//! Conventions of the programs: arguments and health checks.

use k8s_openapi::{
    api::core::v1::{HTTPGetAction, Probe, TCPSocketAction},
    apimachinery::pkg::util::intstr::IntOrString,
};
use prism_api::workload::RuntimeProfile;

use super::{config, resolved::ResolvedPattern};
use crate::environment::escaped;

/// Name of the runner's port, by which Services and probes find it.
pub(super) const PORT_NAME: &str = "grpc";

/// Health checks of a runner that brings none of its own.
#[derive(Default)]
pub(super) struct DefaultProbes {
    pub(super) liveness: Option<Probe>,
    pub(super) readiness: Option<Probe>,
}

/// Arguments of the runner.
pub(super) fn args(pattern: &ResolvedPattern) -> Vec<String> {
    let args = match pattern.profile {
        RuntimeProfile::Standard => standard_args(pattern),
        RuntimeProfile::Upstream => upstream_args(pattern),
    };
    args.iter().map(|arg| escaped(arg)).collect()
}

fn standard_args(pattern: &ResolvedPattern) -> Vec<String> {
    let backends = pattern.backends.iter().map(|backend| format!("--backend={}", backend.name));
    std::iter::once(format!("--pattern={}", pattern.pattern_type)).chain(backends).collect()
}

/// The released programs stop at a flag they do not know, so each gets only its own.
fn upstream_args(pattern: &ResolvedPattern) -> Vec<String> {
    let mut args = Vec::new();
    if pattern.spec.config.as_ref().is_some_and(|config| !config.is_empty()) {
        args.push(format!("--config={}/{}", config::MOUNT_PATH, config::CONFIG_FILE));
    }
    match pattern.pattern_type.as_str() {
        "keyvalue" | "consumer" => {
            args.extend(pattern.spec.proxy_endpoint.as_ref().map(|proxy| format!("--proxy-addr={proxy}")));
        }
        "producer" => args.push(format!("--address=0.0.0.0:{}", pattern.port)),
        _ => {}
    }
    args
}

/// HTTP on `/health` for programs of the standard profile. Of the released programs only the
/// producer listens, and it has no health endpoint: a connection is all that can be asked of it.
pub(super) fn probes(pattern: &ResolvedPattern) -> DefaultProbes {
    let check = match (pattern.profile, pattern.pattern_type.as_str()) {
        (RuntimeProfile::Standard, _) => Probe {
            http_get: Some(HTTPGetAction {
                path: Some("/health".to_owned()),
                port: IntOrString::String(PORT_NAME.to_owned()),
                ..HTTPGetAction::default()
            }),
            ..Probe::default()
        },
        (RuntimeProfile::Upstream, "producer") => Probe {
            tcp_socket: Some(TCPSocketAction { port: IntOrString::String(PORT_NAME.to_owned()), host: None }),
            ..Probe::default()
        },
        (RuntimeProfile::Upstream, _) => return DefaultProbes::default(),
    };
    let readiness = Probe { period_seconds: Some(5), failure_threshold: Some(3), ..check.clone() };
    let liveness = Probe {
        initial_delay_seconds: Some(10),
        period_seconds: Some(10),
        failure_threshold: Some(3),
        ..check
    };
    DefaultProbes { liveness: Some(liveness), readiness: Some(readiness) }
}
