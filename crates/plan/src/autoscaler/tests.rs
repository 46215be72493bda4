//! From a `PrismAutoscaler` to what scales.

use prism_api::{
    autoscaler::{PrismAutoscaler, PrismAutoscalerSpec},
    condition::{self, reason},
    pattern::ActiveScaler,
    scaling::{MetricReading, ScalingDecision},
    workload::WorkloadKind,
};
use serde_json::{Value, json};

use super::*;
use crate::{
    conditions::find,
    report::Report,
    scaling::{Obstacle, Outlets, Source},
};

fn autoscaler(spec: Value) -> PrismAutoscaler {
    let spec: PrismAutoscalerSpec = serde_json::from_value(spec).unwrap();
    let mut object = PrismAutoscaler::new("orders-scaler", spec);
    object.metadata.namespace = Some("shop".to_owned());
    object.metadata.uid = Some("u".to_owned());
    object
}

fn by_lag(more: &Value) -> PrismAutoscaler {
    let mut spec = json!({
        "targetRef": {"kind": "StatefulSet", "name": "orders"}, "minReplicas": 2, "maxReplicas": 50,
        "metrics": [{"type": "AdminMetric", "adminMetric": {
            "metricName": "pattern.consumer.lag", "target": {"type": "AverageValue", "averageValue": "1000"},
        }}],
    });
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    autoscaler(spec)
}

fn facts() -> Facts {
    Facts {
        target: Some((WorkloadKind::StatefulSet, "orders".to_owned())),
        scaling: ScalingFacts { keda_is_served: true, desired: Some(3), ..ScalingFacts::default() },
        admin: Some("prism-admin.shop.svc:8981".to_owned()),
    }
}

fn scaled(object: &PrismAutoscaler, facts: &Facts) -> ScalingPlan {
    plan(object, facts).unwrap().scaling.unwrap().1
}

#[test]
fn the_operator_looks_at_what_the_spec_names() {
    let plan = scaled(&by_lag(&json!({})), &facts());
    let assignment = plan.assignment.unwrap();
    assert_eq!((assignment.target.kind.as_str(), assignment.target.name.as_str()), ("StatefulSet", "orders"));
    let source = Source::Admin {
        endpoint: facts().admin,
        namespace: "shop".to_owned(),
        pattern: "orders".to_owned(),
        metric: "pattern.consumer.lag".to_owned(),
        rate: None,
    };
    assert_eq!(assignment.sources, [source]);
    assert_eq!(plan.scalers, crate::scaling::Scalers::default());
}

#[test]
fn a_query_names_pattern_and_metric_of_an_endpoint() {
    let metric = json!([{"type": "AdminMetric", "adminMetric": {
        "endpoint": "prism-admin:8981", "query": {"pattern": "mailbox-users", "metric": "queue_depth"},
        "target": {"averageValue": "100"},
    }}]);
    let plan = scaled(&by_lag(&json!({"metrics": metric})), &facts());
    let source = Source::Admin {
        endpoint: Some("prism-admin:8981".to_owned()),
        namespace: "shop".to_owned(),
        pattern: "mailbox-users".to_owned(),
        metric: "queue_depth".to_owned(),
        rate: None,
    };
    assert_eq!(plan.assignment.unwrap().sources, [source]);
}

#[test]
fn a_time_target_needs_a_rate_and_finds_the_usual_one() {
    let target = json!([{"type": "AdminMetric", "adminMetric": {
        "metricName": "pattern.consumer.lag", "target": {"drainWithin": "20s"},
    }}]);
    let plan = scaled(&by_lag(&json!({"metrics": target})), &facts());
    let sources = plan.assignment.unwrap().sources;
    let usual = |source: &Source| matches!(source, Source::Admin { rate: Some(rate), .. } if rate == "pattern.consumer.throughput");
    assert!(sources.iter().all(usual), "{sources:?}");

    let query = json!([{"type": "Prometheus", "prometheus": {
        "serverAddress": "http://prometheus:9090", "query": "sum(lag)", "target": {"drainWithin": "20s"},
    }}]);
    let refused = super::plan(&by_lag(&json!({"metrics": query})), &facts()).unwrap_err();
    assert_eq!(refused.field, "spec.metrics[0].prometheus.target.rate");
    let exported = json!({"metrics": target, "via": "hpa"});
    let refused = super::plan(&by_lag(&exported), &facts()).unwrap_err();
    assert_eq!(refused.field, "spec.metrics[0]");
}

#[test]
fn others_ask_the_operator_where_the_spec_wants_them_to() {
    let by_keda = by_lag(&json!({"via": "keda"}));
    assert!(matches!(scaled(&by_keda, &facts()).obstacle, Some(Obstacle::OutletClosed(_))));
    let mut open = facts();
    open.scaling.outlets = Outlets {
        external_scaler: Some(("prism-operator.prism.svc:9091".to_owned(), "certificate".to_owned())),
        external_metrics_closed: None,
    };
    let plan = scaled(&by_keda, &open);
    assert_eq!(plan.assignment, None, "KEDA decides");
    insta::assert_yaml_snapshot!(
        "via_keda",
        json!({
            "ScaledObject": plan.scalers.scaled_object,
            "TriggerAuthentications": plan.scalers.authentications,
            "ConfigMap": plan.scalers.trust,
        })
    );
    let plan = scaled(&by_lag(&json!({"via": "hpa"})), &open);
    assert_eq!(plan.assignment, None, "the autoscaler decides");
    insta::assert_yaml_snapshot!("via_hpa", json!({"HorizontalPodAutoscaler": plan.scalers.autoscaler}));
    let shadow = by_lag(&json!({"via": "hpa", "mode": "Shadow"}));
    let plan = scaled(&shadow, &open);
    assert!(plan.scalers.autoscaler.is_none() && plan.assignment.is_some_and(|one| one.is_shadow));
}

fn assessed(facts: &Facts) -> prism_api::PrismAutoscalerStatus {
    let object = by_lag(&json!({}));
    let now = k8s_openapi::jiff::Timestamp::UNIX_EPOCH;
    status(&object, &plan(&object, facts).unwrap(), facts, Report::default(), now)
}

#[test]
fn the_status_says_what_the_last_look_came_to() {
    let judged = |facts: &Facts| {
        let conditions = assessed(facts).conditions;
        let ready = find(&conditions, condition::READY).unwrap();
        (ready.status.clone(), ready.reason.clone())
    };
    let owned = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
    assert_eq!(judged(&facts()), owned("Unknown", reason::PROGRESSING));
    assert_eq!(judged(&Facts { target: None, ..facts() }), owned("False", reason::TARGET_NOT_FOUND));

    let mut looked = facts();
    let reading = MetricReading { name: "lag".to_owned(), ..MetricReading::default() };
    let decision = ScalingDecision {
        desired_replicas: 7,
        current_replicas: 3,
        scaler: Some(ActiveScaler::Admin),
        metrics: vec![reading.clone()],
        ..ScalingDecision::default()
    };
    looked.scaling.decision = Some(decision.clone());
    assert_eq!(judged(&looked), owned("True", reason::METRICS_READ));
    assert_eq!(assessed(&looked).desired_replicas, Some(7));
    let error = Some("no answer within 5 s".to_owned());
    looked.scaling.decision =
        Some(ScalingDecision { metrics: vec![MetricReading { error, ..reading }], ..decision });
    assert_eq!(judged(&looked), owned("False", reason::METRICS_UNAVAILABLE));
}
