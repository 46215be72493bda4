//! Sources over real connections: what servers that misbehave, and addresses that must not be named, come to.

use std::{net::SocketAddr, sync::Arc};

use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Mutex,
    task::JoinHandle,
};

use super::*;

/// Longer than any answer here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that answers every connection with the same bytes, and notes the requests.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Server {
    async fn that_answers(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = requests.clone();
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap_or_default();
                noted.lock().await.push(String::from_utf8_lossy(&request[..length]).into_owned());
                // Whoever has heard enough may hang up.
                let _ = stream.write_all(&answer).await;
            }
        });
        Self { address, requests, serving }
    }

    async fn requests(&self) -> Vec<String> {
        self.requests.lock().await.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn sources(allow: &[&str]) -> Sources {
    // One is enough for all tests of this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let allow = allow.iter().map(|range| range.parse().unwrap()).collect();
    Sources::new(&Trust::default(), Policy { allow, deny: Vec::new() }).unwrap()
}

fn open() -> Sources {
    sources(&["127.0.0.0/8"])
}

fn prometheus(server: impl Into<String>) -> Source {
    Source::Prometheus { server: server.into(), query: "up".to_owned(), rate: None }
}

fn admin(endpoint: impl Into<String>) -> Source {
    Source::Admin {
        endpoint: Some(endpoint.into()),
        namespace: "shop".to_owned(),
        pattern: "orders".to_owned(),
        metric: "lag".to_owned(),
        rate: None,
    }
}

async fn problem(sources: &Sources, source: Source) -> Problem {
    sources.read(&[source], PATIENCE).await.pop().unwrap().unwrap_err()
}

fn http(status: &str, more: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n{body}")
        .into_bytes()
}

#[tokio::test]
async fn a_server_on_loopback_is_not_connected_to_and_the_field_is_named() {
    let server = Server::that_answers(http("200 OK", "", "")).await;
    let closed = sources(&[]);
    let of_prometheus = problem(&closed, prometheus(format!("http://{}", server.address))).await;
    let of_admin = problem(&closed, admin(server.address.to_string())).await;
    for (problem, field) in [(of_prometheus, "prometheus.serverAddress"), (of_admin, "adminMetric.endpoint")]
    {
        let sentence = problem.to_string();
        assert_eq!(problem.kind(), ProblemKind::Refused, "{sentence}");
        assert!(sentence.starts_with(field) && sentence.contains("--dial-allow"), "{sentence}");
    }
    assert!(server.requests().await.is_empty());
}

#[tokio::test]
async fn what_is_no_address_is_not_connected_to() {
    let server = Server::that_answers(http("200 OK", "", "")).await;
    let swallowed = problem(&open(), prometheus(format!("http://{}/any/path?x=", server.address))).await;
    assert!(swallowed.to_string().starts_with("prometheus.serverAddress has a query"), "{swallowed}");
    let socket = problem(&open(), admin("unix:///run/containerd/containerd.sock")).await;
    assert!(socket.to_string().starts_with("adminMetric.endpoint is no address"), "{socket}");
    assert!(server.requests().await.is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let secret = Server::that_answers(http("200 OK", "", "")).await;
    let location = format!("location: http://{}/latest\r\n", secret.address);
    let server = Server::that_answers(http("302 Found", &location, "")).await;
    let problem = problem(&open(), prometheus(format!("http://{}", server.address))).await;
    assert!(problem.to_string().contains("a redirect, which is not followed"), "{problem}");
    assert_eq!(server.requests().await.len(), 1);
    assert!(secret.requests().await.is_empty());
}

#[rstest]
#[case::a_long_body(http("500 Internal Server Error", "", &"secret ".repeat(600_000)))]
#[case::long_headers(http("500 Internal Server Error", &format!("x: {}\r\n", "secret".repeat(600_000)), ""))]
#[case::no_http(b"secret".repeat(600_000))]
#[tokio::test]
async fn an_answer_without_end_is_a_short_sentence(#[case] answer: Vec<u8>) {
    let server = Server::that_answers(answer).await;
    let problem = problem(&open(), prometheus(format!("http://{}", server.address))).await.to_string();
    assert!(problem.len() < 256 && !problem.contains("secret"), "{problem}");
}

#[tokio::test]
async fn whoever_does_not_speak_tls_or_grpc_is_told_apart() {
    let server = Server::that_answers(http("200 OK", "", "secret")).await;
    let plain = problem(&open(), prometheus(format!("https://{}", server.address))).await;
    assert_eq!(plain.to_string(), "Prometheus does not speak TLS");
    let other = problem(&open(), admin(server.address.to_string())).await;
    assert!(!other.to_string().contains("secret"), "{other}");
    assert_eq!(other.kind(), ProblemKind::Unreachable, "{other}");
}

#[tokio::test]
async fn a_server_that_is_gone_cannot_be_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for source in [prometheus(format!("http://{address}")), admin(address.to_string())] {
        let problem = problem(&open(), source).await;
        assert_eq!(problem.kind(), ProblemKind::Unreachable, "{problem}");
        assert!(problem.to_string().ends_with("cannot be reached"), "{problem}");
    }
}

#[tokio::test]
async fn connections_to_admins_are_closed_when_nobody_asks_them() {
    let server = Server::that_answers(Vec::new()).await;
    let sources = open();
    let admins: Vec<_> = (1..1000).map(|port| admin(format!("127.0.0.1:{port}"))).collect();
    sources.read(&admins, Duration::ZERO).await;
    assert_eq!(sources.admins.count(), 256);
    problem(&sources, admin(server.address.to_string())).await;
    sources.evict_idle(Instant::now() + IDLE);
    assert_eq!(sources.admins.count(), 0);
}
