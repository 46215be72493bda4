//! Certificates, clients and reports.

use std::{net::SocketAddr, time::Duration};

use prism_admin::{Admin, Builder, Tls};
use prism_proto::prism::metrics::v1::{
    Aggregation, Measurement, MetricDescriptor, MetricQuery, MetricValue, PatternRef, QueryError,
    QueryRequest, QueryResponse, QueryResult, ReportRequest, Unit, WatchRequest, ingest_client::IngestClient,
    metrics_client::MetricsClient, query_result::Outcome,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tonic::{
    Status, Streaming,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

pub(crate) const LAG: &str = "pattern.consumer.lag";

/// A certificate authority that signs whoever asks.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn certificate(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key, PEM, good for a server on loopback and for a client.
    pub(crate) fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn server(&self) -> Tls {
        let (certificate, key) = self.issue();
        Tls::from_pem(certificate, key)
    }

    pub(crate) fn client(&self) -> Identity {
        let (certificate, key) = self.issue();
        Identity::from_pem(certificate, key)
    }

    /// What a client needs to trust this authority.
    pub(crate) fn trust(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.certificate()))
    }
}

/// An admin of its own for each story, and those who talk to it.
pub(crate) struct World {
    pub(crate) admin: Admin,
    pub(crate) authority: Authority,
    pub(crate) metrics: MetricsClient<Channel>,
    pub(crate) ingest: IngestClient<Channel>,
    pub(crate) channel: Channel,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let authority = Authority::new("authority");
        let builder = configure(Admin::builder().tls(authority.server()));
        let admin = builder.start().await.unwrap();
        let channel = endpoint(admin.address()).tls_config(authority.trust()).unwrap().connect_lazy();
        let metrics = MetricsClient::new(channel.clone());
        let ingest = IngestClient::new(channel.clone());
        Self { admin, authority, metrics, ingest, channel }
    }

    pub(crate) async fn report(&mut self, request: ReportRequest) {
        soon("a report", self.ingest.report(request)).await.unwrap();
    }

    pub(crate) async fn query(&mut self, queries: &[MetricQuery]) -> Result<QueryResponse, Status> {
        let request = QueryRequest { queries: queries.to_vec() };
        soon("an answer", self.metrics.query(request)).await.map(tonic::Response::into_inner)
    }

    /// The value of one query.
    pub(crate) async fn value(&mut self, query: MetricQuery) -> MetricValue {
        value(self.query(&[query]).await.unwrap().results.remove(0))
    }

    pub(crate) async fn watch(
        &mut self,
        queries: &[MetricQuery],
        heartbeat: Duration,
    ) -> Streaming<QueryResponse> {
        let heartbeat = Some(heartbeat.try_into().unwrap());
        let request = WatchRequest { queries: queries.to_vec(), heartbeat };
        soon("a stream", self.metrics.watch(request)).await.unwrap().into_inner()
    }
}

pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("https://{address}")).unwrap()
}

/// What comes within a time in which it comes on any machine.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(Duration::from_secs(20), future).await;
    outcome.unwrap_or_else(|_| panic!("{what} did not come in 20 seconds"))
}

/// The next message of a stream.
pub(crate) async fn next(stream: &mut Streaming<QueryResponse>) -> Result<QueryResponse, Status> {
    match soon("a message", stream.message()).await {
        Ok(Some(response)) => Ok(response),
        Ok(None) => panic!("the stream ended without a status"),
        Err(status) => Err(status),
    }
}

pub(crate) fn value(result: QueryResult) -> MetricValue {
    match result.outcome.unwrap() {
        Outcome::Value(value) => value,
        Outcome::Error(error) => panic!("instead of a value: {error:?}"),
    }
}

pub(crate) fn error(result: QueryResult) -> QueryError {
    match result.outcome.unwrap() {
        Outcome::Error(error) => error,
        Outcome::Value(value) => panic!("instead of an error: {value:?}"),
    }
}

pub(crate) fn pattern(name: &str) -> PatternRef {
    PatternRef::new("shop", name)
}

pub(crate) fn lag_of(name: &str) -> MetricQuery {
    MetricQuery::new(pattern(name), LAG)
}

pub(crate) fn measured(metric: &str, unit: Unit, aggregation: Aggregation, value: f64) -> Measurement {
    let metric = MetricDescriptor {
        name: metric.to_owned(),
        unit: unit.into(),
        aggregation: aggregation.into(),
        help: format!("What is told of {metric}"),
    };
    Measurement { metric: Some(metric), value, measured_at: None }
}

/// A report with a promise of one minute, measured when it arrives.
pub(crate) fn lag(pattern_name: &str, instance: &str, value: f64) -> ReportRequest {
    ReportRequest {
        pattern: Some(pattern(pattern_name)),
        instance: instance.to_owned(),
        stale_after: Some(Duration::from_mins(1).try_into().unwrap()),
        measurements: vec![measured(LAG, Unit::Messages, Aggregation::Sum, value)],
    }
}
