//! Where a backend is, and what it is.

use super::*;

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
    let service = ServiceFacts {
        backend_type: Some("valkey".to_owned()),
        ports: vec![7777],
        ..ServiceFacts::default()
    };
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
