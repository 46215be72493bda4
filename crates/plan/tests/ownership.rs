//! Whose the replicas of a workload are, and with how many it begins.

// In a test, what is not as expected ends it.
#![allow(clippy::unwrap_used)]

use k8s_openapi::{
    api::autoscaling::v2::{HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus},
    jiff::Timestamp,
};
use prism_api::{
    PrismAutoscaler, PrismBackend, PrismPattern, PrismStack,
    condition::{self, reason},
    workload::WorkloadKind,
};
use prism_plan::{
    autoscaler, backend,
    conditions::find,
    pattern,
    program::{ProgramFacts, ProgramPlan, Workload, WorkloadFacts},
    report::Report,
    scaling::{Holder, Obstacle, ScalerFacts, SeenScaler},
    stack,
};
use rstest::rstest;
use serde_json::{Value, json};

fn object<K: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: impl Into<Value>) -> K {
    serde_json::from_value(json!({
        "apiVersion": "prism.io/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": "0000-1111", "generation": 3},
        "spec": spec.into(),
    }))
    .unwrap()
}

/// A `HorizontalPodAutoscaler` of somebody else.
fn foreign(mut facts: ProgramFacts) -> ProgramFacts {
    let seen = (HorizontalPodAutoscalerSpec::default(), HorizontalPodAutoscalerStatus::default());
    facts.scaling.scalers.push(ScalerFacts {
        name: "theirs".to_owned(),
        holder: Holder::Other,
        seen: SeenScaler::Autoscaler(Box::new(seen)),
    });
    facts
}

fn claimed(mut facts: ProgramFacts) -> ProgramFacts {
    facts.scaling.claimed_by = Some("theirs".to_owned());
    facts
}

fn running(desired: i32, available: i32) -> WorkloadFacts {
    WorkloadFacts {
        is_observed: true,
        desired,
        replicas: desired,
        available,
        updated: desired,
        ..WorkloadFacts::default()
    }
}

fn replicas(plan: &ProgramPlan) -> Option<i32> {
    match &plan.children.workload {
        Workload::Deployment(object) => object.spec.as_ref()?.replicas,
        Workload::StatefulSet(object) => object.spec.as_ref()?.replicas,
    }
}

#[rstest]
#[case::a_scaler_of_somebody_else(foreign(ProgramFacts::default()), true)]
#[case::a_prism_autoscaler(claimed(ProgramFacts::default()), false)]
fn the_admin_keeps_its_replicas_whoever_scales_it(#[case] admin: ProgramFacts, #[case] is_told: bool) {
    let stack: PrismStack = object("PrismStack", "main", json!({"admin": {"replicas": 5}}));
    let facts = stack::Facts { admin, ..stack::Facts::default() };
    let plan = stack::plan(&stack, &facts).unwrap();
    assert_eq!(replicas(&plan.admin.as_ref().unwrap().program), Some(5));
    let status = stack::status(&stack, &plan, &facts, Report::default(), Timestamp::UNIX_EPOCH);
    let conflict = find(&status.conditions, condition::SCALER_CONFLICT);
    assert_eq!(conflict.is_some(), is_told);
    if let Some(conflict) = conflict {
        assert_eq!((conflict.status.as_str(), conflict.reason.as_str()), ("True", reason::FOREIGN_SCALER));
        assert_eq!(
            conflict.message,
            "admin: HorizontalPodAutoscaler theirs names StatefulSet main-admin, whose replicas only spec.admin.replicas sets: what it writes is set back; delete it"
        );
    }
}

#[rstest]
fn a_provided_server_keeps_its_replicas_whoever_scales_it(
    #[values("postgres", "kafka", "nats", "minio", "redis")] provider: &str,
    #[values(foreign, claimed)] scaled: fn(ProgramFacts) -> ProgramFacts,
) {
    let backend: PrismBackend =
        object("PrismBackend", "data", json!({"type": provider, "provision": {"replicas": 1}}));
    let server = scaled(ProgramFacts { stateful_set: Some(running(3, 3)), ..ProgramFacts::default() });
    let facts = backend::Facts { server, password: "drawn".to_owned(), ..backend::Facts::default() };
    let plan = backend::plan(&backend, &facts).unwrap();
    assert_eq!(replicas(&plan.server.as_ref().unwrap().program), Some(1));
    let status = backend::status(&backend, &plan, &facts, Report::default(), Timestamp::UNIX_EPOCH);
    let conflict = find(&status.conditions, condition::SCALER_CONFLICT);
    assert_eq!(conflict.is_some(), !facts.server.scaling.scalers.is_empty());
    assert!(conflict.is_none_or(|conflict| conflict.message.contains("spec.provision.replicas")));
}

#[rstest]
#[case::one_that_scales(json!({"metrics": [lag()]}), true)]
#[case::one_that_only_watches(json!({"mode": "Shadow", "metrics": [lag()]}), false)]
#[case::one_without_a_metric(json!({"metrics": []}), false)]
#[case::one_that_contradicts_itself(json!({"minReplicas": 9, "maxReplicas": 3, "metrics": [lag()]}), false)]
fn only_an_autoscaler_that_can_be_followed_takes_the_replicas(#[case] mut spec: Value, #[case] claims: bool) {
    spec["targetRef"] = json!({"kind": "Deployment", "name": "orders"});
    let scaler: PrismAutoscaler = object("PrismAutoscaler", "scaler", spec);
    assert_eq!(autoscaler::claims(&scaler, Timestamp::UNIX_EPOCH), claims);
}

fn lag() -> Value {
    json!({"type": "AdminMetric", "adminMetric": {"metricName": "pattern.consumer.lag", "target": {"averageValue": "10"}}})
}

/// A consumer as a `StatefulSet`, after `last` replicas were recorded.
fn consumer(more: &Value, last: Option<i32>, runner: ProgramFacts) -> ProgramPlan {
    let mut spec = json!({"pattern": "consumer", "backend": "kafka", "kind": "StatefulSet"});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut pattern: PrismPattern = object("PrismPattern", "orders", spec);
    pattern.status = last.map(|last| prism_api::PrismPatternStatus {
        desired_replicas: Some(last),
        ..prism_api::PrismPatternStatus::default()
    });
    pattern::plan(&pattern, &pattern::Facts { runner, ..pattern::Facts::default() }).unwrap().runner
}

fn own(max: i32) -> Value {
    json!({"autoscaling": {"minReplicas": 1, "maxReplicas": max}})
}

#[rstest]
#[case::in_another_kind_under_somebody_elses(json!({}), None, foreign, 20, 20)]
#[case::in_another_kind_under_a_prism_autoscaler(json!({}), None, claimed, 20, 20)]
#[case::after_its_deletion_under_somebody_elses(json!({}), Some(20), foreign, 0, 20)]
#[case::under_its_own(own(50), Some(20), std::convert::identity, 0, 20)]
#[case::within_the_limits_of_its_own(own(7), None, std::convert::identity, 20, 7)]
#[case::where_nobody_scales(json!({"replicas": 3}), Some(20), std::convert::identity, 20, 3)]
fn a_workload_that_is_made_anew_begins_with_as_many_as_ran(
    #[case] spec: Value,
    #[case] last: Option<i32>,
    #[case] scaled: fn(ProgramFacts) -> ProgramFacts,
    #[case] before: i32,
    #[case] seed: i32,
) {
    let deployment = Some(running(before, before)).filter(|_| before > 0);
    let runner = scaled(ProgramFacts { deployment, ..ProgramFacts::default() });
    assert_eq!(consumer(&spec, last, runner).program.replicas, seed);
}

#[test]
fn a_proxy_that_is_made_anew_begins_with_as_many_as_were_recorded() {
    let mut stack: PrismStack = object(
        "PrismStack",
        "main",
        json!({"proxy": {"storage": {"size": "2Gi"}, "autoscaling": {"maxReplicas": 20}}}),
    );
    let recorded =
        json!({"components": [{"name": "proxy", "kind": "StatefulSet", "ready": true, "replicas": 9}]});
    stack.status = Some(serde_json::from_value(recorded).unwrap());
    let plan = stack::plan(&stack, &stack::Facts::default()).unwrap();
    assert_eq!(plan.proxy.unwrap().program.program.replicas, 9);
}

#[rstest]
#[case::one_of_twenty_is_not_enough(json!({}), foreign, 1, true)]
#[case::nineteen_are_not(json!({}), foreign, 19, true)]
#[case::twenty_are(json!({}), foreign, 20, false)]
#[case::its_own_scaler_runs_no_more(own(7), std::convert::identity, 7, false)]
#[case::the_spec_asks_for_no_more(json!({"replicas": 2}), std::convert::identity, 2, false)]
fn the_predecessor_goes_when_as_many_are_available(
    #[case] spec: Value,
    #[case] scaled: fn(ProgramFacts) -> ProgramFacts,
    #[case] available: i32,
    #[case] stays: bool,
) {
    let runner = scaled(ProgramFacts {
        deployment: Some(running(20, 20)),
        // What it asks for itself does not count: a scaler may have judged it by few pods.
        stateful_set: Some(running(available, available)),
        ..ProgramFacts::default()
    });
    assert_eq!(consumer(&spec, None, runner).keep, stays.then_some(WorkloadKind::Deployment));
}

#[test]
fn nothing_scales_a_successor_before_its_predecessor_has_gone() {
    let facts = |available| ProgramFacts {
        deployment: Some(running(20, 20)),
        stateful_set: Some(running(20, available)),
        ..ProgramFacts::default()
    };
    let waiting = consumer(&own(50), None, facts(3));
    assert!(waiting.children.scalers.autoscaler.is_none());
    assert!(matches!(waiting.scaling.obstacle, Some(Obstacle::HandingOver(_))));
    assert!(consumer(&own(50), None, facts(20)).children.scalers.autoscaler.is_some());
}
