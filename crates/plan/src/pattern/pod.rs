//! The pod that runs a pattern.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapVolumeSource, Container, ContainerPort, LocalObjectReference,
        PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile, SecurityContext, Volume, VolumeMount,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use prism_api::labels;
use serde_json::Value;

use super::{
    config, environment, labels as pattern_labels, placement, pod_template, profile,
    resolved::ResolvedPattern, service_account, storage,
};
use crate::{invalid::Invalid, strict};

/// User and group of the pods: the `nonroot` of distroless images.
const NONROOT: i64 = 65532;
/// Volume with the files of the `ConfigMap`.
const CONFIG_VOLUME: &str = "config";

/// The template, with the patch of the spec applied last.
pub(super) fn template(pattern: &ResolvedPattern) -> Result<PodTemplateSpec, Invalid> {
    let files = config::files(pattern)?;
    let mut annotations = pattern.spec.pod_annotations.clone();
    if !files.is_empty() {
        annotations.insert(labels::CONFIG_HASH.to_owned(), config::hash(&files));
    }
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            annotations: (!annotations.is_empty()).then_some(annotations),
            labels: Some(pod_labels(pattern)),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(pattern, &files)?),
    };
    pod_template::patch(pattern, template)
}

/// The labels of every child, the spec's own, and those that selectors rely on: these last.
fn pod_labels(pattern: &ResolvedPattern) -> BTreeMap<String, String> {
    let mut all = pattern.spec.pod_labels.clone();
    all.extend(pattern.labels.clone());
    all.extend(pattern_labels::workload_selector(&pattern.name, pattern.kind.value));
    all
}

fn pod(pattern: &ResolvedPattern, files: &BTreeMap<String, String>) -> Result<PodSpec, Invalid> {
    let spec = &pattern.spec;
    let mut volumes = own_volumes(pattern)?;
    if !files.is_empty() {
        volumes.push(Volume {
            name: CONFIG_VOLUME.to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: config::name(pattern),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    let secrets =
        spec.image_pull_secrets.iter().map(|secret| LocalObjectReference { name: secret.name.clone() });
    let secrets: Vec<_> = secrets.collect();
    let mut pod = PodSpec {
        containers: vec![runner(pattern, files)],
        image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
        security_context: Some(spec.pod_security_context.clone().unwrap_or_else(restricted_pod)),
        service_account_name: Some(service_account::name(pattern)),
        automount_service_account_token: spec.service_account_name.is_none().then_some(false),
        termination_grace_period_seconds: spec.termination_grace_period_seconds,
        volumes: (!volumes.is_empty()).then_some(volumes),
        ..PodSpec::default()
    };
    placement::fill(pattern, &mut pod);
    Ok(pod)
}

fn own_volumes(pattern: &ResolvedPattern) -> Result<Vec<Volume>, Invalid> {
    let volumes = pattern.spec.volumes.iter().enumerate();
    volumes
        .map(|(index, volume)| {
            strict::typed(&format!("spec.volumes[{index}]"), &Value::Object(volume.clone()))
        })
        .collect()
}

fn runner(pattern: &ResolvedPattern, files: &BTreeMap<String, String>) -> Container {
    let spec = &pattern.spec;
    let probes = spec.probes.clone().unwrap_or_default();
    let default = profile::probes(pattern);
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let mounts = mounts(pattern, !files.is_empty());
    Container {
        name: format!("{}-runner", pattern.pattern_type),
        image: Some(pattern.image.clone()),
        image_pull_policy: spec.image_pull_policy.map(|policy| policy.as_str().to_owned()),
        command: some(&spec.command),
        args: some(&spec.args).or_else(|| some(&profile::args(pattern))),
        env: Some(environment::build(pattern, files)).filter(|env| !env.is_empty()),
        env_from: (!spec.env_from.is_empty()).then(|| spec.env_from.clone()),
        ports: Some(ports(pattern)),
        liveness_probe: probes.liveness.or(default.liveness),
        readiness_probe: probes.readiness.or(default.readiness),
        startup_probe: probes.startup,
        resources: pattern.resources.clone(),
        security_context: Some(spec.security_context.clone().unwrap_or_else(restricted_container)),
        volume_mounts: (!mounts.is_empty()).then_some(mounts),
        ..Container::default()
    }
}

fn ports(pattern: &ResolvedPattern) -> Vec<ContainerPort> {
    let own = ContainerPort {
        name: Some(profile::PORT_NAME.to_owned()),
        container_port: pattern.port,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    std::iter::once(own).chain(pattern.spec.ports.iter().cloned()).collect()
}

fn mounts(pattern: &ResolvedPattern, has_config: bool) -> Vec<VolumeMount> {
    let mut mounts = pattern.spec.volume_mounts.clone();
    if has_config {
        mounts.push(VolumeMount {
            name: CONFIG_VOLUME.to_owned(),
            mount_path: config::MOUNT_PATH.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        });
    }
    if let Some(storage) = &pattern.spec.storage {
        let path = storage.mount_path.as_deref().unwrap_or(storage::DEFAULT_MOUNT_PATH);
        mounts.push(VolumeMount {
            name: storage::VOLUME.to_owned(),
            mount_path: path.to_owned(),
            ..VolumeMount::default()
        });
    }
    mounts
}

/// With [`restricted_container`], what the Pod Security Standard `restricted` asks for.
fn restricted_pod() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(NONROOT),
        run_as_group: Some(NONROOT),
        fs_group: Some(NONROOT),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

fn restricted_container() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}
