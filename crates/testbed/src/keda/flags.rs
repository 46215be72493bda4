//! The command line and environment of each program of KEDA.

use std::path::Path;

use crate::component::Program;
use crate::keda::KedaPrograms;

/// Client requests each second that a program may make: KEDA's default of 20 makes tests wait.
const QPS: [&str; 2] = ["--kube-api-qps=200", "--kube-api-burst=400"];

/// What all programs of one KEDA have in common.
pub(super) struct Setting<'a> {
    pub(super) programs: &'a KedaPrograms,
    pub(super) kubeconfig: &'a Path,
    /// Folder of `ca.crt`, `tls.crt` and `tls.key`.
    pub(super) certificates: &'a Path,
}

impl Setting<'_> {
    /// The only one of its kind: it need not elect a leader. Serves metrics to the adapter over gRPC.
    pub(super) fn operator(&self, [grpc, health]: [u16; 2]) -> Program {
        self.program(
            "keda-operator",
            vec![
                self.kubeconfig("kubeconfig"),
                "--leader-elect=false".into(),
                "--enable-cert-rotation=false".into(),
                "--enable-prometheus-metrics=false".into(),
                format!("--metrics-service-bind-address=127.0.0.1:{grpc}"),
                format!("--health-probe-bind-address=127.0.0.1:{health}"),
                "--zap-log-level=info".into(),
            ],
        )
    }

    /// Port 0 is the one of its own Prometheus metrics: it cannot be turned off, and any will do.
    pub(super) fn adapter(&self, grpc: u16, port: u16) -> Program {
        let mut arguments =
            ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig", "lister-kubeconfig"]
                .map(|flag| self.kubeconfig(flag))
                .to_vec();
        arguments.extend([
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={port}"),
            "--port=0".into(),
            format!("--metrics-service-address=localhost:{grpc}"),
            self.file("client-ca-file", "ca.crt"),
            self.file("tls-cert-file", "tls.crt"),
            self.file("tls-private-key-file", "tls.key"),
            "--zap-log-level=error".into(),
        ]);
        self.program("keda-adapter", arguments)
    }

    pub(super) fn webhooks(&self, [port, health]: [u16; 2]) -> Program {
        self.program(
            "keda-webhooks",
            vec![
                self.kubeconfig("kubeconfig"),
                format!("--port={port}"),
                "--metrics-bind-address=0".into(),
                format!("--health-probe-bind-address=127.0.0.1:{health}"),
                "--zap-log-level=error".into(),
            ],
        )
    }

    fn program(&self, name: &'static str, mut arguments: Vec<String>) -> Program {
        arguments.push(format!("--cert-dir={}", self.certificates.display()));
        arguments.extend(QPS.map(str::to_owned));
        let environment = [
            ("WATCH_NAMESPACE", ""),
            ("POD_NAMESPACE", super::NAMESPACE),
            ("KEDA_CLUSTER_OBJECT_NAMESPACE", super::NAMESPACE),
        ];
        Program {
            name,
            executable: self.programs.executable(name),
            arguments,
            environment: environment.map(|(name, value)| (name, value.to_owned())).to_vec(),
            user: None,
        }
    }

    fn kubeconfig(&self, flag: &str) -> String {
        format!("--{flag}={}", self.kubeconfig.display())
    }

    fn file(&self, flag: &str, file: &str) -> String {
        format!("--{flag}={}", self.certificates.join(file).display())
    }
}
