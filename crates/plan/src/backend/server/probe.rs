//! Health checks of the servers.

use k8s_openapi::{
    api::core::v1::{ExecAction, HTTPGetAction, Probe, TCPSocketAction},
    apimachinery::pkg::util::intstr::IntOrString,
};
use prism_api::workload::Probes;

/// The two questions that are asked of a server. Until it first says that it lives, five minutes may
/// pass: servers read their data when they start.
pub(super) fn probes(ready: Probe, live: Probe) -> Probes {
    let timeout = Some(5);
    Probes {
        startup: Some(Probe {
            period_seconds: Some(5),
            failure_threshold: Some(60),
            timeout_seconds: timeout,
            ..live.clone()
        }),
        readiness: Some(Probe {
            period_seconds: Some(10),
            failure_threshold: Some(3),
            timeout_seconds: timeout,
            ..ready
        }),
        liveness: Some(Probe {
            period_seconds: Some(20),
            failure_threshold: Some(6),
            timeout_seconds: timeout,
            ..live
        }),
    }
}

/// A shell script that succeeds.
pub(super) fn script(script: &str) -> Probe {
    let command = ["sh", "-c", script].map(str::to_owned);
    Probe { exec: Some(ExecAction { command: Some(command.into()) }), ..Probe::default() }
}

/// A path that answers well.
pub(super) fn http(port: &str, path: &str) -> Probe {
    let action = HTTPGetAction {
        path: Some(path.to_owned()),
        port: IntOrString::String(port.to_owned()),
        ..HTTPGetAction::default()
    };
    Probe { http_get: Some(action), ..Probe::default() }
}

/// A port that accepts connections.
pub(super) fn tcp(port: &str) -> Probe {
    let action = TCPSocketAction { port: IntOrString::String(port.to_owned()), host: None };
    Probe { tcp_socket: Some(action), ..Probe::default() }
}
