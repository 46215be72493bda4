//! The API server's questions over real TLS.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use k8s_openapi::api::core::v1::ConfigMap;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rstest::rstest;
use rustls::{ClientConfig, RootCertStore, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    catalogue::{OneMetric, selected_by},
    cluster::Cluster,
    identity,
};
use crate::outlets::{
    access::Access,
    external_metrics::{Desk, PROTOCOL, serve},
    front_proxy::FrontProxy,
    identity::{Identity, certificates},
    tls::terms,
};

const GROUP: &str = "/apis/external.metrics.k8s.io";
const AUTHENTICATION: &str = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
const API_SERVER: &str = "front-proxy-client";

/// A server that ends with this value, in a cluster whose API server is called [`API_SERVER`].
struct Outlet {
    address: SocketAddr,
    identity: Identity,
    proxies: CertifiedIssuer<'static, KeyPair>,
    source: Arc<OneMetric>,
    cluster: Arc<Cluster>,
    _ends: DropGuard,
}

impl Outlet {
    async fn open() -> Self {
        let (identity, source, cluster) = (identity(), OneMetric::new(7.5), Arc::new(Cluster::default()));
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let proxies = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let told: ConfigMap = serde_json::from_value(json!({"data": {
            "requestheader-client-ca-file": proxies.pem(),
            "requestheader-allowed-names": json!([API_SERVER]).to_string(),
            "requestheader-username-headers": r#"["X-Remote-User"]"#,
            "requestheader-group-headers": r#"["X-Remote-Group"]"#,
        }}))
        .unwrap();
        cluster.put(AUTHENTICATION, json!(told));
        let front_proxy = FrontProxy::read(cluster.client()).await.unwrap();
        let terms = terms(&identity, Some(&front_proxy.authorities), PROTOCOL).unwrap();
        let (terms, front_proxy) = (watch::Sender::new(Some(terms)), watch::Sender::new(Some(front_proxy)));
        let desk = Desk {
            catalogue: source.clone(),
            front_proxy: front_proxy.subscribe(),
            access: Access::new(cluster.client()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ends = CancellationToken::new();
        tokio::spawn(serve(listener, terms.subscribe(), desk, ends.clone()));
        Self { address, identity, proxies, source, cluster, _ends: ends.drop_guard() }
    }

    /// What `path` answers to the API server that speaks for `user`.
    async fn ask(&self, user: &str, path: &str) -> (StatusCode, Value) {
        self.ask_as(Some(self.certificate(API_SERVER)), user, path).await.unwrap()
    }

    /// A certificate for `name` that the authority of API servers has signed.
    fn certificate(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        client(name, &self.proxies)
    }

    async fn ask_as(
        &self,
        shown: Option<(rcgen::Certificate, KeyPair)>,
        user: &str,
        path: &str,
    ) -> Result<(StatusCode, Value), hyper_util::client::legacy::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(&self.identity.authorities));
        let tls = ClientConfig::builder().with_root_certificates(roots);
        let tls = match shown {
            None => tls.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                tls.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
        };
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
        let request = Request::get(format!("https://localhost:{}{path}", self.address.port()));
        let request = if user.is_empty() { request } else { request.header("X-Remote-User", user) };
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let answer = client.request(request.body(Empty::<Bytes>::new()).unwrap()).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap()))
    }
}

fn client(name: &str, issuer: &CertifiedIssuer<'static, KeyPair>) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap(), key)
}

/// What an autoscaler asks, escaped as its client does.
fn question(metric: &str) -> String {
    let pairs = selected_by().map(|(key, value)| format!("{}%3D{value}", key.replace('/', "%2F")));
    format!("{GROUP}/v1beta1/namespaces/shop/{metric}?labelSelector={}", pairs.join("%2C"))
}

#[tokio::test]
async fn an_autoscaler_gets_the_whole_value_in_one_item() {
    let outlet = Outlet::open().await;
    let (status, list) = outlet.ask("hpa", &question("lag")).await;
    assert_eq!((status, &list["kind"]), (StatusCode::OK, &json!("ExternalMetricValueList")), "{list}");
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!((&items[0]["metricName"], &items[0]["value"]), (&json!("lag"), &json!("7500m")));
    assert_eq!(items[0]["metricLabels"]["prism.io/scaled-name"], "orders");
    assert!(items[0]["timestamp"].as_str().unwrap().ends_with('Z'), "{list}");
}

#[tokio::test]
async fn only_the_api_server_is_believed() {
    let outlet = Outlet::open().await;
    let lag = question("lag");
    let nobody = outlet.ask_as(None, "hpa", &lag).await.unwrap();
    assert_eq!(nobody.0, StatusCode::UNAUTHORIZED, "without a certificate");
    let somebody = Some(outlet.certificate("somebody"));
    let somebody = outlet.ask_as(somebody, "hpa", &lag).await.unwrap();
    assert_eq!(somebody.0, StatusCode::FORBIDDEN, "with another name");
    let stranger = CertifiedIssuer::self_signed(CertificateParams::default(), KeyPair::generate().unwrap());
    let stranger = Some(client(API_SERVER, &stranger.unwrap()));
    assert!(outlet.ask_as(stranger, "hpa", &lag).await.is_err(), "with a certificate of somebody else's");
    assert_eq!(outlet.ask("", &lag).await.0, StatusCode::UNAUTHORIZED, "for nobody");
    assert_eq!(outlet.cluster.writes(), Vec::<String>::new(), "none of them is worth a review");
}

#[tokio::test]
async fn the_cluster_says_who_may_read_and_is_not_asked_twice() {
    let outlet = Outlet::open().await;
    let (status, refusal) = outlet.ask("guest", &question("lag")).await;
    assert_eq!((status, &refusal["reason"]), (StatusCode::FORBIDDEN, &json!("Forbidden")));
    assert_eq!(outlet.ask("hpa", &question("lag")).await.0, StatusCode::OK);
    assert_eq!(outlet.ask("hpa", &question("lag")).await.0, StatusCode::OK);
    assert_eq!(outlet.cluster.writes().len(), 2, "one review for each of the two");
    outlet.cluster.fails_with(StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(outlet.ask("other", &question("lag")).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[rstest]
#[case::stale(OneMetric::is_stuck)]
#[case::unreachable(OneMetric::is_gone)]
#[tokio::test]
async fn what_is_not_known_is_an_error_and_no_zero(#[case] breaks: fn(&OneMetric)) {
    let outlet = Outlet::open().await;
    breaks(&outlet.source);
    let (status, refusal) = outlet.ask("hpa", &question("lag")).await;
    assert_eq!((status, &refusal["kind"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("Status")));
}

#[rstest]
#[case::another_metric(question("errors"), StatusCode::NOT_FOUND)]
#[case::another_object(question("lag").replace("orders", "payments"), StatusCode::NOT_FOUND)]
#[case::everything(format!("{GROUP}/v1beta1/namespaces/shop/lag"), StatusCode::BAD_REQUEST)]
#[case::another_path("/openapi/v2".to_owned(), StatusCode::NOT_FOUND)]
#[tokio::test]
async fn what_there_is_not_is_refused(#[case] path: String, #[case] expected: StatusCode) {
    let outlet = Outlet::open().await;
    let (status, refusal) = outlet.ask("hpa", &path).await;
    assert_eq!((status, &refusal["code"]), (expected, &json!(expected.as_u16())));
}

#[rstest]
#[case("/apis", "APIGroupList")]
#[case(GROUP, "APIGroup")]
#[case("/apis/external.metrics.k8s.io/v1beta1", "APIResourceList")]
#[tokio::test]
async fn the_api_server_discovers_the_group(#[case] path: &str, #[case] kind: &str) {
    let outlet = Outlet::open().await;
    let (status, document) = outlet.ask("system:kube-aggregator", path).await;
    assert_eq!((status, &document["kind"]), (StatusCode::OK, &json!(kind)));
}
