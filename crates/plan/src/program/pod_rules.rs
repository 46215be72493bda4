//! What Kubernetes refuses of a pod, as far as the spec alone tells: said at once, and not by the API server when
//! the workload is applied, behind which everything else of its line waits.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    Affinity, Container, EnvVar, NodeSelectorTerm, PodAffinityTerm, PodSpec, PodTemplateSpec,
    ResourceRequirements,
};
use prism_api::workload::WorkloadKind;
use serde_json::json;

use super::{Program, lists, storage};
use crate::invalid::Invalid;

/// Resources that have no domain.
const STANDARD: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// Beginning of the names of more of them.
const HUGE_PAGES: &str = "hugepages-";
/// Operators of node affinities.
const OPERATORS: [&str; 6] = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];

/// Checks the template that the spec, and last its `podTemplate`, has come to.
pub(super) fn check(program: &Program, template: &PodTemplateSpec) -> Result<(), Invalid> {
    let Some(pod) = &template.spec else { return Ok(()) };
    // What the block itself has not said is the patch's.
    let field = &program.field;
    let of_patch = format!("{field}.podTemplate.spec");
    if let Some((path, key)) = lists::double(&of_patch, &json!(pod)) {
        return Err(Invalid::new(path, format!("there are two entries {key}: leave one of them")));
    }
    if program.storage.is_some() && has_volume(pod, storage::VOLUME) {
        return Err(Invalid::new(
            format!("{of_patch}.volumes"),
            format!("{} is the name of the volume of {field}.storage: choose another name", storage::VOLUME),
        ));
    }
    for volume in pod.volumes.iter().flatten() {
        let sources = json!(volume).as_object().map_or(0, |fields| fields.len() - 1);
        if sources > 1 {
            return Err(Invalid::new(
                format!("{field}.volumes"),
                format!("the volume {} has {sources} sources: leave one of them", volume.name),
            ));
        }
    }
    windows(field, pod)?;
    pod.affinity.as_ref().map_or(Ok(()), |affinity| affinities(field, affinity))?;
    let claimed = program.storage.iter().filter(|_| program.kind == WorkloadKind::StatefulSet);
    let mut volumes: BTreeSet<&str> = claimed.map(|_| storage::VOLUME).collect();
    volumes.extend(pod.volumes.iter().flatten().map(|volume| volume.name.as_str()));
    let claims: BTreeSet<&str> =
        pod.resource_claims.iter().flatten().map(|claim| claim.name.as_str()).collect();
    for container in pod.containers.iter().chain(pod.init_containers.iter().flatten()) {
        let place = Place { field, is_main: container.name == program.container, name: &container.name };
        check_container(&place, container, &volumes, &claims)?;
    }
    Ok(())
}

/// Which container is looked at.
struct Place<'a> {
    field: &'a str,
    is_main: bool,
    name: &'a str,
}

impl Place<'_> {
    fn refuse(&self, block: &str, advice: String) -> Result<(), Invalid> {
        let field = self.field;
        Err(if self.is_main {
            Invalid::new(format!("{field}.{block}"), advice)
        } else {
            Invalid::new(
                format!("{field}.podTemplate"),
                format!("container {}, {block}: {advice}", self.name),
            )
        })
    }
}

fn check_container(
    place: &Place<'_>,
    container: &Container,
    volumes: &BTreeSet<&str>,
    claims: &BTreeSet<&str>,
) -> Result<(), Invalid> {
    for mount in container.volume_mounts.iter().flatten() {
        if !volumes.contains(mount.name.as_str()) {
            let advice =
                format!("the pod has no volume {}: add it to volumes, or correct the name", mount.name);
            return place.refuse("volumeMounts", advice);
        }
    }
    for variable in container.env.iter().flatten() {
        if has_two_sources(variable) {
            let advice = format!("{} has a value and a source: leave one of them", variable.name);
            return place.refuse("env", advice);
        }
    }
    container.resources.as_ref().map_or(Ok(()), |resources| resource(place, resources, claims))
}

fn resource(
    place: &Place<'_>,
    resources: &ResourceRequirements,
    claims: &BTreeSet<&str>,
) -> Result<(), Invalid> {
    let names = resources.requests.iter().chain(&resources.limits).flat_map(|amounts| amounts.keys());
    let is_known = |name: &&String| {
        STANDARD.contains(&name.as_str()) || name.starts_with(HUGE_PAGES) || name.contains('/')
    };
    if let Some(name) = names.into_iter().find(|name| !is_known(name)) {
        return place.refuse(
            "resources",
            format!(
                "{name} is no resource of Kubernetes: use {}, or the name with its domain, such as example.com/{name}",
                STANDARD.join(", ")
            ),
        );
    }
    match resources.claims.iter().flatten().find(|claim| !claims.contains(claim.name.as_str())) {
        None => Ok(()),
        Some(claim) => place.refuse(
            "resources.claims",
            format!(
                "the pod has no resource claim {}: add it to podTemplate.spec.resourceClaims, or remove it",
                claim.name
            ),
        ),
    }
}

fn has_two_sources(variable: &EnvVar) -> bool {
    let is_valued = variable.value.as_ref().is_some_and(|value| !value.is_empty());
    let sources = json!(variable.value_from).as_object().map_or(0, serde_json::Map::len);
    sources > 1 || (is_valued && sources > 0)
}

fn has_volume(pod: &PodSpec, name: &str) -> bool {
    pod.volumes.iter().flatten().any(|volume| volume.name == name)
}

/// Pods of ours run on Linux: they have a user, a group and a seccomp profile.
fn windows(field: &str, pod: &PodSpec) -> Result<(), Invalid> {
    if is_windows(pod) {
        return Ok(());
    }
    let contexts = pod.containers.iter().filter_map(|container| container.security_context.as_ref());
    let in_container = contexts.into_iter().any(|context| context.windows_options.is_some());
    let in_pod = pod.security_context.as_ref().is_some_and(|context| context.windows_options.is_some());
    let block = match (in_pod, in_container) {
        (true, _) => "podSecurityContext",
        (_, true) => "securityContext",
        _ => return Ok(()),
    };
    Err(Invalid::new(
        format!("{field}.{block}.windowsOptions"),
        "cannot stand beside settings of Linux, which the pods have: remove it",
    ))
}

fn is_windows(pod: &PodSpec) -> bool {
    pod.os.as_ref().is_some_and(|os| os.name == "windows")
}

fn affinities(field: &str, affinity: &Affinity) -> Result<(), Invalid> {
    let block = format!("{field}.placement.affinity");
    let pods = affinity.pod_affinity.iter().flat_map(|affinity| {
        let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        let required = affinity.required_during_scheduling_ignored_during_execution.iter().flatten();
        required.chain(preferred.map(|weighted| &weighted.pod_affinity_term))
    });
    let others = affinity.pod_anti_affinity.iter().flat_map(|affinity| {
        let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        let required = affinity.required_during_scheduling_ignored_during_execution.iter().flatten();
        required.chain(preferred.map(|weighted| &weighted.pod_affinity_term))
    });
    if pods.chain(others).any(|term: &PodAffinityTerm| term.topology_key.is_empty()) {
        return Err(Invalid::new(
            block,
            "a term has no topologyKey: name the label of nodes that it is about, such as kubernetes.io/hostname",
        ));
    }
    let terms = affinity.node_affinity.iter().flat_map(|affinity| {
        let required = affinity.required_during_scheduling_ignored_during_execution.iter();
        let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        required
            .flat_map(|selector| &selector.node_selector_terms)
            .chain(preferred.map(|preferred| &preferred.preference))
    });
    let operators = |term: &NodeSelectorTerm| -> Vec<String> {
        let expressions = term.match_expressions.iter().chain(&term.match_fields).flatten();
        expressions.map(|expression| expression.operator.clone()).collect()
    };
    match terms.flat_map(operators).find(|operator| !OPERATORS.contains(&operator.as_str())) {
        None => Ok(()),
        Some(operator) => Err(Invalid::new(
            format!("{block}.nodeAffinity"),
            format!("{operator} is no operator: use one of {}", OPERATORS.join(", ")),
        )),
    }
}

/// Gives every container the policy that Kubernetes would derive from its image: what it derives once, nobody owns,
/// and it stays when the image is another one.
pub(super) fn fill_pull_policies(pod: &mut PodSpec) {
    let containers = pod.containers.iter_mut().chain(pod.init_containers.iter_mut().flatten());
    for container in containers.filter(|container| container.image_pull_policy.is_none()) {
        let policy = container.image.as_deref().map(pull_policy);
        container.image_pull_policy = policy.map(str::to_owned);
    }
}

/// What is pulled by a tag that moves is pulled each time.
fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or(image);
    let is_fixed = name.contains('@') || name.rsplit_once(':').is_some_and(|(_, tag)| tag != "latest");
    if is_fixed { "IfNotPresent" } else { "Always" }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::Value;

    use super::*;

    #[rstest]
    #[case("registry.example.com:5000/kv", "Always")]
    #[case("registry.example.com:5000/kv:latest", "Always")]
    #[case("kv:1.2", "IfNotPresent")]
    #[case("registry.example.com/kv@sha256:00", "IfNotPresent")]
    #[case("kv:latest@sha256:00", "IfNotPresent")]
    fn the_policy_follows_the_tag_as_in_kubernetes(#[case] image: &str, #[case] policy: &str) {
        assert_eq!(pull_policy(image), policy);
    }

    #[rstest]
    #[case::a_resource(json!({"containers": [{"name": "main", "resources": {"requests": {"a": "1"}}}]}), "spec.resources")]
    #[case::a_claim(json!({"containers": [{"name": "main", "resources": {"claims": [{"name": "gpu"}]}}]}), "spec.resources.claims")]
    #[case::a_mount(json!({"containers": [{"name": "main", "volumeMounts": [{"name": "a", "mountPath": "/a"}]}]}), "spec.volumeMounts")]
    #[case::of_a_sidecar(json!({"containers": [{"name": "side", "volumeMounts": [{"name": "a", "mountPath": "/a"}]}]}), "spec.podTemplate")]
    #[case::a_variable(json!({"containers": [{"name": "main", "env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}]}), "spec.env")]
    #[case::a_term(json!({"containers": [], "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": ""}]}}}), "spec.placement.affinity")]
    #[case::an_operator(json!({"containers": [], "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Near"}]}]}}}}), "spec.placement.affinity.nodeAffinity")]
    #[case::windows(json!({"containers": [], "securityContext": {"windowsOptions": {}}}), "spec.podSecurityContext.windowsOptions")]
    #[case::two_sources(json!({"containers": [], "volumes": [{"name": "a", "emptyDir": {}, "secret": {"secretName": "b"}}]}), "spec.volumes")]
    #[case::a_double(json!({"containers": [{"name": "a"}, {"name": "a"}]}), "spec.podTemplate.spec.containers[1]")]
    fn what_kubernetes_refuses_is_named_by_its_field(#[case] pod: Value, #[case] field: &str) {
        let program =
            Program { field: "spec".to_owned(), container: "main".to_owned(), ..Program::default() };
        let template = PodTemplateSpec { spec: serde_json::from_value(pod).unwrap(), metadata: None };
        assert_eq!(check(&program, &template).unwrap_err().field, field);
    }
}
