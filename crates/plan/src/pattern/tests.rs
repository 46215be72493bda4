//! Plans of whole patterns.

use k8s_openapi::{api::core::v1::Container, jiff::Timestamp};
use prism_api::{condition, pattern::Phase};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::{
    conditions::{find, is_true},
    program::{Children, ProgramFacts, Workload, WorkloadFacts},
    report::{Problem, Report},
};

fn pattern(spec: impl Into<Value>) -> PrismPattern {
    serde_json::from_value(json!({
        "apiVersion": "prism.io/v1alpha1", "kind": "PrismPattern",
        "metadata": {"name": "orders", "namespace": "shop", "uid": "0000-1111", "generation": 3},
        "spec": spec.into(),
    }))
    .unwrap()
}

fn planned(spec: impl Into<Value>) -> Plan {
    plan(&pattern(spec), &Facts::default()).unwrap()
}

fn with(mut spec: Value, field: &str, value: impl Into<Value>) -> Value {
    spec[field] = value.into();
    spec
}

/// All children, by kind and name.
fn shown(plan: &Plan) -> Value {
    let Children { service_account, workload, service, headless, budget, scalers } = &plan.runner.children;
    let config = &plan.config;
    let workload = match workload {
        Workload::Deployment(object) => json!({"Deployment": object}),
        Workload::StatefulSet(object) => json!({"StatefulSet": object}),
    };
    json!({
        "ServiceAccount": service_account, "ConfigMap": config, "workload": workload, "Service": service,
        "headless": headless, "PodDisruptionBudget": budget, "HorizontalPodAutoscaler": scalers.autoscaler,
    })
}

fn runner(plan: &Plan) -> Container {
    let template = match &plan.runner.children.workload {
        Workload::Deployment(object) => object.spec.as_ref().map(|spec| spec.template.clone()),
        Workload::StatefulSet(object) => object.spec.as_ref().map(|spec| spec.template.clone()),
    };
    template.unwrap().spec.unwrap().containers.remove(0)
}

#[test]
fn a_consumer_with_everything_by_default() {
    insta::assert_yaml_snapshot!(shown(&planned(json!({"pattern": "consumer", "backend": "kafka"}))));
}

#[test]
fn a_scaled_producer_with_its_settings() {
    let spec = json!({
        "pattern": "producer", "backend": "kafka", "image": "registry.example.com/producer:2", "replicas": 5,
        "config": {"batch": 100},
        "backendConfig": {"kafka": {"bootstrapServers": "kafka.streams:9092", "topics": ["orders"]}},
        "autoscaling": {
            "minReplicas": 2, "maxReplicas": 20, "targetCPU": 70, "targetMemoryUtilization": 80,
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}, "scaleUp": {"stabilizationWindowSeconds": 0}},
        },
        "service": {"type": "NodePort", "port": 9000, "annotations": {"example.com/zone": "a"}},
    });
    insta::assert_yaml_snapshot!(shown(&planned(spec)));
}

#[test]
fn a_stateful_set_scaled_by_the_metric_of_an_object() {
    let spec = json!({
        "pattern": "mailbox", "backend": "redis", "storage": {"size": "10Gi", "storageClass": "fast-ssd"},
        "autoscaling": {"minReplicas": 1, "maxReplicas": 5, "metrics": [{"type": "Object", "object": {
            "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "my-redis"},
            "metric": {"name": "requests-per-second"},
            "target": {"type": "Value", "value": "1000"},
        }}]},
    });
    insta::assert_yaml_snapshot!(shown(&planned(spec)));
}

#[test]
fn placement_presets_and_raw_rules() {
    let spec = json!({
        "pattern": "keyvalue", "backend": "memstore",
        "placement": {
            "strategy": "MultiRegion", "nodeSelector": {"role": "data"},
            "tolerations": [{"key": "spot", "operator": "Exists"}], "priorityClassName": "high",
        },
        "runnerSpec": {"runtimeClassName": "gvisor", "nodeSelector": {"role": "ignored"}},
    });
    let Workload::Deployment(deployment) = planned(spec).runner.children.workload else {
        panic!("a Deployment")
    };
    let mut pod = deployment.spec.unwrap().template.spec.unwrap();
    pod.containers.clear();
    insta::assert_yaml_snapshot!(json!(pod));
}

#[rstest]
#[case::standard("consumer", "standard", &["--pattern=consumer", "--backend=kafka"])]
#[case::upstream_consumer("consumer", "upstream", &["--config=/etc/prism/config.yaml", "--proxy-addr=proxy:8980"])]
#[case::upstream_producer("producer", "upstream", &["--config=/etc/prism/config.yaml", "--address=0.0.0.0:8083"])]
#[case::upstream_mailbox("mailbox", "upstream", &["--config=/etc/prism/config.yaml"])]
fn arguments_follow_the_profile(#[case] pattern: &str, #[case] profile: &str, #[case] expected: &[&str]) {
    let spec = json!({
        "pattern": pattern, "backend": "kafka", "runtimeProfile": profile, "config": {"a": 1},
        "proxyEndpoint": "proxy:8980", "service": {"port": 8083},
    });
    assert_eq!(runner(&planned(spec)).args.unwrap(), expected);
}

#[test]
fn what_the_spec_sets_wins_over_what_the_operator_would() {
    let spec = json!({
        "pattern": "consumer", "backend": "kafka", "command": ["/bin/run"], "args": ["--fast"],
        "env": [{"name": "CONSUMER_GROUP", "value": "mine"}, {"name": "EXTRA", "value": "1"}],
        "probes": {"readiness": {"tcpSocket": {"port": 1}}},
        "podTemplate": {"spec": {"hostNetwork": true, "containers": [{"name": "consumer-runner", "workingDir": "/tmp"}, {"name": "sidecar", "image": "envoy"}]}},
    });
    let plan = planned(spec);
    let runner = runner(&plan);
    assert_eq!(
        (runner.command.unwrap(), runner.args.unwrap()),
        (vec!["/bin/run".to_owned()], vec!["--fast".to_owned()])
    );
    let env = runner.env.unwrap();
    let group: Vec<_> = env.iter().filter(|variable| variable.name == "CONSUMER_GROUP").collect();
    assert_eq!(group.len(), 1);
    assert_eq!(group[0].value.as_deref(), Some("mine"));
    assert!(runner.readiness_probe.unwrap().tcp_socket.is_some());
    assert!(
        runner.liveness_probe.unwrap().http_get.is_some(),
        "the one that is left out comes from the profile"
    );
    assert_eq!(runner.working_dir.as_deref(), Some("/tmp"));
    let Workload::StatefulSet(set) = plan.runner.children.workload else { panic!("a StatefulSet") };
    let pod = set.spec.unwrap().template.spec.unwrap();
    assert_eq!((pod.host_network, pod.containers.len()), (Some(true), 2));
}

#[rstest]
#[case::the_first_spelling("targetCPUUtilizationPercentage")]
#[case::the_second("targetCPUUtilization")]
#[case::the_third("targetCPU")]
fn every_spelling_of_the_cpu_target_is_the_same(#[case] field: &str) {
    let autoscaling = json!({"maxReplicas": 3, field: 60});
    let plan = planned(json!({"pattern": "producer", "autoscaling": autoscaling}));
    let metrics = plan.runner.children.scalers.autoscaler.unwrap().spec.unwrap().metrics.unwrap();
    assert_eq!(metrics.len(), 1);
    assert_eq!(metrics[0].resource.as_ref().unwrap().target.average_utilization, Some(60));
}

#[test]
fn a_scaler_that_was_given_no_metric_follows_the_cpu() {
    let plan = planned(json!({"pattern": "producer", "autoscaling": {"maxReplicas": 3}}));
    let metrics = plan.runner.children.scalers.autoscaler.unwrap().spec.unwrap().metrics.unwrap();
    assert_eq!(metrics[0].resource.as_ref().unwrap().target.average_utilization, Some(75));
}

#[rstest]
#[case::below(json!(1), 2)]
#[case::within(json!(4), 4)]
#[case::above(json!(50), 9)]
fn the_seed_is_clamped(#[case] replicas: Value, #[case] expected: i32) {
    let spec = json!({"pattern": "producer", "replicas": replicas, "autoscaling": {"minReplicas": 2, "maxReplicas": 9}});
    assert_eq!(planned(spec).pattern.replicas, expected);
}

#[test]
fn long_names_become_names_that_kubernetes_takes() {
    let mut pattern = pattern(json!({"pattern": "consumer", "backend": "memstore", "config": {"a": 1}}));
    pattern.metadata.name = Some("o".repeat(63));
    let plan = plan(&pattern, &Facts::default()).unwrap();
    assert_eq!(plan.pattern.workload.len(), 52, "pods carry the name with eleven more characters as a label");
    assert!(plan.runner.children.headless.unwrap().metadata.name.unwrap().len() <= 63);
    assert!(plan.config.unwrap().metadata.name.unwrap().len() <= 63);
}

fn state(desired: i32, available: i32) -> WorkloadFacts {
    WorkloadFacts {
        is_observed: true,
        desired,
        replicas: desired,
        ready: available,
        available,
        updated: desired,
        ..WorkloadFacts::default()
    }
}

#[rstest]
#[case::all_there(Some(state(3, 3)), None, "True", Phase::Running)]
#[case::starting(Some(state(3, 1)), None, "False", Phase::Pending)]
#[case::nothing_yet(None, None, "False", Phase::Pending)]
#[case::some_lost(Some(state(3, 2)), Some(Phase::Running), "False", Phase::Degraded)]
#[case::scaled_to_zero(Some(state(0, 0)), Some(Phase::Running), "True", Phase::Running)]
fn readiness_follows_the_workload(
    #[case] workload: Option<WorkloadFacts>,
    #[case] before: Option<Phase>,
    #[case] ready: &str,
    #[case] phase: Phase,
) {
    let mut pattern = pattern(json!({"pattern": "producer", "backend": "memstore"}));
    pattern.status =
        Some(prism_api::PrismPatternStatus { phase: before, ..prism_api::PrismPatternStatus::default() });
    let facts = Facts {
        runner: ProgramFacts { deployment: workload, ..ProgramFacts::default() },
        ..Facts::default()
    };
    let plan = plan(&pattern, &facts).unwrap();
    let status = status(&pattern, &plan, &facts, Report::default(), Timestamp::UNIX_EPOCH);
    assert_eq!(find(&status.conditions, condition::READY).unwrap().status, ready);
    assert_eq!(status.phase, Some(phase));
    assert_eq!(status.observed_generation, Some(3));
}

#[test]
fn a_problem_that_needs_its_user_is_stalled_and_not_ready() {
    let pattern = pattern(json!({"pattern": "producer", "backend": "memstore"}));
    let facts = Facts {
        runner: ProgramFacts { deployment: Some(state(1, 1)), ..ProgramFacts::default() },
        ..Facts::default()
    };
    let plan = plan(&pattern, &facts).unwrap();
    let problem =
        Problem::Stalled { reason: condition::reason::NAME_CONFLICT, message: "rename it".to_owned() };
    let report = Report { problems: vec![problem], ..Report::default() };
    let status = status(&pattern, &plan, &facts, report, Timestamp::UNIX_EPOCH);
    assert!(is_true(&status.conditions, condition::STALLED));
    assert_eq!(find(&status.conditions, condition::READY).unwrap().reason, condition::reason::NAME_CONFLICT);
    assert_eq!(status.phase, Some(Phase::Degraded), "what runs, runs on");
}

#[test]
fn a_new_count_is_progress_and_a_new_reason_is_news() {
    let pattern = pattern(json!({"pattern": "producer", "backend": "memstore", "replicas": 3}));
    let at = |available| {
        let facts = Facts {
            runner: ProgramFacts { deployment: Some(state(3, available)), ..ProgramFacts::default() },
            ..Facts::default()
        };
        let plan = plan(&pattern, &facts).unwrap();
        status(&pattern, &plan, &facts, Report::default(), Timestamp::UNIX_EPOCH)
    };
    assert!(is_progress_only(&at(1), &at(2)));
    assert!(!is_progress_only(&at(2), &at(3)));
}

#[test]
fn no_address_of_a_backend_reaches_the_status() {
    let pattern = pattern(json!({"pattern": "keyvalue", "backend": "cache"}));
    let url = Some("redis://:canary-password@cache:6379".to_owned());
    let backend = BackendFacts { url, ..BackendFacts::default() };
    let facts = Facts { backends: [("cache".to_owned(), backend)].into(), ..Facts::default() };
    let plan = plan(&pattern, &facts).unwrap();
    let status = status(&pattern, &plan, &facts, Report::default(), Timestamp::UNIX_EPOCH);
    assert!(!json!(status).to_string().contains("canary"));
}

prop_compose! {
    fn any_spec()(
        kind in prop_oneof![Just(json!(null)), Just(json!("Deployment")), Just(json!("StatefulSet"))],
        backend in "[a-z]{1,8}",
        replicas in 0..20,
        max in prop::option::of(1..50),
        labels in prop::collection::btree_map("[a-z]{1,5}", "[a-z]{0,5}", 0..4),
        port in 1..65535,
        config in prop::collection::btree_map("[a-z]{1,5}", 0..9, 0..3),
    ) -> Value {
        let mut labels = labels;
        labels.insert("prism.io/pattern-instance".to_owned(), "stolen".to_owned());
        let mut spec = json!({
            "pattern": "keyvalue", "backend": backend, "replicas": replicas, "podLabels": labels,
            "service": {"port": port}, "config": config,
            "podTemplate": {"metadata": {"labels": {"prism.io/workload-kind": "stolen"}}},
        });
        if !kind.is_null() { spec = with(spec, "kind", kind); }
        if let Some(max) = max { spec = with(spec, "autoscaling", json!({"maxReplicas": max})); }
        spec
    }
}

proptest! {
    /// Whatever is edited, a workload selects its own pods and no others, and no autoscaler shares
    /// the replicas with the body.
    #[test]
    fn selectors_always_match_the_pods(spec in any_spec()) {
        let plan = planned(spec.clone());
        prop_assert_eq!(shown(&plan), shown(&planned(spec)), "the same spec gives the same children");
        let body = shown(&plan);
        let workload = &body["workload"][plan.pattern.kind.value.as_str()];
        let selector = workload["spec"]["selector"]["matchLabels"].as_object().unwrap();
        let pods = workload["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
        prop_assert!(selector.iter().all(|(key, value)| pods.get(key) == Some(value)));
        prop_assert_eq!(&selector["prism.io/pattern-instance"], "orders");
        prop_assert_eq!(selector.len(), 2);
        let has_scaler = !body["HorizontalPodAutoscaler"].is_null();
        prop_assert_eq!(has_scaler, workload["spec"]["replicas"].is_null());
    }
}
