//! What a status says.

use super::*;

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
