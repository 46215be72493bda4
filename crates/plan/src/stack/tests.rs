//! Plans of whole stacks.

use k8s_openapi::api::core::v1::Container;
use prism_api::{condition::reason, labels};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::program::{Workload, WorkloadFacts};

fn stack(spec: impl Into<Value>) -> PrismStack {
    serde_json::from_value(json!({
        "apiVersion": "prism.io/v1alpha1", "kind": "PrismStack",
        "metadata": {"name": "shop", "namespace": "web", "uid": "0000-1111", "generation": 3},
        "spec": spec.into(),
    }))
    .unwrap()
}

fn planned(spec: impl Into<Value>) -> Plan {
    plan(&stack(spec), &Facts::default()).unwrap()
}

fn refusal(spec: impl Into<Value>) -> String {
    plan(&stack(spec), &Facts::default()).unwrap_err().to_string()
}

fn main_container(plan: &ProgramPlan) -> Container {
    let template = match &plan.children.workload {
        Workload::Deployment(object) => object.spec.as_ref().map(|spec| spec.template.clone()),
        Workload::StatefulSet(object) => object.spec.as_ref().map(|spec| spec.template.clone()),
    };
    template.unwrap().spec.unwrap().containers.remove(0)
}

fn running(count: i32) -> ProgramFacts {
    let facts =
        WorkloadFacts { is_observed: true, desired: count, available: count, ..WorkloadFacts::default() };
    ProgramFacts { deployment: Some(facts.clone()), stateful_set: Some(facts), ..ProgramFacts::default() }
}

#[test]
fn an_admin_of_three() {
    let plan = planned(json!({"admin": {
        "replicas": 3, "storage": {"size": "1Gi", "storageClass": "fast-ssd"},
        "leaderElection": {"leaseDuration": "15s"},
    }}));
    let admin = plan.admin.unwrap();
    let Workload::StatefulSet(set) = &admin.program.children.workload else { panic!("a StatefulSet") };
    insta::assert_yaml_snapshot!(json!({
        "StatefulSet": set, "Service": admin.program.children.service,
        "headless": admin.program.children.headless, "PodDisruptionBudget": admin.program.children.budget,
        "Role": admin.rbac.as_ref().map(|(role, _)| role), "RoleBinding": admin.rbac.as_ref().map(|(_, binding)| binding),
    }));
}

#[test]
fn a_proxy_that_scales() {
    let plan = planned(json!({
        "admin": {"replicas": 1},
        "proxy": {
            "image": "registry.example.com/prism-proxy:2", "replicas": 3,
            "autoscaling": {
                "minReplicas": 3, "maxReplicas": 20, "targetCPUUtilizationPercentage": 70, "targetMemoryUtilizationPercentage": 80,
                "metrics": [{"type": "Pods", "pods": {"metric": {"name": "http_requests_per_second"}, "target": {"type": "AverageValue", "averageValue": "1000"}}}],
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300, "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}]}},
            },
        },
        "observability": {"tracing": {"endpoint": "http://collector:4317", "samplingPercentage": 10}},
    }));
    let proxy = plan.proxy.unwrap().program;
    let Workload::Deployment(deployment) = &proxy.children.workload else { panic!("a Deployment") };
    insta::assert_yaml_snapshot!(json!({
        "Deployment": deployment, "Service": proxy.children.service,
        "HorizontalPodAutoscaler": proxy.children.scalers.autoscaler,
    }));
}

#[test]
fn the_released_admin_gets_its_own_flags_and_numbers_from_one() {
    let plan = planned(json!({"runtimeProfile": "upstream", "admin": {"replicas": 3}}));
    let admin = main_container(&plan.admin.unwrap().program);
    let line = &admin.command.unwrap()[2];
    assert!(line.contains("--raft-id $((${POD_NAME##*-} + 1))"), "{line}");
    let cluster = "--cluster 1=shop-admin-0.shop-admin-headless:8990,2=shop-admin-1.shop-admin-headless:8990,3=shop-admin-2.shop-admin-headless:8990";
    assert!(line.contains(cluster), "{line}");
    assert!(admin.readiness_probe.unwrap().tcp_socket.is_some(), "it has no HTTP health check");
}

#[rstest]
#[case::an_even_admin(json!({"admin": {"replicas": 2}}), &[reason::EVEN_REPLICAS])]
#[case::an_odd_admin(json!({"admin": {"replicas": 3}}), &[])]
#[case::metrics_where_clients_connect(json!({"observability": {"metrics": {"port": 9090}}, "proxy": {"port": 9090}}), &[reason::PORT_MOVED])]
#[case::by_default_they_keep_apart(json!({"proxy": {"port": 9090}}), &[])]
#[case::the_old_port_of_jaeger(json!({"observability": {"tracing": {"endpoint": "http://jaeger:14268"}}}), &[reason::LEGACY_TRACING_ENDPOINT])]
fn warnings(#[case] spec: Value, #[case] expected: &[&str]) {
    let warnings = planned(spec).warnings;
    assert_eq!(warnings.iter().map(|(reason, _)| *reason).collect::<Vec<_>>(), expected);
}

#[rstest]
#[case::a_part_of_every_stack(json!({"patterns": [{"name": "proxy", "type": "queue"}]}), "spec.patterns[0].name")]
#[case::an_unknown_store(json!({"admin": {"storage": {"type": "mysql"}}}), "spec.admin.storage.type")]
#[case::nowhere_to_collocate(json!({"backends": [{"name": "db", "type": "postgres", "dataLocality": {"strategy": "collocate"}}]}), "spec.backends[0].dataLocality.namespace")]
#[case::one_name_for_two_services(json!({"patterns": [{"name": "cache", "type": "keyvalue"}], "backends": [{"name": "cache", "type": "redis", "provision": {}}]}), "spec.backends[0].name")]
fn a_contradiction_names_its_field(#[case] spec: Value, #[case] field: &str) {
    let message = refusal(spec);
    assert!(message.starts_with(field), "{message}");
}

fn whole() -> Value {
    json!({
        "admin": {"replicas": 3}, "webConsole": {},
        "backends": [{"name": "cache", "type": "redis", "provision": {}}, {"name": "bus", "type": "nats", "connectionString": "nats://bus:4222"}],
        "patterns": [{"name": "sessions", "type": "keyvalue", "backend": "cache"}, {"name": "events", "type": "pubsub", "backend": "bus"}],
    })
}

/// What waits: proxy, web console, and each pattern.
fn waiting(facts: &Facts) -> [bool; 4] {
    let plan = plan(&stack(whole()), facts).unwrap();
    let of = |component: &Option<ComponentPlan>| component.as_ref().unwrap().waits_for.is_some();
    [
        of(&plan.proxy),
        of(&plan.console),
        plan.patterns[0].waits_for.is_some(),
        plan.patterns[1].waits_for.is_some(),
    ]
}

#[test]
fn each_part_waits_for_what_it_needs_and_nothing_that_exists_waits() {
    let place = |name: &str| ("web".to_owned(), name.to_owned());
    let mut facts = Facts::default();
    assert_eq!(waiting(&facts), [true; 4], "nothing is there");
    facts.admin = running(3);
    assert_eq!(waiting(&facts), [false, false, true, true], "the admin can agree");
    facts.proxy = running(1);
    assert_eq!(waiting(&facts), [false, false, true, false], "the proxy serves; the cache does not yet");
    let ready = ChildFacts { ready: Some(true), ..ChildFacts::default() };
    facts.backends.insert(place("shop-cache"), ready);
    assert_eq!(waiting(&facts), [false; 4]);
    let names = ["shop-sessions", "shop-events"];
    facts.patterns = names.into_iter().map(|name| (place(name), ChildFacts::default())).collect();
    facts.patterns.insert(("elsewhere".to_owned(), "shop-sessions".to_owned()), ChildFacts::default());
    facts.patterns.remove(&place("shop-sessions"));
    (facts.admin, facts.proxy, facts.console) = (running(0), running(0), running(0));
    facts.backends.clear();
    assert_eq!(waiting(&facts), [false; 4], "what exists is never held up by what has failed since");
}

/// A stack whose admin runs another template than the one that is planned.
fn changed_admin(approval: &str, announced: Option<&str>, approved: Option<&str>) -> Plan {
    let mut stack = stack(json!({"approval": approval, "admin": {"replicas": 3}}));
    let status =
        prism_api::PrismStackStatus { plan_hash: announced.map(str::to_owned), ..Default::default() };
    stack.status = Some(status);
    stack.metadata.annotations =
        approved.map(|hash| [(labels::APPROVED_PLAN.to_owned(), hash.to_owned())].into());
    let mut facts = Facts { admin: running(3), ..Facts::default() };
    facts.admin.deployment = None;
    let live = facts.admin.stateful_set.as_mut().unwrap();
    live.notes.insert(labels::TEMPLATE_HASH.to_owned(), "another".to_owned());
    live.claims = vec![crate::program::Claim {
        name: "data".to_owned(),
        size: "1Gi".to_owned(),
        access_modes: vec!["ReadWriteOnce".to_owned()],
        storage_class: None,
    }];
    plan(&stack, &facts).unwrap()
}

#[test]
fn a_restart_of_the_admin_is_announced_first_and_then_done() {
    let first = changed_admin("Auto", None, None);
    assert!(first.admin.unwrap().is_held, "it is only announced");
    assert_eq!(first.approval.actions.len(), 1);
    let second = changed_admin("Auto", first.approval.hash.as_deref(), None);
    assert!(!second.admin.unwrap().is_held);
}

#[test]
fn where_somebody_wants_to_agree_it_waits_for_the_hash_of_that_very_plan() {
    let hash = changed_admin("Manual", None, None).approval.hash.unwrap();
    assert!(changed_admin("Manual", Some(&hash), None).admin.unwrap().is_held);
    assert!(changed_admin("Manual", Some(&hash), Some("another plan")).admin.unwrap().is_held);
    assert!(!changed_admin("Manual", Some(&hash), Some(&hash)).admin.unwrap().is_held);
}

#[test]
fn an_admin_that_runs_as_a_deployment_loses_its_log_only_with_approval() {
    let mut facts = Facts { admin: running(1), ..Facts::default() };
    facts.admin.stateful_set = None;
    let plan = plan(&stack(json!({"admin": {"replicas": 3}})), &facts).unwrap();
    assert!(plan.admin.unwrap().is_held);
    let action = &plan.approval.actions[0];
    assert_eq!((action.action.as_str(), action.object.as_str()), ("Replace", "Deployment shop-admin"));
    assert!(action.needs_approval, "even where nobody asked to agree to plans");
}

#[test]
fn an_admin_that_is_switched_off_goes_after_it_was_announced() {
    let mut facts = Facts { admin: running(3), ..Facts::default() };
    facts.admin.deployment = None;
    let mut stack = stack(json!({"admin": {"enabled": false}}));
    let first = plan(&stack, &facts).unwrap();
    assert_eq!(first.kept, [Kept::Component("shop-admin".to_owned())]);
    assert_eq!(first.approval.actions[0].action, "Delete");
    let status = prism_api::PrismStackStatus { plan_hash: first.approval.hash, ..Default::default() };
    stack.status = Some(status);
    assert!(plan(&stack, &facts).unwrap().kept.is_empty(), "it may go now");
}
