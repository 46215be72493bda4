//! Metrics of Prometheus, over its HTTP API.
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries>

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use k8s_openapi::jiff::Timestamp;
use prism_dial::{Connector, DialError, Dialer, Within};
use prism_plan::{dialed, scaling::Source};
use prism_scale::{Problem, ProblemKind, Reading};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::Deserialize;
use tokio::time::timeout;

use super::{Answer, IDLE, late, no_address, undialed};

/// Where a spec names a Prometheus.
const FIELD: &str = "prometheus.serverAddress";

/// Answers to a query that gives one number are a few hundred bytes.
const LONGEST_ANSWER: usize = 1 << 20;
/// Bytes of its headers.
const LONGEST_HEADERS: usize = 16 << 10;
/// What Prometheus names errors by. Other words are somebody else's, and are not repeated.
const ERROR_TYPES: [&str; 8] = [
    "timeout",
    "canceled",
    "execution",
    "bad_data",
    "internal",
    "unavailable",
    "not_found",
    "not_acceptable",
];

/// A client for any server. It follows no redirect.
pub(super) struct Prometheus {
    client: Client<Within<HttpsConnector<Connector>>, Full<Bytes>>,
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
    pub(super) fn new(dialer: &Dialer, authorities: Option<&[u8]>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in CertificateDer::pem_slice_iter(authorities.unwrap_or_default()) {
            let unusable =
                |error: &dyn std::fmt::Display| format!("--admin-ca-file: {error}: give certificates in PEM");
            let certificate = certificate.map_err(|error| unusable(&error))?;
            roots.add(certificate).map_err(|error| unusable(&error))?;
        }
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let connector = Within::new(builder.wrap_connector(dialer.connector()), dialer.patience());
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(1);
        client.http1_max_buf_size(LONGEST_HEADERS);
        Ok(Self { client: client.build(connector) })
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
        let sample = self.query(server, query).await?;
        let throughput = match rate {
            Some(rate) => {
                let sample = self.query(server, rate).await;
                Some(number(&sample.map_err(|problem| problem.of("its rate"))?.1)?)
            }
            None => None,
        };
        Ok(Reading { throughput, ..reading(&sample)? })
    }

    async fn query(&self, server: &str, query: &str) -> Result<Sample, Problem> {
        dialed::prometheus(server).map_err(|reason| no_address(FIELD, reason))?;
        let url = format!("{}/api/v1/query?query={}", server.trim_end_matches('/'), escaped(query));
        let no_url = "is no address: write a URL such as http://prometheus:9090";
        let uri: Uri = url.parse().map_err(|_| no_address(FIELD, no_url))?;
        let request = Request::get(uri).body(Full::default());
        let request = request.map_err(|_| no_address(FIELD, no_url))?;
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| {
            undialed(DialError::within(&error).unwrap_or(DialError::Unreachable), "Prometheus", FIELD)
        })?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
        let body = body.map_err(|_| unreadable("the answer of Prometheus breaks off, or is too long"))?;
        sample(status, &body.to_bytes())
    }
}

fn reading(Sample(at, value): &Sample) -> Answer {
    #[expect(clippy::cast_possible_truncation, reason = "a time outside of the range is refused below")]
    let measured_at = Timestamp::from_millisecond((at * 1000.0) as i64);
    let measured_at = measured_at.map_err(|_| unreadable("its time of measurement is none"))?;
    Ok(Reading::new(number(value)?, measured_at))
}

/// The number in an answer. Total: an answer may have any bytes.
fn sample(status: StatusCode, body: &[u8]) -> Result<Sample, Problem> {
    let class = i32::from(status.as_u16() / 100);
    let answered = |sentence: String| Problem::new(ProblemKind::Answered(class), sentence);
    let Ok(Response { data, error_type }) = serde_json::from_slice(body) else {
        return Err(match class {
            2 => unreadable("Prometheus answers with something else than the result of a query"),
            3 => answered(format!(
                "Prometheus answers with a redirect, which is not followed: correct {FIELD}"
            )),
            _ => answered(format!(
                "Prometheus answers {class}xx, and with something else than an error of its own"
            )),
        });
    };
    if let Some(kind) = error_type {
        let kind = ERROR_TYPES.into_iter().find(|known| *known == kind).unwrap_or("an error");
        return Err(answered(format!("Prometheus answers {class}xx: {kind}")));
    }
    match data {
        Data::Scalar(sample) => Ok(sample),
        Data::Vector(mut series) if series.len() == 1 => Ok(series.remove(0).value),
        Data::Vector(series) if series.is_empty() => {
            Err(unreadable("the query gives no number: there is no such series now"))
        }
        Data::Vector(_) => {
            Err(unreadable("the query gives several numbers, and has to give one: sum() or max() them"))
        }
        Data::Other => Err(unreadable("the query gives no number: a range has to be reduced to one")),
    }
}

fn unreadable(sentence: &str) -> Problem {
    Problem::new(ProblemKind::Unreadable, sentence)
}

fn number(text: &str) -> Result<f64, Problem> {
    text.parse().map_err(|_| unreadable("its value is no number"))
}

/// The query as a part of a URL.
fn escaped(query: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    query.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn read(status: u16, body: &[u8]) -> Answer {
        reading(&sample(StatusCode::from_u16(status).unwrap(), body)?)
    }

    #[rstest]
    #[case::an_error_of_its_own(
        400,
        r#"{"status":"error","errorType":"bad_data","error":"parse error: secret"}"#,
        "Prometheus answers 4xx: bad_data"
    )]
    #[case::an_error_of_somebody_else(
        500,
        r#"{"errorType":"AKIA-the-key-of-a-cloud"}"#,
        "Prometheus answers 5xx: an error"
    )]
    #[case::metadata_of_a_cloud(200, "AKIA-the-key-of-a-cloud", "something else than the result of a query")]
    #[case::a_redirect(302, "", "Prometheus answers with a redirect")]
    #[case::not_found(404, "<html>", "Prometheus answers 4xx")]
    #[case::no_number(
        200,
        r#"{"data":{"resultType":"scalar","result":[1,"AKIA"]}}"#,
        "its value is no number"
    )]
    #[case::nothing(200, r#"{"data":{"resultType":"vector","result":[]}}"#, "gives no number")]
    fn of_an_answer_nothing_is_repeated(#[case] status: u16, #[case] body: &str, #[case] words: &str) {
        let sentence = read(status, body.as_bytes()).unwrap_err().to_string();
        assert!(
            sentence.contains(words) && !sentence.contains("AKIA") && !sentence.contains("secret"),
            "{sentence}"
        );
    }

    #[test]
    fn not_found_and_an_error_of_the_server_are_two_problems() {
        let kind = |status| read(status, b"").unwrap_err().kind();
        assert_ne!(kind(404), kind(500));
        assert_eq!(kind(500), kind(503));
    }

    proptest! {
        #[test]
        fn whatever_a_server_answers_there_is_a_reading_or_a_short_sentence(
            status in 100_u16..1000,
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..300),
                (proptest::num::f64::ANY, ".{0,40}").prop_map(|(at, value)| {
                    let sample = serde_json::json!([at, value]);
                    serde_json::json!({"data": {"resultType": "scalar", "result": sample}}).to_string().into_bytes()
                }),
                ("[0-9eE+.-]{1,12}", "[0-9eE+.-]{0,12}|NaN|[+-]Inf").prop_map(|(at, value)| {
                    format!(r#"{{"data":{{"resultType":"vector","result":[{{"value":[{at},"{value}"]}}]}}}}"#).into_bytes()
                }),
            ],
        ) {
            if let Err(problem) = read(status, &body) {
                prop_assert!(problem.to_string().chars().count() <= 256);
            }
        }
    }
}
