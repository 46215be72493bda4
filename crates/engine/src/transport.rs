//! The HTTP stack below the client: counts requests, feels the pulse of watches, fences writes.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, header::USER_AGENT};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Layer, Service};

use crate::{
    health::{Health, Pulse},
    metrics::Metrics,
};

/// The client for everything but the lease, known to the API server as `agent`: once `fence` falls, it writes no more, and writes
/// under way are abandoned. There is no other way to the API server, so nothing can slip through.
///
/// # Errors
/// When the configuration does not give a usable client (certificates, proxy).
pub fn client(
    mut config: Config,
    agent: HeaderValue,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    fence: CancellationToken,
) -> Result<Client, kube::Error> {
    // Failures come back to the queue, which knows the object's own backoff.
    config.default_retry = false;
    config.headers.push((USER_AGENT, agent));
    let layer = TransportLayer { health, metrics, fence };
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}

/// An answer whose body may report each of its pieces.
type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

#[derive(Clone)]
struct TransportLayer {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    fence: CancellationToken,
}

#[derive(Clone)]
struct Transport<S> {
    inner: S,
    layer: TransportLayer,
}

impl<S> Layer<S> for TransportLayer {
    type Service = Transport<S>;

    fn layer(&self, inner: S) -> Transport<S> {
        Transport { inner, layer: self.clone() }
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
        let verb = verb_of(&request);
        let pulse = self.layer.pulse(&request, verb);
        let fence = self.layer.fence.clone();
        let is_write = request.method() != Method::GET;
        self.layer.metrics.requested(verb);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = if is_write {
                fence
                    .run_until_cancelled(answer)
                    .await
                    .ok_or_else(|| BoxError::from("leadership was lost"))??
            } else {
                answer.await?
            };
            Ok(match pulse {
                Some(pulse) if answer.status().is_success() => answer.map(|body| feel(body, pulse)),
                _ => answer.map(|body| body.map_err(Into::into).boxed_unsync()),
            })
        })
    }
}

impl TransportLayer {
    /// The pulse that a list or watch feeds: that of its resource and selector, where there is one,
    /// otherwise that of its resource.
    fn pulse(&self, request: &Request<Body>, verb: &str) -> Option<Arc<Pulse>> {
        if verb != "watch" && verb != "list" {
            return None;
        }
        let plural = request.uri().path().rsplit('/').next()?;
        let mut pairs = request.uri().query().unwrap_or_default().split('&');
        let selector = pairs.find_map(|pair| pair.strip_prefix("labelSelector=")).unwrap_or_default();
        let selector = selector.replace("%2F", "/").replace("%3D", "=");
        self.health.find(&format!("{plural}?{selector}")).or_else(|| self.health.find(plural))
    }
}

/// Lets `pulse` beat with each piece of the body that arrives, bookmarks included.
fn feel<B>(body: B, pulse: Arc<Pulse>) -> UnsyncBoxBody<Bytes, BoxError>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    pulse.beat();
    let body = body.map_err(Into::into).map_frame(move |frame| {
        pulse.beat();
        frame
    });
    body.boxed_unsync()
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
