//! A proxy in front of the API server that lets things go wrong at a chosen request.
//!
//! The program under test is given [`FaultProxy::kubeconfig`]. It speaks plain HTTP to the proxy, which
//! passes everything on under an identity of its own, so the audit log shows whose requests they were.
//! Answers, those of watches above all, stream through it. A write that was passed on is carried out even if the program dies
//! meanwhile, as it is on a real network.
//!
//! ```no_run
//! # use prism_testbed::{FaultProxy, Testbed, fault::{After, Before}};
//! # async fn example(kill: impl Fn() + Send + Sync + 'static) -> prism_testbed::Result<()> {
//! let testbed = Testbed::from_env().await?;
//! let proxy = FaultProxy::for_user(testbed.cluster(), "operator", &["system:masters"]).await?;
//! proxy.after(move |request, _status| {
//!     if request.write == Some(3) {
//!         kill(); // the operator dies and never learns what became of its third write
//!         return After::Drop;
//!     }
//!     After::Pass
//! });
//! # Ok(())
//! # }
//! ```

use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures::{StreamExt, stream};
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::{Client, Config};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::audit::is_review;
use crate::cluster::Cluster;
use crate::error::{Result, io};
use crate::kubeconfig;

/// A request as the proxy sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its number among the writes, from 1; `None` for everything that is not counted as a write:
    /// reads, reviews, dry runs, and leases.
    pub write: Option<u64>,
    /// HTTP method.
    pub method: Method,
    /// Path, without the query.
    pub path: String,
    /// Query, without the question mark; may be empty.
    pub query: String,
    /// Body; empty for reads.
    pub body: Bytes,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// What becomes of a request that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// It is passed on.
    Pass,
    /// It is passed on after a while.
    Delay(Duration),
    /// It is answered by the proxy, and the API server never sees it.
    Answer(StatusCode),
    /// The same, and the client is asked to wait for so many seconds.
    AnswerLater(StatusCode, u32),
    /// It is answered with a page for people, as gateways in front of an API server do.
    Html(StatusCode),
    /// It is answered in the affirmative, with what is no JSON.
    Garbage,
    /// The connection is closed, and the API server never sees it.
    Drop,
}

/// What becomes of an answer: the API server has done its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It is passed on.
    Pass,
    /// The program gets another answer.
    Answer(StatusCode),
    /// The program gets half of the answer, then the connection is closed; of a watch, a few bytes.
    Half,
    /// The program gets the answer byte by byte, with this pause between any two.
    Slow(Duration),
    /// The connection is closed, and the program gets no answer.
    Drop,
}

/// A write that went through the proxy, or was stopped there.
#[derive(Debug, Clone)]
pub struct Write {
    /// The request.
    pub request: Seen,
    /// The API server's answer; `None` if the API server never saw the request, or has not answered.
    pub status: Option<StatusCode>,
}

/// A running proxy. Dropping it closes all its connections.
///
/// It runs on the runtime on which it was started: a test that blocks needs a multi-threaded one.
pub struct FaultProxy {
    address: SocketAddr,
    kubeconfig: PathBuf,
    shared: Arc<Shared>,
    server: JoinHandle<Infallible>,
}

type BeforeHook = dyn Fn(&Seen) -> Before + Send + Sync;
type AfterHook = dyn Fn(&Seen, StatusCode) -> After + Send + Sync;

struct Shared {
    client: Client,
    before: RwLock<Arc<BeforeHook>>,
    after: RwLock<Arc<AfterHook>>,
    writes: Mutex<Vec<Write>>,
    count: watch::Sender<u64>,
}

impl FaultProxy {
    /// Starts a proxy that passes everything on as `user`, member of `groups` (two at most).
    pub async fn for_user(cluster: &Cluster, user: &str, groups: &[&str]) -> Result<Self> {
        let own = cluster.kubeconfig_for(user, groups)?;
        let config = kubeconfig::load(&own).await?;
        Self::start(config, &own.with_extension("proxied.kubeconfig")).await
    }

    /// Starts a proxy in front of any API server, with the identity of `config`; writes a kubeconfig
    /// that leads to the proxy.
    pub async fn start(mut config: Config, kubeconfig: &Path) -> Result<Self> {
        // Faults are to reach the program as they come.
        config.default_retry = false;
        let shared = Arc::new(Shared {
            client: Client::try_from(config)?,
            before: RwLock::new(Arc::new(|_| Before::Pass)),
            after: RwLock::new(Arc::new(|_, _| After::Pass)),
            writes: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let at = || io("listen on", "127.0.0.1");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(at())?;
        let address = listener.local_addr().map_err(at())?;
        kubeconfig::write_plain(kubeconfig, &format!("http://{address}"))?;
        let server = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self { address, kubeconfig: kubeconfig.to_owned(), shared, server })
    }

    /// Kubeconfig for the program under test.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Where the proxy listens, plain HTTP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, asks `hook` about each request before it is passed on. Replaces an earlier hook.
    pub fn before(&self, hook: impl Fn(&Seen) -> Before + Send + Sync + 'static) {
        *self.shared.before.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(hook);
    }

    /// From now on, tells `hook` of each answer before it is passed on. Replaces an earlier hook.
    pub fn after(&self, hook: impl Fn(&Seen, StatusCode) -> After + Send + Sync + 'static) {
        *self.shared.after.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(hook);
    }

    /// Removes the hooks, forgets all writes, and counts from 1 again.
    pub fn reset(&self) {
        self.before(|_| Before::Pass);
        self.after(|_, _| After::Pass);
        let mut writes = self.shared.writes();
        writes.clear();
        self.shared.count.send_replace(0);
    }

    /// The writes so far, by number.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        self.shared.writes().clone()
    }

    /// Number of writes so far.
    #[must_use]
    pub fn write_count(&self) -> u64 {
        *self.shared.count.borrow()
    }

    /// Returns when the `nth` write has arrived.
    pub async fn write(&self, nth: u64) {
        // The sender lives as long as we do.
        let _ = self.shared.count.subscribe().wait_for(|count| *count >= nth).await;
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Bytes of an answer without an end that pass before the connection is closed.
const A_FEW: usize = 20;

/// The body of an answer, on its way to the program.
type Outgoing = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("dropped on purpose")]
struct Dropped;

async fn serve(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    // Dropped with this task, which ends the connections, too.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(|request| {
                let shared = shared.clone();
                async move { shared.pass(request).await }
            });
            // Dropped connections end with an error: that is what they are for.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Shared {
    async fn pass(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Outgoing>, Dropped> {
        let (mut parts, body) = request.into_parts();
        for header in [HOST, CONNECTION] {
            parts.headers.remove(header);
        }
        // Held here, a body is passed on whole even if the program dies in this moment.
        let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
        let seen = self.note(&parts, body.clone());

        let request = Request::from_parts(parts, Body::from(body));
        if seen.write.is_none() {
            return self.exchange(seen, request).await;
        }
        // In a task of its own, because this one ends with the program's connection.
        tokio::spawn(async move { self.exchange(seen, request).await }).await.unwrap_or(Err(Dropped))
    }

    async fn exchange(&self, seen: Seen, request: Request<Body>) -> Result<Response<Outgoing>, Dropped> {
        let before = self.before.read().unwrap_or_else(PoisonError::into_inner).clone();
        match before(&seen) {
            Before::Pass => {}
            Before::Delay(pause) => tokio::time::sleep(pause).await,
            Before::Answer(status) => return Ok(answer(status)),
            Before::AnswerLater(status, seconds) => {
                let mut response = answer(status);
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
                return Ok(response);
            }
            Before::Html(status) => return Ok(page(status, "text/html", "<html><body>Oops</body></html>")),
            Before::Garbage => return Ok(page(StatusCode::OK, "application/json", "\u{1}{not JSON\n")),
            Before::Drop => return Err(Dropped),
        }
        let response = self.client.send(request).await.map_err(|_| Dropped)?;
        if let Some(nth) = seen.write
            && let Some(write) = self.writes().iter_mut().find(|write| write.request.write == Some(nth))
        {
            write.status = Some(response.status());
        }
        let after = self.after.read().unwrap_or_else(PoisonError::into_inner).clone();
        match after(&seen, response.status()) {
            After::Pass => Ok(response.map(|body| body.map_err(Into::into).boxed_unsync())),
            After::Answer(status) => Ok(answer(status)),
            After::Half => Ok(half(response)),
            After::Slow(pause) => Ok(slow(response, pause)),
            After::Drop => Err(Dropped),
        }
    }

    /// Numbers a write and keeps it.
    fn note(&self, parts: &http::request::Parts, body: Bytes) -> Seen {
        let mut seen = Seen {
            write: None,
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body,
        };
        if is_write(parts) {
            let mut writes = self.writes();
            let nth = writes.len() as u64 + 1;
            seen.write = Some(nth);
            writes.push(Write { request: seen.clone(), status: None });
            self.count.send_replace(nth);
        }
        seen
    }

    fn writes(&self) -> std::sync::MutexGuard<'_, Vec<Write>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a request changes an object that a test cares about.
fn is_write(parts: &http::request::Parts) -> bool {
    let changes = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    let group = parts.uri.path().strip_prefix("/apis/").and_then(|rest| rest.split('/').next());
    let group = group.unwrap_or_default();
    let is_dry_run = parts.uri.query().is_some_and(|query| query.contains("dryRun=All"));
    changes && !is_dry_run && !is_review(group) && group != "coordination.k8s.io"
}

fn whole(text: impl Into<Bytes>) -> Outgoing {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

fn page(status: StatusCode, type_: &'static str, text: &'static str) -> Response<Outgoing> {
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(type_));
    response
}

/// The beginning of an answer.
fn half(response: Response<Body>) -> Response<Outgoing> {
    let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut left = length.map_or(A_FEW, |length: usize| length / 2);
    response.map(|body| {
        let pieces = body.into_data_stream().map(move |piece| {
            let mut piece = piece.map_err(|_| Dropped)?;
            if left == 0 {
                return Err(Dropped);
            }
            piece.truncate(left);
            left -= piece.len();
            Ok(Frame::data(piece))
        });
        StreamBody::new(pieces).map_err(Into::into).boxed_unsync()
    })
}

/// An answer that takes its time.
fn slow(response: Response<Body>, pause: Duration) -> Response<Outgoing> {
    response.map(|body| {
        let pieces = body.into_data_stream().flat_map(move |piece| {
            let bytes: Vec<Result<u8, Dropped>> = match piece {
                Ok(piece) => piece.into_iter().map(Ok).collect(),
                Err(_) => vec![Err(Dropped)],
            };
            stream::iter(bytes).then(move |byte| async move {
                tokio::time::sleep(pause).await;
                byte.map(|byte| Frame::data(Bytes::copy_from_slice(&[byte])))
            })
        });
        StreamBody::new(pieces).map_err(Into::into).boxed_unsync()
    })
}

/// An answer in the API server's name.
fn answer(status: StatusCode) -> Response<Outgoing> {
    let reason = match status {
        StatusCode::CONFLICT => "Conflict",
        StatusCode::GONE => "Expired",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        _ => "InternalError",
    };
    let body = json!({
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": "a fault was injected here",
        "reason": reason,
        "code": status.as_u16(),
    });
    let mut response = Response::new(whole(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
