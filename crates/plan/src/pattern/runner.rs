//! The program that runs a pattern.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMapVolumeSource, Volume, VolumeMount};
use prism_api::{backend::DeletionPolicy, labels, workload::Probes};
use serde_json::Value;

use super::{backend::Backend, config, environment, profile, resolved::ResolvedPattern};
use crate::{
    invalid::Invalid,
    program::{Port, Program},
    scaling::Queue,
    strict,
};

/// Volume with the files of the `ConfigMap`.
const CONFIG_VOLUME: &str = "config";

/// The runner of `pattern`, which reads `files`.
pub(super) fn program(
    pattern: &ResolvedPattern,
    files: &BTreeMap<String, String>,
) -> Result<Program, Invalid> {
    let spec = &pattern.spec;
    let probes = spec.probes.clone().unwrap_or_default();
    let default = profile::probes(pattern);
    let secrets = pattern.backends.iter().filter_map(|backend| backend.secret.as_ref());
    let mut program = Program {
        field: "spec".to_owned(),
        name: pattern.workload.clone(),
        namespace: pattern.namespace.clone(),
        owner: pattern.owner_reference(),
        container: format!("{}-runner", pattern.pattern_type),
        kind: pattern.kind.value,
        image: pattern.image.clone(),
        image_pull_policy: spec.image_pull_policy,
        image_pull_secrets: spec.image_pull_secrets.clone(),
        command: spec.command.clone(),
        args: if spec.args.is_empty() { profile::args(pattern) } else { spec.args.clone() },
        env: environment::build(pattern, files),
        env_from: spec.env_from.clone(),
        ports: vec![Port { name: profile::PORT_NAME, number: pattern.port }],
        container_ports: spec.ports.clone(),
        probes: Probes {
            liveness: probes.liveness.or(default.liveness),
            readiness: probes.readiness.or(default.readiness),
            startup: probes.startup,
        },
        resources: pattern.resources.clone(),
        placement: pattern.placement.clone(),
        volumes: own_volumes(pattern)?,
        volume_mounts: spec.volume_mounts.clone(),
        spec_mounts: spec.volume_mounts.len(),
        storage: spec.storage.clone(),
        deletes_volumes: spec.deletion_policy == Some(DeletionPolicy::Delete),
        labels: pattern.labels.clone(),
        pod_selector: pattern.pod_selector.clone(),
        pod_labels: spec.pod_labels.clone(),
        pod_annotations: spec.pod_annotations.clone(),
        pod_template: spec.pod_template.clone(),
        service_account_name: spec.service_account_name.clone(),
        security_context: spec.security_context.clone(),
        pod_security_context: spec.pod_security_context.clone(),
        termination_grace_period_seconds: spec.termination_grace_period_seconds,
        service: spec.service.clone().unwrap_or_default(),
        disruption_budget: spec.disruption_budget.clone().unwrap_or_default(),
        scaler: pattern.scaler,
        autoscaling: spec.autoscaling.clone(),
        control: pattern.control,
        queues: queues(pattern),
        pattern: pattern.name.clone(),
        admin: pattern.admin.clone(),
        replicas: pattern.replicas,
        secrets: secrets.map(|secret| secret.name.clone()).collect(),
        refusals: pattern.refusals,
        ..Program::default()
    };
    if !files.is_empty() {
        read_files(&mut program, pattern, files);
    }
    Ok(program)
}

/// The backends as sources of work, each with the settings that are closest to it first.
fn queues(pattern: &ResolvedPattern) -> Vec<Queue> {
    let spec = &pattern.spec;
    let queue = |backend: &Backend| {
        let all = spec.backend_config.as_ref();
        let nested = |name: &str| all.and_then(|all| all.get(name)?.as_object().cloned());
        let settings = [
            backend.config.clone(),
            nested(&backend.name),
            nested(&backend.provider),
            all.cloned(),
            spec.config.clone(),
        ];
        Queue {
            provider: backend.provider.clone(),
            url: backend.url.clone(),
            secret: backend.secret.clone(),
            settings: settings.into_iter().flatten().collect(),
            group: environment::consumer_group(pattern).to_owned(),
        }
    };
    pattern.backends.iter().map(queue).collect()
}

fn own_volumes(pattern: &ResolvedPattern) -> Result<Vec<Volume>, Invalid> {
    let volumes = pattern.spec.volumes.iter().enumerate();
    volumes
        .map(|(index, volume)| {
            strict::typed(&format!("spec.volumes[{index}]"), &Value::Object(volume.clone()))
        })
        .collect()
}

/// Mounts the files, and notes their content on the pods, so that a change of it rolls out.
fn read_files(program: &mut Program, pattern: &ResolvedPattern, files: &BTreeMap<String, String>) {
    program.volumes.push(Volume {
        name: CONFIG_VOLUME.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: config::name(pattern),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    });
    program.volume_mounts.push(VolumeMount {
        name: CONFIG_VOLUME.to_owned(),
        mount_path: config::MOUNT_PATH.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    });
    program.pod_annotations.insert(labels::CONFIG_HASH.to_owned(), config::hash(files));
}
