//! What autoscalers ask: the aggregated API `external.metrics.k8s.io/v1beta1`.
//!
//! <https://github.com/kubernetes/design-proposals-archive/blob/main/instrumentation/external-metrics-api.md>
//!
//! `/openapi` is not served: the API server takes a 404 for a group without a schema, and is silent.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Json, Router,
    extract::{ConnectInfo, Path, Query, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use prism_api::labels;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{
    access::Access,
    front_proxy::{FrontProxy, Requester},
    listener::{Listener, Peer},
    question::{Catalogue, Measured, Question, Unanswered, measure},
    tls::{Terms, accept},
};

/// The group.
pub(super) const GROUP: &str = "external.metrics.k8s.io";
/// Its version.
pub(super) const VERSION: &str = "v1beta1";
/// The protocol that is spoken.
pub(super) const PROTOCOL: &[u8] = b"http/1.1";

/// What requests are answered from.
pub(super) struct Desk<C> {
    /// The metrics.
    pub(super) catalogue: Arc<C>,
    /// By what the API server is known; `None`: not yet.
    pub(super) front_proxy: watch::Receiver<Option<FrontProxy>>,
    /// Who may read what.
    pub(super) access: Access,
}

/// Answers the API server on `listener` until `shutdown`.
pub(super) async fn serve<C: Catalogue>(
    listener: TcpListener,
    terms: watch::Receiver<Terms>,
    desk: Desk<C>,
    shutdown: CancellationToken,
) {
    let desk = Arc::new(desk);
    let routes = Router::new()
        .route("/apis", get(async || Json(groups())))
        .route(&format!("/apis/{GROUP}"), get(async || Json(group())))
        .route(&format!("/apis/{GROUP}/{VERSION}"), get(async || Json(resources())))
        .route(&format!("/apis/{GROUP}/{VERSION}/namespaces/{{namespace}}/{{metric}}"), get(metric::<C>))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "the server has no such resource"))
        .layer(from_fn_with_state(desk.clone(), authenticate::<C>))
        .with_state(desk);
    let connections = accept(listener, terms, shutdown.clone());
    let serving = axum::serve(Listener(connections), routes.into_make_service_with_connect_info::<Peer>())
        .with_graceful_shutdown(shutdown.cancelled_owned());
    if let Err(error) = serving.await {
        tracing::error!(%error, "Autoscalers are answered no more");
    }
}

/// Lets the API server pass, and nobody else: what a header says counts from its hand only.
async fn authenticate<C: Catalogue>(
    State(desk): State<Arc<Desk<C>>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(certificate) = &peer.certificate else {
        return refusal(StatusCode::UNAUTHORIZED, "ask through the API server, which shows its certificate");
    };
    let front_proxy = desk.front_proxy.borrow().clone();
    let Some(front_proxy) = front_proxy.filter(|proxy| proxy.is_proxy(certificate)) else {
        return refusal(StatusCode::FORBIDDEN, "the certificate is not that of the API server");
    };
    let Some(requester) = front_proxy.requester(request.headers()) else {
        return refusal(StatusCode::UNAUTHORIZED, "the API server does not say for whom it asks");
    };
    request.extensions_mut().insert(requester);
    next.run(request).await
}

/// Parameters of a list, as far as they mean anything here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    #[serde(default)]
    label_selector: String,
}

async fn metric<C: Catalogue>(
    State(desk): State<Arc<Desk<C>>>,
    Extension(requester): Extension<Requester>,
    Path((namespace, metric)): Path<(String, String)>,
    Query(Parameters { label_selector }): Query<Parameters>,
) -> Response {
    match desk.access.allows(&requester, &namespace, &metric).await {
        Ok(true) => {}
        Ok(false) => {
            let Requester { user, .. } = requester;
            let message = format!("{user} cannot list {metric} of {GROUP} in the namespace {namespace}");
            return refusal(StatusCode::FORBIDDEN, &message);
        }
        Err(error) => {
            let message = format!("the API server does not say whether that is allowed: {error}");
            return refusal(StatusCode::SERVICE_UNAVAILABLE, &message);
        }
    }
    match values(desk.catalogue.as_ref(), namespace, &metric, &label_selector).await {
        Ok(values) => Json(values).into_response(),
        Err(Unanswered::Unclear(message)) => refusal(StatusCode::BAD_REQUEST, &message),
        Err(Unanswered::Unknown(message)) => refusal(StatusCode::NOT_FOUND, &message),
        Err(Unanswered::Unreadable(message)) => refusal(StatusCode::SERVICE_UNAVAILABLE, &message),
    }
}

/// An `ExternalMetricValueList` with one item, the metric as a whole: an autoscaler adds the items up.
async fn values(
    catalogue: &impl Catalogue,
    namespace: String,
    metric: &str,
    selector: &str,
) -> Result<Value, Unanswered> {
    let found = catalogue.find(&question(namespace, selector)?)?;
    // The list may have changed since the autoscaler was written: another metric's value would be a wrong one.
    if found.export.name != metric {
        return Err(Unanswered::Unknown(format!("the metric is {} by now", found.export.name)));
    }
    let Measured { value, measured_at } = measure(catalogue, &found).await?;
    Ok(json!({
        "kind": "ExternalMetricValueList",
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "metadata": {},
        "items": [{
            "metricName": metric,
            "metricLabels": found.export.labels,
            "timestamp": measured_at.to_string(),
            "value": quantity(value),
        }],
    }))
}

/// What a label selector asks for, of the form that the operator gives its autoscalers.
fn question(namespace: String, selector: &str) -> Result<Question, Unanswered> {
    let unclear = |message: String| Unanswered::Unclear(message);
    let mut pairs = BTreeMap::new();
    for requirement in selector.split(',').filter(|requirement| !requirement.is_empty()) {
        let (key, value) = requirement
            .split_once('=')
            .filter(|(key, _)| !key.ends_with('!'))
            .ok_or_else(|| unclear(format!("{requirement} is not of the form key=value")))?;
        pairs.insert(key, value.trim_start_matches('='));
    }
    let mut text = |key: &str| {
        let value = pairs.remove(key).map(str::to_owned);
        value.ok_or_else(|| unclear(format!("{key} is missing in the label selector")))
    };
    let question = Question {
        namespace,
        kind: text(labels::SCALED_KIND)?,
        name: text(labels::SCALED_NAME)?,
        workload: text(labels::SCALED_WORKLOAD)?,
        metric: text(labels::SCALED_METRIC)?
            .parse()
            .map_err(|_| unclear(format!("{} is no number", labels::SCALED_METRIC)))?,
    };
    match pairs.keys().next() {
        Some(other) => Err(unclear(format!("no metric has the label {other}"))),
        None => Ok(question),
    }
}

/// To a thousandth, and never less than one: only nothing is zero.
fn quantity(value: f64) -> String {
    let milli = (value * 1000.0).round();
    format!("{}m", if value > 0.0 { milli.max(1.0) } else { milli })
}

fn groups() -> Value {
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group()]})
}

fn group() -> Value {
    let version = json!({"groupVersion": format!("{GROUP}/{VERSION}"), "version": VERSION});
    json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": GROUP,
        "versions": [version], "preferredVersion": version,
    })
}

/// Every metric is a resource of its own; one entry stands for all.
fn resources() -> Value {
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{GROUP}/{VERSION}"),
        "resources": [{
            "name": "externalmetrics", "singularName": "", "namespaced": true,
            "kind": "ExternalMetricValueList", "verbs": ["get"],
        }],
    })
}

/// An error as the API server tells one: a `Status`.
fn refusal(code: StatusCode, message: &str) -> Response {
    let reason: String = code.canonical_reason().unwrap_or_default().split(' ').collect();
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    });
    (code, Json(status)).into_response()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const WHOLE: &str = "prism.io/scaled-kind=PrismPattern,prism.io/scaled-metric=1,\
                         prism.io/scaled-name=orders,prism.io/scaled-workload==orders-workers";

    #[test]
    fn a_selector_names_an_object_a_workload_and_a_metric() {
        let expected = Question {
            namespace: "shop".to_owned(),
            kind: "PrismPattern".to_owned(),
            name: "orders".to_owned(),
            workload: "orders-workers".to_owned(),
            metric: 1,
        };
        assert_eq!(question("shop".to_owned(), WHOLE), Ok(expected));
    }

    #[rstest]
    #[case::empty("", "is missing")]
    #[case::without_a_metric(
        "prism.io/scaled-kind=A,prism.io/scaled-name=b,prism.io/scaled-workload=c",
        "is missing"
    )]
    #[case::another_label(&format!("{WHOLE},a=b"), "no metric has the label a")]
    #[case::a_set("a in (b)", "key=value")]
    #[case::a_negation("a!=b", "key=value")]
    fn any_other_selector_is_refused(#[case] selector: &str, #[case] sentence: &str) {
        let error = question("shop".to_owned(), selector).unwrap_err();
        assert!(matches!(&error, Unanswered::Unclear(message) if message.contains(sentence)), "{error}");
    }

    #[rstest]
    #[case(0.0, "0m")]
    #[case(1.1, "1100m")]
    #[case(0.000_01, "1m")]
    #[case(1e15, "1000000000000000000m")]
    fn values_are_thousandths_and_only_nothing_is_zero(#[case] value: f64, #[case] expected: &str) {
        assert_eq!(quantity(value), expected);
    }

    #[test]
    fn a_refusal_has_the_reason_that_the_api_server_would_give() {
        for (code, reason) in
            [(401, "Unauthorized"), (403, "Forbidden"), (404, "NotFound"), (400, "BadRequest")]
        {
            let code = StatusCode::from_u16(code).unwrap();
            let told: String = code.canonical_reason().unwrap_or_default().split(' ').collect();
            assert_eq!(told, reason);
            assert_eq!(refusal(code, "no").status(), code);
        }
    }

    #[test]
    fn fuzz_selectors() {
        use prism_fuzz::{fuzz, hostile};
        use proptest::prelude::*;
        let key = prop_oneof![
            proptest::sample::select(vec![
                labels::SCALED_KIND,
                labels::SCALED_NAME,
                labels::SCALED_WORKLOAD,
                labels::SCALED_METRIC,
            ])
            .prop_map(str::to_owned),
            hostile::text(),
        ];
        let operator = proptest::sample::select(vec!["=", "==", "!=", " in ", ""]);
        let requirement = (key, operator, hostile::text());
        let selector = proptest::collection::vec(requirement, 0..7);
        fuzz(file!(), &selector, |requirements| {
            let parts: Vec<_> =
                requirements.iter().map(|(key, is, value)| format!("{key}{is}{value}")).collect();
            if let Ok(question) = question("shop".to_owned(), &parts.join(",")) {
                prop_assert_eq!(question.namespace, "shop", "nobody asks for another namespace");
            }
            Ok(())
        });
    }
}
