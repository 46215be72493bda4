//! Plans of whole backends.

mod credentials;
mod readiness;
mod whereabouts;

use k8s_openapi::{ByteString, api::core::v1::EnvVar, jiff::Timestamp};
use prism_api::{
    backend::{BackendPhase, PrismBackendStatus},
    condition::{self, reason},
    labels,
    pattern::PrismPattern,
};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::{
    conditions::find,
    pattern::{self, BackendFacts},
    program::{Children, Claim, ProgramFacts, Workload, WorkloadFacts},
    report::Report,
};

const CANARY: &str = "canary5Password";

fn backend(name: &str, spec: impl Into<Value>) -> PrismBackend {
    serde_json::from_value(json!({
        "apiVersion": "prism.io/v1alpha1", "kind": "PrismBackend",
        "metadata": {
            "name": name, "namespace": "shop", "uid": "0000-1111", "generation": 3,
            "labels": {"prism.io/stack": "main"},
        },
        "spec": spec.into(),
    }))
    .unwrap()
}

fn facts() -> Facts {
    Facts { password: CANARY.to_owned(), ..Facts::default() }
}

fn live(workload: WorkloadFacts) -> Facts {
    Facts { server: ProgramFacts { stateful_set: Some(workload), ..ProgramFacts::default() }, ..facts() }
}

fn counts(desired: i32, available: i32) -> WorkloadFacts {
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

fn planned(name: &str, spec: impl Into<Value>) -> Plan {
    plan(&backend(name, spec), &facts()).unwrap()
}

fn refusal(spec: Value, facts: &Facts) -> String {
    plan(&backend("store", spec), facts).unwrap_err().to_string()
}

/// All children but the Secret, by kind.
fn children(plan: &Plan) -> Value {
    let Children { service_account, workload, service, headless, budget, scalers } =
        &plan.server.as_ref().unwrap().program.children;
    let Workload::StatefulSet(workload) = workload else { panic!("a StatefulSet") };
    json!({
        "ServiceAccount": service_account, "StatefulSet": workload, "Service": service, "headless": headless,
        "PodDisruptionBudget": budget, "HorizontalPodAutoscaler": scalers.autoscaler,
    })
}

fn shown(plan: &Plan) -> Value {
    let mut secret = json!(plan.server.as_ref().unwrap().secret);
    let text = |value: &ByteString| String::from_utf8(value.0.clone()).unwrap();
    let data = plan.server.as_ref().unwrap().secret.data.iter().flatten();
    secret["data"] =
        data.map(|(key, value)| (key.clone(), json!(text(value)))).collect::<serde_json::Map<_, _>>().into();
    json!({"backend": {"provider": plan.backend.provider, "endpoint": plan.backend.endpoint}, "Secret": secret, "children": children(plan)})
}

fn container(plan: &Plan) -> Value {
    children(plan)["StatefulSet"]["spec"]["template"]["spec"]["containers"][0].clone()
}

fn status_of(backend: &PrismBackend, facts: &Facts) -> PrismBackendStatus {
    let plan = plan(backend, facts).unwrap();
    status(backend, &plan, facts, Report::default(), Timestamp::UNIX_EPOCH)
}

#[rstest]
#[case::redis("redis", json!({"storage": "10Gi", "storageClass": "fast", "resources": {"limits": {"memory": "1Gi"}}}))]
#[case::nats("nats", json!({"replicas": 3, "storage": "5Gi"}))]
#[case::postgres("postgres", json!({"storage": "20Gi", "database": "orders"}))]
#[case::minio("minio", json!({"replicas": 4, "storage": "50Gi"}))]
#[case::kafka("kafka", json!({"replicas": 4}))]
fn a_provisioned_server(#[case] provider: &str, #[case] provision: Value) {
    let spec = json!({"type": provider, "provision": provision, "deletionPolicy": "Delete"});
    insta::assert_yaml_snapshot!(format!("{provider}_server"), shown(&planned("store", spec)));
}

#[rstest]
#[case::one_redis(json!({"type": "redis", "provision": {"replicas": 2}}), "spec.provision.replicas")]
#[case::one_postgres(json!({"type": "postgres", "provision": {"replicas": 3}}), "spec.provision.replicas")]
#[case::no_pair_of_minio(json!({"type": "minio", "provision": {"replicas": 2}}), "spec.provision.replicas")]
#[case::no_prime_of_minio(json!({"type": "minio", "provision": {"replicas": 17}}), "spec.provision.replicas")]
#[case::an_unknown_product(json!({"type": "mysql", "provision": {}}), "spec.type")]
fn what_cannot_be_provided_is_refused(#[case] spec: Value, #[case] field: &str) {
    let refusal = refusal(spec, &facts());
    assert!(refusal.starts_with(&format!("{field}: ")), "{refusal}");
}

#[test]
fn the_number_of_servers_that_share_data_stays() {
    let notes = [(labels::MEMBERS.to_owned(), "4".to_owned())].into();
    let facts = live(WorkloadFacts { notes, ..counts(4, 4) });
    let spec = |replicas: i32| json!({"type": "minio", "provision": {"replicas": replicas}});
    assert!(refusal(spec(8), &facts).contains("set it back to 4"));
    let paused = plan(&backend("store", spec(0)), &facts).unwrap();
    assert_eq!(children(&paused)["StatefulSet"]["metadata"]["annotations"][labels::MEMBERS], "4");
    assert!(container(&paused)["args"].to_string().contains("{0...3}"));
}

#[rstest]
#[case::one_stays_alone(1, 3, false)]
#[case::a_cluster_stays_one(3, 1, false)]
#[case::a_cluster_grows(3, 5, true)]
#[case::a_cluster_pauses(3, 0, true)]
fn streams_are_not_lost_by_scaling(#[case] before: i32, #[case] replicas: i32, #[case] is_accepted: bool) {
    let notes = [(labels::MEMBERS.to_owned(), before.to_string())].into();
    let facts = live(WorkloadFacts { notes, claims: vec![Claim::default()], ..counts(before, before) });
    let spec = json!({"type": "nats", "provision": {"replicas": replicas, "storage": "1Gi"}});
    assert_eq!(plan(&backend("store", spec), &facts).is_ok(), is_accepted);
}

#[test]
fn a_server_does_not_become_another_product() {
    let mut backend = backend("store", json!({"type": "redis", "provision": {}}));
    backend.status = Some(status_of(&backend, &live(counts(1, 1))));
    backend.spec.type_ = Some("postgres".to_owned());
    let invalid = plan(&backend, &live(counts(1, 1))).unwrap_err();
    assert_eq!(invalid.field, "spec.type");
    let refused = refused(&backend, &invalid, &live(counts(1, 1)), Timestamp::UNIX_EPOCH);
    assert_eq!(refused.provider.as_deref(), Some("redis"), "what runs is still that");
    assert!(plan(&backend, &facts()).is_ok(), "nothing runs, so nothing can be lost");
}

#[rstest]
#[case::by_default(json!({}), "docker.io/library/redis:7.4.2-alpine")]
#[case::the_tested_one(json!({"version": "latest"}), "docker.io/library/redis:7.4.2-alpine")]
#[case::a_version(json!({"version": "6.2"}), "docker.io/library/redis:6.2")]
#[case::an_image(json!({"version": "6.2", "image": "example.com/valkey:8"}), "example.com/valkey:8")]
fn the_image_of_a_server(#[case] provision: Value, #[case] expected: &str) {
    let plan = planned("store", json!({"type": "redis", "provision": provision}));
    assert_eq!(container(&plan)["image"], expected);
}

#[rstest]
#[case::shrinking("512Mi", None, "spec.provision.storage:")]
#[case::another_class("1Gi", Some("fast"), "spec.provision.storageClass cannot change")]
fn messages_about_volumes_name_the_fields_of_the_spec(
    #[case] size: &str,
    #[case] class: Option<&str>,
    #[case] expected: &str,
) {
    let claims = vec![Claim {
        name: "data".to_owned(),
        size: "1Gi".to_owned(),
        access_modes: vec!["ReadWriteOnce".to_owned()],
        ..Claim::default()
    }];
    let facts = live(WorkloadFacts { claims, ..counts(1, 1) });
    let backend =
        backend("store", json!({"type": "redis", "provision": {"storage": size, "storageClass": class}}));
    let status = status_of(&backend, &facts);
    let stalled = find(&status.conditions, condition::STALLED).unwrap();
    assert!(stalled.message.starts_with(expected), "{}", stalled.message);
}

#[test]
fn long_names_become_names_that_kubernetes_takes() {
    let plan = planned(&"s".repeat(63), json!({"type": "nats", "provision": {"replicas": 3}}));
    let server = plan.server.as_ref().unwrap();
    assert_eq!(server.program.program.name.len(), 52);
    assert!(plan.backend.endpoint.as_ref().unwrap().contains(&server.program.program.name));
}
