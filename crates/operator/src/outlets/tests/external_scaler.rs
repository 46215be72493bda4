//! KEDA's questions over real TLS.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use prism_proto::externalscaler::{
    GetMetricsRequest, ScaledObjectRef, external_scaler_client::ExternalScalerClient,
};
use rstest::rstest;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use super::{catalogue::OneMetric, identity};
use crate::outlets::{
    external_scaler::{PROTOCOL, serve},
    identity::Identity,
    tls::{Terms, terms},
};

/// A server that ends with this value.
struct Outlet {
    address: SocketAddr,
    terms: watch::Sender<Terms>,
    _ends: DropGuard,
}

impl Outlet {
    async fn open(catalogue: Arc<OneMetric>, identity: &Identity) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let terms = watch::Sender::new(None);
        let ends = CancellationToken::new();
        tokio::spawn(serve(listener, terms.subscribe(), catalogue, ends.clone()));
        let outlet = Self { address, terms, _ends: ends.drop_guard() };
        outlet.shows(identity);
        outlet
    }

    /// New connections get this certificate.
    fn shows(&self, identity: &Identity) {
        self.terms.send_replace(Some(terms(identity, None, PROTOCOL).unwrap()));
    }

    /// A client that trusts `identity` alone.
    async fn client(
        &self,
        identity: &Identity,
    ) -> Result<ExternalScalerClient<Channel>, tonic::transport::Error> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&identity.authorities));
        let url = format!("https://localhost:{}", self.address.port());
        let channel = Endpoint::from_shared(url)?.tls_config(tls)?.connect().await?;
        Ok(ExternalScalerClient::new(channel))
    }
}

fn reference(change: (&str, &str)) -> ScaledObjectRef {
    let metadata = [("kind", "PrismPattern"), ("name", "orders"), ("workload", "orders"), ("metric", "0")];
    let metadata = metadata.into_iter().chain([change]);
    ScaledObjectRef {
        name: "orders".to_owned(),
        namespace: "shop".to_owned(),
        scaler_metadata: metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    }
}

fn trigger() -> ScaledObjectRef {
    reference(("enableTLS", "true"))
}

fn value_of(metric: &str) -> GetMetricsRequest {
    GetMetricsRequest { scaled_object_ref: Some(trigger()), metric_name: metric.to_owned() }
}

#[tokio::test]
async fn keda_learns_the_value_the_target_and_whether_anything_waits() {
    let (identity, source) = (identity(), OneMetric::new(7.5));
    let outlet = Outlet::open(source.clone(), &identity).await;
    let mut client = outlet.client(&identity).await.unwrap();
    assert!(client.is_active(trigger()).await.unwrap().into_inner().result);
    let spec = client.get_metric_spec(trigger()).await.unwrap().into_inner().metric_specs.remove(0);
    assert_eq!((spec.metric_name.as_str(), spec.target_size_float.to_string()), ("lag", "2.5".to_owned()));
    let value = client.get_metrics(value_of("lag")).await.unwrap().into_inner().metric_values.remove(0);
    assert_eq!(value.metric_value_float.to_string(), "7.5");
    source.says(Ok(prism_scale::Reading::new(0.0, k8s_openapi::jiff::Timestamp::now())));
    assert!(!client.is_active(trigger()).await.unwrap().into_inner().result);
}

#[rstest]
#[case::stale(OneMetric::is_stuck)]
#[case::unreachable(OneMetric::is_gone)]
#[tokio::test]
async fn what_is_not_known_is_an_error_and_no_zero(#[case] breaks: fn(&OneMetric)) {
    let (identity, source) = (identity(), OneMetric::new(7.5));
    let outlet = Outlet::open(source.clone(), &identity).await;
    let mut client = outlet.client(&identity).await.unwrap();
    breaks(&source);
    assert_eq!(client.is_active(trigger()).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(client.get_metrics(value_of("lag")).await.unwrap_err().code(), Code::Unavailable);
}

#[rstest]
#[case::another_object(("name", "payments"), Code::NotFound)]
#[case::another_metric(("metric", "1"), Code::NotFound)]
#[case::no_number(("metric", "lag"), Code::InvalidArgument)]
#[case::nothing(("kind", ""), Code::InvalidArgument)]
#[tokio::test]
async fn a_trigger_that_names_nothing_is_told_so(#[case] change: (&str, &str), #[case] expected: Code) {
    let identity = identity();
    let outlet = Outlet::open(OneMetric::new(7.5), &identity).await;
    let mut client = outlet.client(&identity).await.unwrap();
    assert_eq!(client.is_active(reference(change)).await.unwrap_err().code(), expected);
    assert_eq!(client.get_metric_spec(reference(change)).await.unwrap_err().code(), expected);
}

#[tokio::test]
async fn a_metric_that_has_changed_its_place_is_not_mistaken_for_another() {
    let identity = identity();
    let outlet = Outlet::open(OneMetric::new(7.5), &identity).await;
    let mut client = outlet.client(&identity).await.unwrap();
    assert_eq!(client.get_metrics(value_of("errors")).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn nothing_is_pushed() {
    let identity = identity();
    let outlet = Outlet::open(OneMetric::new(7.5), &identity).await;
    let mut client = outlet.client(&identity).await.unwrap();
    assert_eq!(client.stream_is_active(trigger()).await.unwrap_err().code(), Code::Unimplemented);
    assert_eq!(client.stream_metric_spec(trigger()).await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_new_certificate_is_served_without_a_restart() {
    let (old, new) = (identity(), identity());
    let outlet = Outlet::open(OneMetric::new(7.5), &old).await;
    assert!(outlet.client(&new).await.is_err(), "the new certificate is served already");
    outlet.shows(&new);
    let mut client = outlet.client(&new).await.unwrap();
    assert!(client.is_active(trigger()).await.unwrap().into_inner().result);
}

#[tokio::test]
async fn clients_that_say_nothing_keep_nobody_out() {
    let identity = identity();
    let outlet = Outlet::open(OneMetric::new(7.5), &identity).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(outlet.address).await.unwrap());
    }
    let client = tokio::time::timeout(Duration::from_secs(5), outlet.client(&identity));
    let mut client = client.await.unwrap().unwrap();
    assert!(client.is_active(trigger()).await.unwrap().into_inner().result);
}
