//! Metrics of Prometheus, over its HTTP API.
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries>

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use k8s_openapi::jiff::Timestamp;
use prism_plan::scaling::Source;
use prism_scale::{Problem, Reading};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::Deserialize;
use tokio::time::timeout;

use super::{Answer, late};

/// Answers to a query that gives one number are a few hundred bytes.
const LONGEST_ANSWER: usize = 1 << 20;

/// A client for any server.
pub(super) struct Prometheus {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    data: Data,
    /// Class of the error; the text beside it may quote the query.
    #[serde(rename = "errorType")]
    error_type: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
    Scalar(Sample),
    #[default]
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Series {
    value: Sample,
}

/// Seconds since 1970, and the number as text.
#[derive(Deserialize)]
struct Sample(f64, String);

impl Prometheus {
    pub(super) fn new(authorities: Option<&[u8]>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in CertificateDer::pem_slice_iter(authorities.unwrap_or_default()) {
            let unusable =
                |error: &dyn std::fmt::Display| format!("--admin-ca-file: {error}: give certificates in PEM");
            let certificate = certificate.map_err(|error| unusable(&error))?;
            roots.add(certificate).map_err(|error| unusable(&error))?;
        }
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// Asks for each query on its own.
    pub(super) async fn read(&self, sources: &[Source], patience: Duration) -> Vec<(usize, Answer)> {
        let asked = sources.iter().enumerate().filter_map(|(index, source)| match source {
            Source::Prometheus { server, query, rate } => Some((index, server, query, rate)),
            Source::Admin { .. } => None,
        });
        let answers = asked.map(async |(index, server, query, rate)| {
            let answer = timeout(patience, self.ask(server, query, rate.as_deref())).await;
            (index, answer.unwrap_or_else(|_| Err(late(patience))))
        });
        join_all(answers).await
    }

    async fn ask(&self, server: &str, query: &str, rate: Option<&str>) -> Answer {
        let Sample(at, value) = self.query(server, query).await?;
        let throughput = match rate {
            Some(rate) => {
                let sample = self.query(server, rate).await;
                Some(number(&sample.map_err(|problem| Problem(format!("its rate: {problem}")))?.1)?)
            }
            None => None,
        };
        #[expect(clippy::cast_possible_truncation, reason = "a time outside of the range is refused below")]
        let measured_at = Timestamp::from_millisecond((at * 1000.0) as i64);
        let measured_at = measured_at.map_err(|_| Problem("its time of measurement is none".to_owned()))?;
        Ok(Reading { throughput, ..Reading::new(number(&value)?, measured_at) })
    }

    async fn query(&self, server: &str, query: &str) -> Result<Sample, Problem> {
        let url = format!("{}/api/v1/query?query={}", server.trim_end_matches('/'), escaped(query));
        let uri: Uri = url.parse().map_err(|_| {
            Problem(
                "the address of Prometheus is none: write a URL such as http://prometheus:9090".to_owned(),
            )
        })?;
        let request = Request::get(uri).body(Full::default());
        let request = request.map_err(|_| Problem("the query cannot be sent".to_owned()))?;
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|_| Problem("Prometheus cannot be reached".to_owned()))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
        let body = body.map_err(|_| Problem("the answer of Prometheus broke off".to_owned()))?.to_bytes();
        let unreadable = |_| {
            Problem(format!("Prometheus answers {status} with something else than the result of a query"))
        };
        let Response { data, error_type } = serde_json::from_slice(&body).map_err(unreadable)?;
        if let Some(kind) = error_type {
            return Err(Problem(format!("Prometheus answers {status}: {kind}")));
        }
        match data {
            Data::Scalar(sample) => Ok(sample),
            Data::Vector(mut series) if series.len() == 1 => Ok(series.remove(0).value),
            Data::Vector(series) => Err(Problem(format!(
                "the query gives {} numbers, and has to give one: sum() or max() them",
                series.len()
            ))),
            Data::Other => {
                Err(Problem("the query gives no number: a range has to be reduced to one".to_owned()))
            }
        }
    }
}

fn number(text: &str) -> Result<f64, Problem> {
    text.parse().map_err(|_| Problem(format!("{:?} is no number", text.chars().take(20).collect::<String>())))
}

/// The query as a part of a URL.
fn escaped(query: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    query.bytes().map(byte).collect()
}
