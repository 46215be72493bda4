//! What the operator keeps in the cluster: its Secret, and its claim to the group.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use k8s_openapi::jiff::Timestamp;
use rstest::rstest;
use serde_json::{Value, json};

use super::cluster::Cluster;
use crate::outlets::{
    api_service::Registration,
    certificates::Certificates,
    identity::{Identity, certificates},
    settings::ServiceAddress,
    trouble::Trouble,
};

const SECRET: &str = "/api/v1/namespaces/prism/secrets/prism-operator-serving";
const API_SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.external.metrics.k8s.io";

fn names() -> Vec<String> {
    vec!["localhost".to_owned()]
}

fn certificates_in(cluster: &Arc<Cluster>) -> Certificates {
    Certificates::new(cluster.client(), "prism", names())
}

fn registration_in(cluster: &Arc<Cluster>) -> Registration {
    let service =
        ServiceAddress { namespace: "prism".to_owned(), name: "prism-operator".to_owned(), port: Some(6443) };
    Registration::new(cluster.client(), service)
}

/// The Secret that an operator would have made `age` ago.
fn secret(age: Duration) -> (Identity, Value) {
    let identity = Identity::draw(&names(), Timestamp::now() - age).unwrap();
    let data = [
        ("ca.crt", &identity.authorities),
        ("ca.key", &identity.authority_key),
        ("tls.crt", &identity.certificate),
        ("tls.key", &identity.key),
    ];
    let data: serde_json::Map<_, _> = data
        .into_iter()
        .map(|(key, text)| (key.to_owned(), json!(k8s_openapi::ByteString(text.clone().into_bytes()))))
        .collect();
    let labels = json!({"app.kubernetes.io/managed-by": "prism-operator"});
    let metadata = json!({"name": "prism-operator-serving", "labels": labels});
    (identity, json!({"metadata": metadata, "type": "kubernetes.io/tls", "data": data}))
}

fn foreign(service: &Value, labels: &Value) -> Value {
    json!({
        "metadata": {"name": "v1beta1.external.metrics.k8s.io", "labels": labels},
        "spec": {"groupPriorityMinimum": 100, "versionPriority": 100, "service": service},
    })
}

#[tokio::test]
async fn all_replicas_serve_the_certificate_that_the_first_has_made() {
    let cluster = Arc::new(Cluster::default());
    let one = certificates_in(&cluster).load().await.unwrap();
    let other = certificates_in(&cluster).load().await.unwrap();
    assert!(one == other, "the second replica serves another certificate");
    assert_eq!(cluster.writes().len(), 1, "{:?}", cluster.writes());
    assert_eq!(cluster.get(SECRET)["type"], "kubernetes.io/tls");
}

#[tokio::test]
async fn whoever_loses_the_race_serves_what_the_winner_has_made() {
    let cluster = Arc::new(Cluster::default());
    let (winner, object) = secret(Duration::ZERO);
    cluster.is_overtaken_by(SECRET, object);
    let loser = certificates_in(&cluster).load().await.unwrap();
    assert!(loser == winner, "the loser serves a certificate of its own");
}

#[tokio::test]
async fn an_old_certificate_is_renewed_and_its_clients_notice_nothing() {
    let cluster = Arc::new(Cluster::default());
    let (old, object) = secret(Duration::from_hours(24 * 300));
    cluster.put(SECRET, object);
    let renewed = certificates_in(&cluster).load().await.unwrap();
    assert!(renewed.certificate != old.certificate, "the certificate is still the old one");
    assert_eq!(certificates(&renewed.authorities), certificates(&old.authorities));
    let again = certificates_in(&cluster).load().await.unwrap();
    assert!(again == renewed, "it is renewed again and again");
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_not_touched() {
    let cluster = Arc::new(Cluster::default());
    cluster.put(SECRET, json!({"metadata": {"name": "prism-operator-serving"}, "data": {}}));
    let refusal = certificates_in(&cluster).load().await.err().unwrap();
    assert!(matches!(&refusal, Trouble::Taken(_)), "{refusal}");
    assert_eq!(cluster.writes(), Vec::<String>::new());
}

#[rstest]
#[case::not_allowed(StatusCode::FORBIDDEN, false)]
#[case::too_much_at_once(StatusCode::TOO_MANY_REQUESTS, true)]
#[case::down(StatusCode::SERVICE_UNAVAILABLE, true)]
#[tokio::test]
async fn a_cluster_that_cannot_answer_now_closes_nothing(#[case] code: StatusCode, #[case] is_passing: bool) {
    let cluster = Arc::new(Cluster::default());
    cluster.fails_with(code);
    let troubles = [
        certificates_in(&cluster).load().await.err().unwrap(),
        registration_in(&cluster).keep("PEM").await.unwrap_err(),
    ];
    for trouble in troubles {
        assert_eq!(matches!(trouble, Trouble::Unavailable(_)), is_passing, "{trouble}");
    }
}

#[tokio::test]
async fn the_api_server_is_told_once_and_again_when_the_authority_changes() {
    let cluster = Arc::new(Cluster::default());
    let registration = registration_in(&cluster);
    registration.keep("one").await.unwrap();
    registration.keep("one").await.unwrap();
    let spec = cluster.get(API_SERVICE)["spec"].clone();
    assert_eq!(spec["service"], json!({"namespace": "prism", "name": "prism-operator", "port": 6443}));
    assert_eq!(cluster.writes().len(), 1, "{:?}", cluster.writes());
    registration.keep("two").await.unwrap();
    let bundle = json!(k8s_openapi::ByteString(b"two".to_vec()));
    assert_eq!(cluster.get(API_SERVICE)["spec"]["caBundle"], bundle);
}

#[rstest]
#[case::of_keda(json!({"namespace": "keda", "name": "keda-operator-metrics-apiserver"}), json!({}), "keda/keda-operator")]
#[case::of_another_operator(
    json!({"namespace": "other", "name": "prism-operator"}),
    json!({"app.kubernetes.io/managed-by": "prism-operator"}),
    "other/prism-operator"
)]
#[case::without_our_label(json!({"namespace": "prism", "name": "prism-operator"}), json!({}), "prism/prism-operator")]
#[tokio::test]
async fn a_group_of_somebody_else_is_left_alone_until_it_goes(
    #[case] service: Value,
    #[case] labels: Value,
    #[case] holder: &str,
) {
    let cluster = Arc::new(Cluster::default());
    let registration = registration_in(&cluster);
    cluster.put(API_SERVICE, foreign(&service, &labels));
    let refusal = registration.keep("PEM").await.unwrap_err();
    assert!(matches!(&refusal, Trouble::Taken(sentence) if sentence.contains(holder)), "{refusal}");
    assert_eq!(cluster.writes(), Vec::<String>::new());
    cluster.remove(API_SERVICE);
    registration.keep("PEM").await.unwrap();
    assert_eq!(cluster.get(API_SERVICE)["spec"]["service"]["namespace"], "prism");
}

#[tokio::test]
async fn whoever_takes_the_group_in_the_last_moment_keeps_it() {
    let cluster = Arc::new(Cluster::default());
    let keda = json!({"namespace": "keda", "name": "keda-operator-metrics-apiserver"});
    cluster.is_overtaken_by(API_SERVICE, foreign(&keda, &json!({})));
    let refusal = registration_in(&cluster).keep("PEM").await.unwrap_err();
    assert!(matches!(&refusal, Trouble::Taken(sentence) if sentence.contains("keda/")), "{refusal}");
}
