//! The restricted form: what a pattern may be in a namespace that is not its stack's own.
//!
//! Whoever creates a stack needs no rights in the namespace of a backend to have pods run there, so
//! these pods get no more than the backend: an identity of their own without rights, the security
//! settings of the Pod Security Standard `restricted`, no Secret or `ConfigMap` of the namespace but
//! the one that the backend names, nothing of the node, and no label by which a Service of the
//! namespace could take them for its own pods. The owner of the namespace may allow more, setting by
//! setting, by the annotation `prism.io/allowed-settings`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ContainerPort, EnvVar, Probe};
use prism_api::{
    autoscaling::{AuthenticationKind, Trigger},
    backend::PrismBackendSpec,
    pattern::PrismPatternSpec,
    workload::Probes,
};

use crate::backend::is_provisioned;

/// A setting beyond the restricted form; the order is that of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// A patch on the pod template, which can say anything.
    PodTemplate,
    /// A `ServiceAccount` that somebody else has made.
    ServiceAccountName,
    /// Security settings of pod and container.
    SecurityContext,
    /// Volumes of the pod, such as folders of the node, Secrets and claims, and where they are mounted.
    Volumes,
    /// Environment from Secrets and `ConfigMap`s of the namespace.
    EnvFrom,
    /// Secrets for pulling images.
    ImagePullSecrets,
    /// Labels and annotations of the pods, and labels of their Service.
    PodLabels,
    /// Ports of the node, and health checks of other hosts than the pod.
    HostPorts,
    /// A priority, by which pods displace others.
    PriorityClassName,
    /// Credentials of triggers, other than those of the backend.
    AuthenticationRef,
    /// A volume for each pod: its claim may be one that is there already.
    Storage,
    /// A server that the operator runs there.
    Provision,
}

const ALL: [Setting; 12] = [
    Setting::PodTemplate,
    Setting::ServiceAccountName,
    Setting::SecurityContext,
    Setting::Volumes,
    Setting::EnvFrom,
    Setting::ImagePullSecrets,
    Setting::PodLabels,
    Setting::HostPorts,
    Setting::PriorityClassName,
    Setting::AuthenticationRef,
    Setting::Storage,
    Setting::Provision,
];

impl Setting {
    /// The word for it in the annotation, which is that of the field it is about.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::PodTemplate => "podTemplate",
            Self::ServiceAccountName => "serviceAccountName",
            Self::SecurityContext => "securityContext",
            Self::Volumes => "volumes",
            Self::EnvFrom => "envFrom",
            Self::ImagePullSecrets => "imagePullSecrets",
            Self::PodLabels => "podLabels",
            Self::HostPorts => "hostPorts",
            Self::PriorityClassName => "priorityClassName",
            Self::AuthenticationRef => "authenticationRef",
            Self::Storage => "storage",
            Self::Provision => "provision",
        }
    }

    /// The setting of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        ALL.into_iter().find(|setting| setting.word() == word)
    }
}

/// Takes out of `spec` what is beyond the restricted form and not `allowed`. `secrets` are those of its
/// backends, which it may name. Returns what was taken out.
pub(crate) fn restrict(
    spec: &mut PrismPatternSpec,
    allowed: &BTreeSet<Setting>,
    secrets: &BTreeSet<String>,
) -> BTreeSet<Setting> {
    let is_taken_out = |setting: &Setting| {
        let before = spec.clone();
        take_out(spec, *setting, secrets);
        *spec != before
    };
    ALL.into_iter().filter(|setting| !allowed.contains(setting)).filter(is_taken_out).collect()
}

fn take_out(spec: &mut PrismPatternSpec, setting: Setting, secrets: &BTreeSet<String>) {
    match setting {
        Setting::PodTemplate => spec.pod_template = None,
        Setting::ServiceAccountName => spec.service_account_name = None,
        Setting::SecurityContext => (spec.security_context, spec.pod_security_context) = (None, None),
        Setting::Volumes => {
            spec.volumes.clear();
            spec.volume_mounts.clear();
        }
        Setting::EnvFrom => {
            spec.env_from.clear();
            spec.env.retain(|variable| is_own(variable, secrets));
        }
        Setting::ImagePullSecrets => spec.image_pull_secrets.clear(),
        Setting::PodLabels => {
            spec.pod_labels.clear();
            spec.pod_annotations.clear();
            if let Some(service) = &mut spec.service {
                service.labels.clear();
            }
        }
        Setting::HostPorts => {
            spec.ports.iter_mut().for_each(close);
            spec.probes.iter_mut().for_each(ask_the_pod);
        }
        Setting::PriorityClassName => {
            let blocks = [&mut spec.placement, &mut spec.runner_spec];
            blocks.into_iter().flatten().for_each(|placement| placement.priority_class_name = None);
        }
        Setting::AuthenticationRef => {
            let triggers = spec.autoscaling.iter_mut().flat_map(|block| &mut block.triggers);
            triggers.for_each(|trigger| use_own_credentials(trigger, secrets));
        }
        // What makes a program keep its data cannot be left out: see `refusal`.
        Setting::Storage | Setting::Provision => {}
    }
}

/// Whether the variable needs nothing of the namespace but a Secret of a backend.
fn is_own(variable: &EnvVar, secrets: &BTreeSet<String>) -> bool {
    variable.value_from.as_ref().is_none_or(|source| {
        let is_foreign = source.secret_key_ref.as_ref().is_some_and(|key| !secrets.contains(&key.name));
        source.config_map_key_ref.is_none() && !is_foreign
    })
}

fn close(port: &mut ContainerPort) {
    (port.host_port, port.host_ip) = (None, None);
}

/// A health check that names a host would make the kubelet send requests there.
fn ask_the_pod(probes: &mut Probes) {
    let Probes { liveness, readiness, startup } = probes;
    for Probe { http_get, tcp_socket, .. } in [liveness, readiness, startup].into_iter().flatten() {
        if let Some(get) = http_get {
            get.host = None;
        }
        if let Some(socket) = tcp_socket {
            socket.host = None;
        }
    }
}

/// Without a reference, a trigger gets the credentials of its backend.
fn use_own_credentials(trigger: &mut Trigger, secrets: &BTreeSet<String>) {
    let is_own = trigger.authentication_ref.as_ref().is_some_and(|reference| {
        reference.kind == Some(AuthenticationKind::Secret) && secrets.contains(&reference.name)
    });
    trigger.authentication_ref = trigger.authentication_ref.take().filter(|_| is_own);
}

/// What of a pattern cannot be left out, and is not `allowed`: then it is not made there at all.
pub(crate) fn refused_pattern(spec: &PrismPatternSpec, allowed: &BTreeSet<Setting>) -> Option<Setting> {
    (spec.storage.is_some() && !allowed.contains(&Setting::Storage)).then_some(Setting::Storage)
}

/// The same for a backend.
pub(crate) fn refused_backend(spec: &PrismBackendSpec, allowed: &BTreeSet<Setting>) -> Option<Setting> {
    (is_provisioned(spec) && !allowed.contains(&Setting::Provision)).then_some(Setting::Provision)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn restricted(spec: Value, allowed: &[Setting]) -> (Value, Vec<&'static str>) {
        let mut spec: PrismPatternSpec = serde_json::from_value(spec).unwrap();
        let withheld = restrict(&mut spec, &allowed.iter().copied().collect(), &["login".to_owned()].into());
        (json!(spec), withheld.into_iter().map(Setting::word).collect())
    }

    /// Everything that a tenant could use to get at what is in the namespace, with the setting that allows it.
    #[rstest]
    #[case(json!({"podTemplate": {"spec": {"hostNetwork": true}}}), "podTemplate")]
    #[case(json!({"serviceAccountName": "root"}), "serviceAccountName")]
    #[case(json!({"securityContext": {"privileged": true}}), "securityContext")]
    #[case(json!({"podSecurityContext": {"runAsUser": 0}}), "securityContext")]
    #[case(json!({"volumes": [{"name": "node", "hostPath": {"path": "/"}}]}), "volumes")]
    #[case(json!({"volumeMounts": [{"name": "node", "mountPath": "/node"}]}), "volumes")]
    #[case(json!({"envFrom": [{"secretRef": {"name": "others"}}]}), "envFrom")]
    #[case(json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "others", "key": "a"}}}]}), "envFrom")]
    #[case(json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "others", "key": "a"}}}]}), "envFrom")]
    #[case(json!({"imagePullSecrets": [{"name": "registry"}]}), "imagePullSecrets")]
    #[case(json!({"podLabels": {"app": "postgres"}}), "podLabels")]
    #[case(json!({"podAnnotations": {"inject": "true"}}), "podLabels")]
    #[case(json!({"ports": [{"containerPort": 1, "hostPort": 1}]}), "hostPorts")]
    #[case(json!({"probes": {"liveness": {"httpGet": {"port": 1, "host": "169.254.169.254"}}}}), "hostPorts")]
    #[case(json!({"placement": {"priorityClassName": "system-node-critical"}}), "priorityClassName")]
    #[case(json!({"runnerSpec": {"priorityClassName": "system-node-critical"}}), "priorityClassName")]
    #[case(json!({"autoscaling": {"maxReplicas": 2, "triggers": [{"type": "redis", "authenticationRef": {"name": "others"}}]}}), "authenticationRef")]
    fn what_is_beyond_the_form_is_left_out_unless_the_namespace_allows_it(
        #[case] spec: Value,
        #[case] word: &str,
    ) {
        let setting = Setting::named(word).unwrap();
        let (without, withheld) = restricted(spec.clone(), &[]);
        assert_eq!(withheld, [word]);
        assert_ne!(without, spec);
        assert_eq!(
            restricted(spec.clone(), &[setting]),
            (json!(serde_json::from_value::<PrismPatternSpec>(spec).unwrap()), Vec::new())
        );
    }

    #[rstest]
    #[case::plain_variables(json!({"env": [{"name": "A", "value": "1"}]}))]
    #[case::fields_of_the_pod(json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}))]
    #[case::the_secret_of_the_backend(json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "login", "key": "a"}}}]}))]
    #[case::ports_of_the_pod(json!({"ports": [{"containerPort": 1}]}))]
    #[case::an_image(json!({"image": "registry.example.com/a:1", "args": ["--b"]}))]
    fn what_concerns_the_pod_alone_stays(#[case] spec: Value) {
        let (same, withheld) = restricted(spec.clone(), &[]);
        assert_eq!((same, withheld), (spec, Vec::new()));
    }

    #[test]
    fn data_is_not_made_or_left_out_silently() {
        let spec = |spec: Value| -> PrismPatternSpec { serde_json::from_value(spec).unwrap() };
        let with_storage = spec(json!({"storage": {"size": "1Gi"}}));
        assert_eq!(refused_pattern(&with_storage, &BTreeSet::new()), Some(Setting::Storage));
        assert_eq!(refused_pattern(&with_storage, &[Setting::Storage].into()), None);
        assert_eq!(refused_pattern(&spec(json!({})), &BTreeSet::new()), None);
        let backend: PrismBackendSpec = serde_json::from_value(json!({"provision": {}})).unwrap();
        assert_eq!(refused_backend(&backend, &BTreeSet::new()), Some(Setting::Provision));
        assert_eq!(refused_backend(&backend, &[Setting::Provision].into()), None);
    }

    #[test]
    fn every_setting_has_a_word_of_its_own() {
        let words: BTreeSet<&str> = ALL.into_iter().map(Setting::word).collect();
        assert_eq!(words.len(), ALL.len());
        assert!(ALL.into_iter().all(|setting| Setting::named(setting.word()) == Some(setting)));
    }
}
