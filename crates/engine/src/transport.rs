//! The HTTP stack below the client: counts requests, bounds their time, feels the pulse of watches, fences writes.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, header::USER_AGENT};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt},
};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tower::{BoxError, Layer, Service, ServiceBuilder};

use crate::{
    fence::Fence,
    health::{Failure, Health, Pulse},
    metrics::Metrics,
};

/// A connection on which nothing was heard for so long is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Time between two questions, and how many may go unanswered.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_RETRIES: u32 = 3;

/// A watch that goes on for so long is one.
const PROOF: Duration = Duration::from_secs(1);

/// How long the API server may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the whole answer to a request, and for the beginning of that to a watch.
    pub request: Duration,
    /// For the next bytes of a watch: a quiet one still gets a bookmark about every minute.
    pub silence: Duration,
}

/// What a client is made of, beside the address of the API server.
#[derive(Clone)]
pub struct Terms {
    /// How long the API server may take.
    pub limits: Limits,
    /// Where watches are registered.
    pub health: Arc<Health>,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// Once it falls, this client writes no more, and writes under way are abandoned. There is no other way to the
    /// API server, so nothing can slip through.
    pub fence: Fence,
}

/// A client that is known to the API server as `agent`.
///
/// # Errors
/// When the configuration does not give a usable client (certificates, proxy).
pub fn client(mut config: Config, agent: HeaderValue, terms: &Terms) -> Result<Client, kube::Error> {
    if config.proxy_url.is_some() {
        // Says which feature of kube is lacking.
        ClientBuilder::try_from(config.clone())?;
    }
    config.headers.push((USER_AGENT, agent));
    // No layer tries again: failures come back to the queue, which knows the object's own backoff.
    let stack = ServiceBuilder::new()
        .layer(TransportLayer(terms.clone()))
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(HttpClient::builder(TokioExecutor::new()).build(connector(&config, terms.limits)?));
    Ok(ClientBuilder::new(stack, config.default_namespace).build())
}

/// Connections that notice when nobody is at the other end any more, be they idle or waiting for an answer. They
/// speak HTTP/1.1, one request at a time, so a request that is given up takes its connection with it.
fn connector(
    config: &Config,
    limits: Limits,
) -> Result<hyper_rustls::HttpsConnector<HttpConnector>, kube::Error> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_keepalive(Some(KEEP_ALIVE));
    connector.set_keepalive_interval(Some(KEEP_ALIVE_INTERVAL));
    connector.set_keepalive_retries(Some(KEEP_ALIVE_RETRIES));
    #[cfg(target_os = "linux")]
    connector.set_tcp_user_timeout(Some(limits.request));
    config.rustls_https_connector_with_connector(connector)
}

/// An answer whose body reports each of its pieces.
type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

#[derive(Clone)]
struct TransportLayer(Terms);

#[derive(Clone)]
struct Transport<S> {
    inner: S,
    terms: Terms,
}

/// The API server took too long.
#[derive(Debug, thiserror::Error)]
#[error("the API server did not answer within {} s", .0.as_secs_f64())]
struct Late(Duration);

impl<S> Layer<S> for TransportLayer {
    type Service = Transport<S>;

    fn layer(&self, inner: S) -> Transport<S> {
        Transport { inner, terms: self.0.clone() }
    }
}

impl<S, B> Service<Request<Body>> for Transport<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Terms { limits, health, metrics, fence } = self.terms.clone();
        let verb = verb_of(&request);
        let pulse = pulse(&health, &request, verb);
        let is_write = request.method() != Method::GET;
        metrics.requested(verb);
        let end = Instant::now() + limits.request;
        let answer = timeout(limits.request, self.inner.call(request));
        Box::pin(async move {
            let answer =
                if is_write { fence.guard(answer).await.ok_or("leadership was lost")? } else { answer.await };
            let answer = answer.map_err(|_| {
                metrics.timed_out(verb);
                Late(limits.request)
            })??;
            let pulse = pulse.filter(|_| answer.status().is_success());
            if let Some(pulse) = &pulse {
                pulse.beat();
            }
            Ok(answer.map(|body| {
                let is_watch = verb == "watch";
                let (limit, end) = if is_watch {
                    (limits.silence, Instant::now() + limits.silence)
                } else {
                    (limits.request, end)
                };
                let sleep = Box::pin(sleep_until(end));
                let began = Instant::now();
                Bounded {
                    inner: Box::pin(body),
                    sleep,
                    limit,
                    began,
                    ended: None,
                    is_watch,
                    is_empty: true,
                    verb,
                    pulse,
                    metrics,
                }
                .boxed_unsync()
            }))
        })
    }
}

/// The pulse that a list or watch feeds: that of its resource and selector, where there is one, otherwise that of its
/// resource.
fn pulse(health: &Health, request: &Request<Body>, verb: &str) -> Option<Arc<Pulse>> {
    if verb != "watch" && verb != "list" {
        return None;
    }
    let plural = request.uri().path().rsplit('/').next()?;
    let mut pairs = request.uri().query().unwrap_or_default().split('&');
    let selector = pairs.find_map(|pair| pair.strip_prefix("labelSelector=")).unwrap_or_default();
    let selector = selector.replace("%2F", "/").replace("%3D", "=");
    health.find(&format!("{plural}?{selector}")).or_else(|| health.find(plural))
}

/// How a body has ended: in order, or with an error.
struct End(Option<BoxError>);

/// A body that fails when it takes too long: as a whole, or, if it is that of a watch, for its next piece. Each piece
/// is a beat of the pulse, bookmarks included.
struct Bounded<B> {
    inner: Pin<Box<B>>,
    sleep: Pin<Box<Sleep>>,
    limit: Duration,
    began: Instant,
    /// How it has ended, until that is told.
    ended: Option<End>,
    is_watch: bool,
    is_empty: bool,
    verb: &'static str,
    pulse: Option<Arc<Pulse>>,
    metrics: Arc<Metrics>,
}

impl<B> Bounded<B> {
    /// A piece has come.
    fn heard(&mut self) {
        self.is_empty = false;
        if let Some(pulse) = &self.pulse {
            pulse.beat();
            if self.is_watch && self.began.elapsed() >= PROOF {
                pulse.proved();
            }
        }
        if self.is_watch {
            let next = Instant::now() + self.limit;
            self.sleep.as_mut().reset(next);
        }
    }

    /// Nothing comes any more. The end of a watch is held back for a moment if it comes at once: whoever watches
    /// begins again without a pause.
    fn end(&mut self, error: Option<BoxError>) {
        if let Some(pulse) = self.pulse.as_ref().filter(|_| self.is_watch) {
            match &error {
                // Nothing was to be told, and nothing was: that is as it should be. What else is of use shows.
                None if self.is_empty && self.began.elapsed() >= PROOF => pulse.proved(),
                None => {}
                Some(error) => {
                    pulse.failed(Failure { code: None, text: error.to_string(), is_broken_answer: true });
                }
            }
        }
        self.sleep.as_mut().reset(self.began + PROOF);
        self.ended = Some(End(error));
    }
}

impl<B> HttpBody for Bounded<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.ended.is_none() {
            match self.inner.as_mut().poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.heard();
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(end) => self.end(end.and_then(Result::err).map(Into::into)),
                Poll::Pending => {}
            }
        }
        let is_late = self.ended.is_none();
        if !is_late && !self.is_watch {
            return Poll::Ready(self.ended.take().and_then(|End(error)| error).map(Err));
        }
        ready!(self.sleep.as_mut().poll(context));
        if is_late {
            self.metrics.timed_out(self.verb);
            return Poll::Ready(Some(Err(Box::new(Late(self.limit)))));
        }
        Poll::Ready(self.ended.take().and_then(|End(error)| error).map(Err))
    }

    fn is_end_stream(&self) -> bool {
        !self.is_watch && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The API server's name for what is asked, as in its audit log.
fn verb_of(request: &Request<Body>) -> &'static str {
    let query = request.uri().query().unwrap_or_default();
    match *request.method() {
        Method::GET if query.split('&').any(|pair| pair == "watch=true") => "watch",
        // /api/v1/namespaces/N/things/NAME and /apis/G/V/namespaces/N/things/NAME name an object.
        Method::GET if names_an_object(request.uri().path()) => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    }
}

fn names_an_object(path: &str) -> bool {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let resource = if parts.first() == Some(&"api") { 2 } else { 3 };
    let resource = if parts.get(resource) == Some(&"namespaces") && parts.len() > resource + 2 {
        resource + 2
    } else {
        resource
    };
    parts.len() > resource + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/api/v1/configmaps?limit=500", "list")]
    #[case("/api/v1/namespaces/ns/services", "list")]
    #[case("/api/v1/namespaces/ns/services/web", "get")]
    #[case("/apis/apps/v1/namespaces/ns/deployments?watch=true&timeoutSeconds=5", "watch")]
    #[case("/apis/apps/v1/namespaces/ns/deployments/web", "get")]
    #[case("/api/v1/namespaces", "list")]
    #[case("/api/v1/namespaces/ns", "get")]
    fn verbs_are_those_of_the_audit_log(#[case] uri: &str, #[case] verb: &str) {
        let request = Request::get(uri).body(Body::empty()).unwrap();
        assert_eq!(verb_of(&request), verb);
    }
}
