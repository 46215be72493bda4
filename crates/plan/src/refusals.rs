//! What an operator refuses, by its flags, although the author of a custom resource could have it made.
//!
//! Whoever may create a Prism object in a namespace has the operator create pods, Services and scalers
//! there, with everything that a spec may say. Where that is more than its author may do otherwise, the
//! flags of the operator narrow it. What runs when a flag is set stays as it is, and says why.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{EnvVar, SecurityContext};
use prism_api::{
    autoscaling::{AuthenticationKind, AuthenticationRef},
    ingress::{IngressSpec, IssuerKind},
};
use serde_json::{Value, json};

use crate::{invalid::Invalid, program::Program};

/// Keys under which a pod names Secrets: an object with a name, or the name itself.
const SECRET_KEYS: [&str; 5] = ["secret", "secretKeyRef", "secretName", "secretRef", "nodePublishSecretRef"];
/// Keys under which a pod names a `ServiceAccount`.
const ACCOUNT_KEYS: [&str; 2] = ["serviceAccount", "serviceAccountName"];

/// What is refused. By default nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Patches on pod templates, privileges, and whatever is the node's: `--refuse-pod-patches`.
    pub pod_patches: bool,
    /// `ServiceAccount`s of others, and Secrets that no backend names: `--refuse-foreign-credentials`.
    pub foreign_credentials: bool,
    /// Annotations of an Ingress, and objects of the whole cluster or of another namespace that act for
    /// whoever names them: `--refuse-cluster-references`.
    pub cluster_references: bool,
}

/// Finds the field of a program that a flag refuses.
type Find = fn(&Program) -> Option<&'static str>;

/// Refuses what `program` says beyond what is allowed.
pub(crate) fn check(program: &Program) -> Result<(), Invalid> {
    let Refusals { pod_patches, foreign_credentials, cluster_references } = program.refusals;
    let rules: [(bool, Find, &str); 3] = [
        (pod_patches, of_the_node, "--refuse-pod-patches"),
        (foreign_credentials, of_others, "--refuse-foreign-credentials"),
        (cluster_references, of_the_cluster, "--refuse-cluster-references"),
    ];
    for (_, find, flag) in rules.into_iter().filter(|(is_refused, ..)| *is_refused) {
        if let Some(field) = find(program) {
            return Err(refused(format!("{}.{field}", program.field), flag));
        }
    }
    Ok(())
}

/// Refuses what the way in says beyond what is allowed, of a stack in `namespace`.
pub(crate) fn check_ingress(
    ingress: &IngressSpec,
    namespace: &str,
    refusals: Refusals,
) -> Result<(), Invalid> {
    let issuer = ingress.tls.as_ref().and_then(|tls| tls.issuer_ref.as_ref());
    let gateway = ingress.gateway.as_ref().and_then(|gateway| gateway.namespace.as_deref());
    let field = if !ingress.annotations.is_empty() {
        "annotations"
    } else if issuer.is_some_and(|issuer| issuer.kind == Some(IssuerKind::ClusterIssuer)) {
        "tls.issuerRef"
    } else if gateway.is_some_and(|gateway| gateway != namespace) {
        "gateway.namespace"
    } else {
        return Ok(());
    };
    let refused = || refused(format!("spec.ingress.{field}"), "--refuse-cluster-references");
    (!refusals.cluster_references).then_some(()).ok_or_else(refused)
}

/// A field that the flag refuses.
fn refused(field: String, flag: &str) -> Invalid {
    Invalid::new(
        field,
        format!(
            "this operator runs with {flag}, which refuses it: remove it, or ask whoever runs the operator"
        ),
    )
}

/// The field that reaches for the node, or for anything in the pod.
fn of_the_node(program: &Program) -> Option<&'static str> {
    let is_privileged = |context: &SecurityContext| {
        let adds = context.capabilities.as_ref().and_then(|capabilities| capabilities.add.as_ref());
        context.privileged == Some(true)
            || context.allow_privilege_escalation == Some(true)
            || context.proc_mount.is_some()
            || adds.is_some_and(|added| !added.is_empty())
    };
    if program.pod_template.is_some() {
        return Some("podTemplate");
    }
    if program.volumes.iter().any(|volume| volume.host_path.is_some()) {
        return Some("volumes");
    }
    if program.container_ports.iter().any(|port| port.host_port.is_some()) {
        return Some("ports");
    }
    program.security_context.as_ref().is_some_and(is_privileged).then_some("securityContext")
}

/// The field that names an account or a Secret of others.
fn of_others(program: &Program) -> Option<&'static str> {
    let is_foreign =
        |value: Value| names(&value, &SECRET_KEYS).iter().any(|name| !program.secrets.contains(name));
    let is_foreign_reference = |reference: &AuthenticationRef| {
        reference.kind != Some(AuthenticationKind::ClusterTriggerAuthentication)
            && (reference.kind == Some(AuthenticationKind::TriggerAuthentication)
                || !program.secrets.contains(&reference.name))
    };
    if program.service_account_name.is_some() {
        return Some("serviceAccountName");
    }
    if program.env.iter().any(|variable: &EnvVar| is_foreign(json!(variable.value_from))) {
        return Some("env");
    }
    if is_foreign(json!(program.env_from)) {
        return Some("envFrom");
    }
    if is_foreign(json!(program.volumes)) {
        return Some("volumes");
    }
    if references(program).any(is_foreign_reference) {
        return Some("autoscaling.triggers");
    }
    let patch = json!(program.pod_template);
    (is_foreign(patch.clone()) || !names(&patch, &ACCOUNT_KEYS).is_empty()).then_some("podTemplate")
}

/// The field that names something of the whole cluster.
fn of_the_cluster(program: &Program) -> Option<&'static str> {
    let is_cluster_wide = |reference: &AuthenticationRef| {
        reference.kind == Some(AuthenticationKind::ClusterTriggerAuthentication)
    };
    references(program).any(is_cluster_wide).then_some("autoscaling.triggers")
}

fn references(program: &Program) -> impl Iterator<Item = &AuthenticationRef> {
    let triggers = program.autoscaling.iter().flat_map(|block| &block.triggers);
    triggers.filter_map(|trigger| trigger.authentication_ref.as_ref())
}

/// What stands in `value` under one of `keys`: the text, or the name in the block.
fn names(value: &Value, keys: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let name = value.as_str().or_else(|| value.get("name").and_then(Value::as_str));
                found.extend(name.filter(|_| keys.contains(&key.as_str())).map(str::to_owned));
                found.extend(names(value, keys));
            }
        }
        Value::Array(items) => found.extend(items.iter().flat_map(|item| names(item, keys))),
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use prism_api::pattern::PrismPattern;
    use rstest::rstest;

    use super::*;
    use crate::{defaults::Defaults, pattern};

    const PATCHES: Refusals =
        Refusals { pod_patches: true, foreign_credentials: false, cluster_references: false };
    const CREDENTIALS: Refusals =
        Refusals { pod_patches: false, foreign_credentials: true, cluster_references: false };
    const CLUSTER: Refusals =
        Refusals { pod_patches: false, foreign_credentials: false, cluster_references: true };

    fn plan(spec: &Value, refusals: Refusals) -> Result<pattern::Plan, Invalid> {
        let mut spec = spec.clone();
        spec["pattern"] = json!("keyvalue");
        let object = json!({
            "apiVersion": "prism.io/v1alpha1", "kind": "PrismPattern",
            "metadata": {"name": "web", "namespace": "shop"}, "spec": spec,
        });
        let object: PrismPattern = serde_json::from_value(object).unwrap();
        let defaults = Defaults { refusals, ..Defaults::default() };
        let secret = prism_api::connection::SecretRef { name: "login".to_owned(), ..Default::default() };
        let backend = pattern::BackendFacts {
            secret: Some(secret),
            namespace: "shop".to_owned(),
            ..pattern::BackendFacts::default()
        };
        let backends = [("cache".to_owned(), backend)].into();
        pattern::plan(&object, &pattern::Facts { backends, defaults, ..pattern::Facts::default() })
    }

    #[rstest]
    #[case(PATCHES, json!({"podTemplate": {"spec": {"hostPID": true}}}), "spec.podTemplate")]
    #[case(PATCHES, json!({"volumes": [{"name": "a", "hostPath": {"path": "/"}}]}), "spec.volumes")]
    #[case(PATCHES, json!({"ports": [{"containerPort": 1, "hostPort": 1}]}), "spec.ports")]
    #[case(PATCHES, json!({"securityContext": {"privileged": true}}), "spec.securityContext")]
    #[case(PATCHES, json!({"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}), "spec.securityContext")]
    #[case(CREDENTIALS, json!({"serviceAccountName": "root"}), "spec.serviceAccountName")]
    #[case(CREDENTIALS, json!({"envFrom": [{"secretRef": {"name": "others"}}]}), "spec.envFrom")]
    #[case(CREDENTIALS, json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "others", "key": "a"}}}]}), "spec.env")]
    #[case(CREDENTIALS, json!({"volumes": [{"name": "a", "secret": {"secretName": "others"}}]}), "spec.volumes")]
    #[case(CREDENTIALS, json!({"volumes": [{"name": "a", "projected": {"sources": [{"secret": {"name": "others"}}]}}]}), "spec.volumes")]
    #[case(CREDENTIALS, json!({"podTemplate": {"spec": {"serviceAccountName": "root"}}}), "spec.podTemplate")]
    #[case(CREDENTIALS, json!({"podTemplate": {"spec": {"volumes": [{"name": "a", "secret": {"secretName": "others"}}]}}}), "spec.podTemplate")]
    #[case(CREDENTIALS, json!({"autoscaling": {"scaler": "keda", "maxReplicas": 2, "triggers": [{"type": "redis", "authenticationRef": {"name": "others"}}]}}), "spec.autoscaling.triggers")]
    #[case(CLUSTER, json!({"autoscaling": {"scaler": "keda", "maxReplicas": 2, "triggers": [{"type": "redis", "authenticationRef": {"name": "all", "kind": "ClusterTriggerAuthentication"}}]}}), "spec.autoscaling.triggers")]
    fn what_a_flag_refuses_names_the_field_and_the_flag(
        #[case] refusals: Refusals,
        #[case] spec: Value,
        #[case] field: &str,
    ) {
        let invalid = plan(&spec, refusals).unwrap_err();
        assert_eq!(invalid.field, field);
        assert!(invalid.advice.contains("--refuse-"), "{invalid}");
        let without = plan(&spec, Refusals::default());
        assert!(
            !without.is_err_and(|invalid| invalid.advice.contains("--refuse-")),
            "nothing is refused by default"
        );
    }

    #[rstest]
    #[case(json!({"annotations": {"nginx.ingress.kubernetes.io/server-snippet": "…"}}), Some("spec.ingress.annotations"))]
    #[case(json!({"tls": {"issuerRef": {"name": "ca", "kind": "ClusterIssuer"}}}), Some("spec.ingress.tls.issuerRef"))]
    #[case(json!({"gateway": {"name": "shared", "namespace": "edge"}}), Some("spec.ingress.gateway.namespace"))]
    #[case(json!({"gateway": {"name": "own", "namespace": "shop"}}), None)]
    #[case(json!({"tls": {"issuerRef": {"name": "ca"}}}), None)]
    #[case(json!({"host": "prism.example.com"}), None)]
    fn a_way_in_that_reaches_beyond_its_namespace_is_refused_by_flag(
        #[case] ingress: Value,
        #[case] expected: Option<&str>,
    ) {
        let ingress: IngressSpec = serde_json::from_value(ingress).unwrap();
        let field = check_ingress(&ingress, "shop", CLUSTER).err().map(|invalid| invalid.field);
        assert_eq!(field.as_deref(), expected);
        assert_eq!(check_ingress(&ingress, "shop", Refusals::default()), Ok(()));
    }

    #[rstest]
    #[case::the_secret_of_its_backend(json!({"backend": "cache", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "login", "key": "a"}}}]}))]
    #[case::plain_settings(json!({"env": [{"name": "A", "value": "b"}], "volumes": [{"name": "a", "emptyDir": {}}]}))]
    #[case::a_tighter_context(json!({"securityContext": {"readOnlyRootFilesystem": true}}))]
    fn what_is_the_patterns_own_is_never_refused(#[case] spec: Value) {
        let all = Refusals { pod_patches: true, foreign_credentials: true, cluster_references: true };
        assert_eq!(plan(&spec, all).err(), None);
    }
}
