//! The pod that runs a program.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, LocalObjectReference, PodSecurityContext, PodSpec, PodTemplateSpec,
        SeccompProfile, SecurityContext,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{Program, lists, placement, pod_rules, pod_template, requests, service_account};
use crate::invalid::Invalid;

/// User and group of the pods: the `nonroot` of distroless images.
const NONROOT: i64 = 65532;

/// The template, with the patch of the spec applied last.
pub(super) fn template(program: &Program) -> Result<PodTemplateSpec, Invalid> {
    let annotations = program.pod_annotations.clone();
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            annotations: (!annotations.is_empty()).then_some(annotations),
            labels: Some(pod_labels(program)),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(program)?),
    };
    let mut template = pod_template::patch(program, template)?;
    pod_rules::check(program, &template)?;
    template.spec.as_mut().map(pod_rules::fill_pull_policies);
    Ok(template)
}

/// The labels of every child, the spec's own, and those that selectors rely on: these last.
fn pod_labels(program: &Program) -> BTreeMap<String, String> {
    let mut all = program.pod_labels.clone();
    all.extend(program.labels.clone());
    all.extend(program.workload_selector());
    all
}

fn pod(program: &Program) -> Result<PodSpec, Invalid> {
    let volumes = lists::volumes(program)?;
    let secrets =
        program.image_pull_secrets.iter().map(|secret| LocalObjectReference { name: secret.name.clone() });
    let secrets: Vec<_> = secrets.collect();
    let security = || restricted_pod(program.user.unwrap_or(NONROOT));
    let mut pod = PodSpec {
        containers: vec![main_container(program)?],
        image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
        security_context: Some(program.pod_security_context.clone().unwrap_or_else(security)),
        service_account_name: Some(service_account::name(program)),
        automount_service_account_token: program.service_account_name.is_none().then_some(program.uses_api),
        termination_grace_period_seconds: program.termination_grace_period_seconds,
        volumes: (!volumes.is_empty()).then_some(volumes),
        ..PodSpec::default()
    };
    placement::fill(program, &mut pod);
    Ok(pod)
}

fn main_container(program: &Program) -> Result<Container, Invalid> {
    let probes = program.probes.clone();
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let mounts = lists::mounts(program)?;
    Ok(Container {
        name: program.container.clone(),
        image: Some(program.image.clone()),
        image_pull_policy: program.image_pull_policy.map(|policy| policy.as_str().to_owned()),
        command: some(&program.command),
        args: some(&program.args),
        env: (!program.env.is_empty()).then(|| program.env.clone()),
        env_from: (!program.env_from.is_empty()).then(|| program.env_from.clone()),
        ports: Some(lists::ports(program)?),
        liveness_probe: probes.liveness,
        readiness_probe: probes.readiness,
        startup_probe: probes.startup,
        resources: requests::build(program),
        security_context: Some(program.security_context.clone().unwrap_or_else(restricted_container)),
        volume_mounts: (!mounts.is_empty()).then_some(mounts),
        ..Container::default()
    })
}

/// With [`restricted_container`], what the Pod Security Standard `restricted` asks for.
fn restricted_pod(user: i64) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user),
        run_as_group: Some(user),
        fs_group: Some(user),
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
