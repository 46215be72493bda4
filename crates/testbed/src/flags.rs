//! The command line of each component, and why it says what it says.

use std::path::{Path, PathBuf};

use crate::certs::Pki;
use crate::cluster::Options;

/// Client requests each second that controllers may make: the default of 20 makes tests wait.
const QPS: [&str; 2] = ["--kube-api-qps=1000", "--kube-api-burst=2000"];

/// Rules of the audit log. Health questions and the nodes' heartbeats are nobody's work.
pub(crate) const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  nonResourceURLs: [/readyz*, /livez*, /healthz*]
- level: None
  users: [testbed:kwok]
  resources: [{group: coordination.k8s.io, resources: [leases]}]
- level: Request
  userGroups: [prism:audited]
- level: Metadata
";

/// Files of one cluster that command lines name.
pub(crate) struct Files<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) pki: &'a Pki,
}

impl Files<'_> {
    pub(crate) fn audit_policy(&self) -> PathBuf {
        self.folder.join("audit-policy.yaml")
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        audit_log(self.folder)
    }

    /// Kubeconfig of a component.
    pub(crate) fn kubeconfig(&self, component: &str) -> PathBuf {
        self.folder.join("components").join(format!("{component}.kubeconfig"))
    }

    fn pki(&self, flag: &str, file: &str) -> String {
        format!("--{flag}={}", self.pki.path(file).display())
    }
}

/// Audit log of the cluster in `folder`.
pub(crate) fn audit_log(folder: &Path) -> PathBuf {
    folder.join("audit.log")
}

/// etcd keeps nothing worth an fsync: the cluster lives as long as its processes.
pub(crate) fn etcd(files: &Files, [client, peer]: [u16; 2]) -> Vec<String> {
    let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    vec![
        "etcd".into(),
        "--name=testbed".into(),
        format!("--data-dir={}", files.folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=testbed={peer}"),
        "--unsafe-no-fsync".into(),
        "--log-level=warn".into(),
    ]
}

/// The Service range is a /16: a /24 is used up by 254 Services. The audit log is never rotated: marks
/// are offsets into it.
pub(crate) fn apiserver(files: &Files, etcd: u16, port: u16) -> Vec<String> {
    vec![
        "kube-apiserver".into(),
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        files.pki("tls-cert-file", "serving.crt"),
        files.pki("tls-private-key-file", "serving.key"),
        files.pki("client-ca-file", "ca.crt"),
        files.pki("requestheader-client-ca-file", "front-proxy-ca.crt"),
        "--requestheader-allowed-names=front-proxy-client".into(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
        "--requestheader-group-headers=X-Remote-Group".into(),
        "--requestheader-username-headers=X-Remote-User".into(),
        files.pki("proxy-client-cert-file", "front-proxy-client.crt"),
        files.pki("proxy-client-key-file", "front-proxy-client.key"),
        files.pki("service-account-key-file", "service-accounts.pub"),
        files.pki("service-account-signing-key-file", "service-accounts.key"),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        "--service-cluster-ip-range=10.0.0.0/16".into(),
        "--authorization-mode=Node,RBAC".into(),
        "--allow-privileged".into(),
        "--endpoint-reconciler-type=none".into(),
        format!("--audit-policy-file={}", files.audit_policy().display()),
        format!("--audit-log-path={}", files.audit_log().display()),
        "--audit-log-mode=blocking".into(),
        "--audit-log-maxsize=1000000".into(),
    ]
}

/// Each controller has an identity of its own, as in a real cluster: its RBAC counts.
pub(crate) fn controller_manager(files: &Files, port: u16, options: &Options) -> Vec<String> {
    let mut flags = controller("kube-controller-manager", files, port);
    flags.extend([
        files.pki("service-account-private-key-file", "service-accounts.key"),
        files.pki("root-ca-file", "ca.crt"),
        files.pki("cluster-signing-cert-file", "ca.crt"),
        files.pki("cluster-signing-key-file", "ca.key"),
        "--use-service-account-credentials".into(),
        "--controllers=*,-node-ipam-controller,-cloud-node-lifecycle-controller".into(),
    ]);
    if options.hpa_fast {
        flags.extend([
            "--horizontal-pod-autoscaler-sync-period=3s".into(),
            "--horizontal-pod-autoscaler-downscale-stabilization=5s".into(),
        ]);
    }
    flags
}

pub(crate) fn scheduler(files: &Files, port: u16) -> Vec<String> {
    controller("kube-scheduler", files, port)
}

/// What controller manager and scheduler have in common; alone, neither needs to elect a leader.
fn controller(component: &str, files: &Files, port: u16) -> Vec<String> {
    let kubeconfig = files.kubeconfig(component);
    let mut flags = vec![component.to_owned()];
    flags.extend(
        ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"]
            .map(|flag| format!("--{flag}={}", kubeconfig.display())),
    );
    flags.extend([
        "--bind-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        files.pki("tls-cert-file", "serving.crt"),
        files.pki("tls-private-key-file", "serving.key"),
        "--leader-elect=false".into(),
    ]);
    flags.extend(QPS.map(str::to_owned));
    flags
}

/// Pods get addresses outside of the Service range.
pub(crate) fn kwok(files: &Files, stages: &[PathBuf]) -> Vec<String> {
    let mut flags = vec![
        format!("--kubeconfig={}", files.kubeconfig("kwok").display()),
        "--manage-all-nodes=false".into(),
        format!("--manage-nodes-with-annotation-selector={}=fake", crate::nodes::FAKE),
        "--node-lease-duration-seconds=40".into(),
        "--cidr=10.244.0.1/16".into(),
    ];
    flags.extend(stages.iter().map(|stage| format!("--config={}", stage.display())));
    flags
}

pub(crate) fn volumes(files: &Files) -> Vec<String> {
    vec!["volumes".into(), format!("--kubeconfig={}", files.kubeconfig("volumes").display())]
}
