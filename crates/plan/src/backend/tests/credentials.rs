//! Where credentials go, and where they do not.

use super::*;

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
        String::from_utf8(secret.data.unwrap()["url"].0.clone()).unwrap(),
        format!("postgres://prism:{CANARY}@store.shop.svc:5432/prism")
    );
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
    let data = plan.server.unwrap().secret.data.unwrap();
    assert!(data.values().any(|value| value.0 == CANARY.as_bytes()));
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
    let facts = Facts { service: ServiceView::Found(service), ..facts() };
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
    let backend = BackendFacts::new(&backend("store", spec).spec, "store", "shop", &ServiceView::None);
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

#[rstest]
#[case::redis(json!({"type": "redis", "provision": {}}))]
#[case::one_nats(json!({"type": "nats", "provision": {}}))]
#[case::several_nats(json!({"type": "nats", "provision": {"replicas": 3}}))]
#[case::postgres(json!({"type": "postgres", "provision": {}}))]
#[case::minio(json!({"type": "minio", "provision": {}}))]
#[case::kafka(json!({"type": "kafka", "provision": {}}))]
fn the_kubelet_writes_no_password_into_an_argument(#[case] spec: Value) {
    let plan = planned("store", spec);
    let container = &children(&plan)["StatefulSet"]["spec"]["template"]["spec"]["containers"][0];
    let secret: Vec<&str> = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|variable| variable["valueFrom"]["secretKeyRef"].is_object())
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    assert!(!secret.is_empty());
    let words = json!([container["command"], container["args"]]).to_string();
    for name in secret {
        assert!(!words.contains(&format!("$({name})")), "{name} is expanded into {words}");
    }
}
