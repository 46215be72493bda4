//! Plans of whole backends.

use k8s_openapi::{api::core::v1::EnvVar, jiff::Timestamp};
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
    let Children { service_account, workload, service, headless, budget, scaler } =
        &plan.server.as_ref().unwrap().program.children;
    let Workload::StatefulSet(workload) = workload else { panic!("a StatefulSet") };
    json!({
        "ServiceAccount": service_account, "StatefulSet": workload, "Service": service, "headless": headless,
        "PodDisruptionBudget": budget, "HorizontalPodAutoscaler": scaler,
    })
}

fn shown(plan: &Plan) -> Value {
    let secret = &plan.server.as_ref().unwrap().secret;
    json!({"backend": {"provider": plan.backend.provider, "endpoint": plan.backend.endpoint}, "Secret": secret, "children": children(plan)})
}

fn container(plan: &Plan) -> Value {
    children(plan)["StatefulSet"]["spec"]["template"]["spec"]["containers"][0].clone()
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
#[case::url(json!({"type": "redis", "connection": {"url": "cache:6379"}, "connectionString": "other"}), "redis", Some("redis://cache:6379"))]
#[case::connection_string(json!({"connectionString": "rediss://cache", "connection": {"host": "other"}}), "redis", Some("rediss://cache"))]
#[case::host(json!({"type": "nats", "connection": {"host": "queue"}}), "nats", Some("nats://queue:4222"))]
#[case::host_and_port(json!({"type": "kafka", "connection": {"host": "log", "port": 29092}}), "kafka", Some("log:29092"))]
#[case::database(json!({"type": "postgres", "connection": {"host": "db", "database": "orders"}}), "postgres", Some("postgres://db:5432/orders"))]
#[case::service(json!({"type": "redis", "serviceRef": {"name": "cache"}}), "redis", Some("redis://cache.shop.svc:7777"))]
#[case::port_of_a_service(json!({"type": "redis", "serviceRef": {"name": "cache", "namespace": "stores", "port": 1}}), "redis", Some("redis://cache.stores.svc:1"))]
#[case::provider_of_a_service(json!({"serviceRef": {"name": "cache"}}), "valkey", Some("cache.shop.svc:7777"))]
#[case::category(json!({"type": "database", "connection": {"url": "postgresql://db"}}), "postgres", Some("postgresql://db"))]
#[case::category_and_provider(json!({"type": "cache", "provider": "redis", "connectionString": "cache"}), "redis", Some("redis://cache"))]
#[case::by_its_name(json!({"type": "cache", "connectionString": "cache:1"}), "store", Some("cache:1"))]
#[case::a_server_of_ours(json!({"type": "postgres", "provision": {}}), "postgres", Some("postgres://store.shop.svc:5432"))]
#[case::a_server_that_is_not_wanted(json!({"type": "redis", "provision": {"enabled": false}}), "redis", None)]
#[case::a_password(json!({"connectionString": "redis://:canary@cache"}), "redis", Some("redis://cache"))]
fn where_a_backend_is(#[case] spec: Value, #[case] provider: &str, #[case] endpoint: Option<&str>) {
    let service =
        ServiceFacts { backend_type: Some("valkey".to_owned()), port: Some(7777), ..ServiceFacts::default() };
    let resolved = resolve(&backend("store", spec).spec, "store", "shop", Some(&service));
    assert_eq!((resolved.provider.as_str(), resolved.endpoint.as_deref()), (provider, endpoint));
}

#[test]
fn the_annotation_of_a_service_says_where_the_backend_is() {
    let spec = backend("store", json!({"serviceRef": {"name": "any", "namespace": "stores"}})).spec;
    let service = ServiceFacts {
        connection_string: Some("redis://:canary@cache:6379/0".to_owned()),
        ..ServiceFacts::default()
    };
    let resolved = resolve(&spec, "store", "shop", Some(&service));
    assert_eq!(resolved.endpoint.as_deref(), Some("redis://cache.stores.svc:6379/0"));
    assert_eq!(resolved.provider, "redis");
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

#[rstest]
#[case::kept_with_the_data(None, false)]
#[case::deleted_with_the_data(Some("Delete"), true)]
fn credentials_live_as_long_as_the_data(#[case] policy: Option<&str>, #[case] is_owned: bool) {
    let plan = planned(
        "store",
        json!({"type": "postgres", "deletionPolicy": policy, "provision": {"storage": "1Gi"}}),
    );
    let set = &children(&plan)["StatefulSet"]["spec"]["persistentVolumeClaimRetentionPolicy"];
    let secret = plan.server.unwrap().secret;
    assert_eq!(secret.metadata.owner_references.is_some(), is_owned);
    assert_eq!(set["whenDeleted"] == "Delete", is_owned);
    assert_eq!(
        secret.string_data.unwrap()["url"],
        format!("postgres://prism:{CANARY}@store.shop.svc:5432/prism")
    );
}

fn status_of(backend: &PrismBackend, facts: &Facts) -> PrismBackendStatus {
    let plan = plan(backend, facts).unwrap();
    status(backend, &plan, facts, Report::default(), Timestamp::UNIX_EPOCH)
}

const PROVIDED: &str = r#"{"type": "redis", "provision": {}}"#;

#[rstest]
#[case::it_runs(PROVIDED, Some(counts(1, 1)), ("True", reason::WORKLOAD_READY), BackendPhase::Ready)]
#[case::it_starts(PROVIDED, Some(counts(1, 0)), ("False", reason::WORKLOAD_PROGRESSING), BackendPhase::Unknown)]
#[case::it_is_not_there(PROVIDED, None, ("False", reason::WORKLOAD_PROGRESSING), BackendPhase::Unknown)]
#[case::it_is_stuck(PROVIDED, Some(WorkloadFacts { failure: Some("quota".to_owned()), ..counts(1, 0) }), ("False", reason::WORKLOAD_UNAVAILABLE), BackendPhase::Unhealthy)]
#[case::an_address(r#"{"connectionString": "redis://cache"}"#, None, ("Unknown", reason::NOT_PROBED), BackendPhase::Unknown)]
#[case::an_address_in_a_secret(r#"{"secretRef": {"name": "s", "keys": {"url": "u"}}}"#, None, ("Unknown", reason::NOT_PROBED), BackendPhase::Unknown)]
#[case::no_address(r#"{"type": "redis"}"#, None, ("False", reason::CONNECTION_MISSING), BackendPhase::Unknown)]
#[case::no_service(r#"{"serviceRef": {"name": "gone"}}"#, None, ("False", reason::CONNECTION_MISSING), BackendPhase::Unknown)]
#[case::not_provided(r#"{"type": "redis", "provision": {"enabled": false}}"#, None, ("False", reason::CONNECTION_MISSING), BackendPhase::Unknown)]
fn readiness(
    #[case] spec: &str,
    #[case] workload: Option<WorkloadFacts>,
    #[case] ready: (&str, &str),
    #[case] phase: BackendPhase,
) {
    let spec: Value = serde_json::from_str(spec).unwrap();
    let is_provided = spec == serde_json::from_str::<Value>(PROVIDED).unwrap();
    let status = status_of(&backend("store", spec), &workload.map_or_else(facts, live));
    let condition = find(&status.conditions, condition::READY).unwrap();
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ready);
    assert_eq!(status.phase, Some(phase));
    assert_eq!(find(&status.conditions, condition::BACKEND_HEALTHY).unwrap().status, "Unknown");
    let provisioned = find(&status.conditions, condition::PROVISIONED).map(|condition| &*condition.status);
    assert_eq!(provisioned, is_provided.then_some(ready.0));
}

#[test]
fn a_server_that_served_and_stopped_is_unhealthy() {
    let mut backend = backend("store", json!({"type": "redis", "provision": {}}));
    backend.status = Some(status_of(&backend, &live(counts(1, 1))));
    assert_eq!(status_of(&backend, &live(counts(1, 0))).phase, Some(BackendPhase::Unhealthy));
}

#[test]
fn a_refused_spec_is_stalled_and_what_was_said_of_the_server_stays() {
    let mut backend = backend("store", json!({"type": "redis", "provision": {}}));
    backend.status = Some(status_of(&backend, &live(counts(1, 1))));
    let invalid = Invalid::new("spec.provision.replicas", "set it to 1");
    let status = refused(&backend, &invalid, &live(counts(1, 1)), Timestamp::UNIX_EPOCH);
    assert_eq!(find(&status.conditions, condition::STALLED).unwrap().reason, reason::INVALID_SPEC);
    assert_eq!(find(&status.conditions, condition::PROVISIONED).unwrap().status, "True");
    assert_eq!(status.endpoint.as_deref(), Some("redis://store.shop.svc:6379"));
}

#[rstest]
#[case("redis")]
#[case("nats")]
#[case("postgres")]
#[case("minio")]
#[case("kafka")]
fn the_password_of_a_server_is_in_its_secret_only(#[case] provider: &str) {
    let backend = backend("store", json!({"type": provider, "provision": {}}));
    let plan = plan(&backend, &facts()).unwrap();
    assert!(!children(&plan).to_string().contains(CANARY));
    assert!(!json!(status_of(&backend, &facts())).to_string().contains(CANARY));
    assert!(json!(plan.server.unwrap().secret).to_string().contains(CANARY));
}

#[rstest]
#[case(json!({"connectionString": "redis://me:canary5Password@cache"}))]
#[case(json!({"connection": {"url": "redis://me:canary5Password/1@cache"}}))]
#[case(json!({"type": "redis", "serviceRef": {"name": "cache"}}))]
fn a_password_in_an_address_is_not_reported(#[case] spec: Value) {
    let backend = backend("store", spec);
    let service = ServiceFacts {
        connection_string: Some("redis://me:canary5Password@cache".to_owned()),
        ..ServiceFacts::default()
    };
    let facts = Facts { service: Some(service), ..facts() };
    let status = status_of(&backend, &facts);
    assert!(!json!(status).to_string().contains(CANARY));
    assert!(plan(&backend, &facts).unwrap().backend.address.unwrap().contains(CANARY), "pods need it");
}

#[test]
fn no_refusal_tells_a_password() {
    let spec = json!({"connectionString": "odd://me:canary5Password@cache", "type": "odd", "provision": {}});
    assert!(!refusal(spec, &facts()).contains(CANARY));
}

/// The variables of a pattern in `namespace` that uses the backend `store` of the namespace `shop`.
fn pattern_env(spec: Value, namespace: &str) -> Vec<EnvVar> {
    let pattern: PrismPattern = serde_json::from_value(json!({
        "apiVersion": "prism.io/v1alpha1", "kind": "PrismPattern",
        "metadata": {"name": "orders", "namespace": namespace},
        "spec": {"pattern": "keyvalue", "backend": "store"},
    }))
    .unwrap();
    let backend = BackendFacts::new(&backend("store", spec).spec, "store", "shop", None);
    let facts =
        pattern::Facts { backends: [("store".to_owned(), backend)].into(), ..pattern::Facts::default() };
    match pattern::plan(&pattern, &facts).unwrap().runner.children.workload {
        Workload::Deployment(object) => object.spec.unwrap().template.spec.unwrap().containers[0].env.clone(),
        Workload::StatefulSet(object) => {
            object.spec.unwrap().template.spec.unwrap().containers[0].env.clone()
        }
    }
    .unwrap()
}

/// The value of a variable, or `secret/key`.
fn value(env: &[EnvVar], name: &str) -> String {
    let variable =
        env.iter().find(|variable| variable.name == name).unwrap_or_else(|| panic!("{name} is missing"));
    variable.value.clone().unwrap_or_else(|| {
        let key = variable.value_from.clone().unwrap().secret_key_ref.unwrap();
        format!("{}/{}", key.name, key.key)
    })
}

#[rstest]
#[case::redis("redis", "REDIS_URL", "store-credentials/url", "REDIS_PASSWORD")]
#[case::nats("nats", "NATS_URL", "store-credentials/url", "NATS_PASSWORD")]
#[case::postgres("postgres", "DATABASE_URL", "store-credentials/url", "POSTGRES_PASSWORD")]
#[case::minio("minio", "S3_ENDPOINT", "http://store.shop.svc:9000", "S3_SECRET_KEY")]
#[case::kafka("kafka", "KAFKA_BROKERS", "store.shop.svc:9092", "KAFKA_PASSWORD")]
fn patterns_find_a_server_of_ours(
    #[case] provider: &str,
    #[case] address: &str,
    #[case] expected: &str,
    #[case] password: &str,
) {
    let env = pattern_env(json!({"type": provider, "provision": {}}), "shop");
    assert_eq!(value(&env, address), expected);
    assert_eq!(value(&env, "CONNECTION_STRING"), expected);
    assert_eq!(value(&env, password), "store-credentials/password");
}

#[test]
fn the_secret_of_a_backend_serves_the_patterns_of_its_namespace() {
    let spec = json!({"connectionString": "redis://cache", "secretRef": {"name": "login"}});
    assert_eq!(value(&pattern_env(spec.clone(), "shop"), "REDIS_PASSWORD"), "login/password");
    assert!(pattern_env(spec, "other").iter().all(|variable| variable.name != "REDIS_PASSWORD"));
}

#[test]
fn long_names_become_names_that_kubernetes_takes() {
    let plan = planned(&"s".repeat(63), json!({"type": "nats", "provision": {"replicas": 3}}));
    let server = plan.server.as_ref().unwrap();
    assert_eq!(server.name.len(), 52);
    assert!(plan.backend.endpoint.as_ref().unwrap().contains(&server.name));
}
