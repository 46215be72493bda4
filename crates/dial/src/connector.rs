//! A dialer, as clients of HTTP and gRPC want it.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;

use crate::{DialError, Dialer};

type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// Connects to host and port of a URI. The port follows from the scheme where it is left out.
#[derive(Clone, Debug)]
pub struct Connector {
    dialer: Dialer,
}

impl Connector {
    pub(crate) fn new(dialer: Dialer) -> Self {
        Self { dialer }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = DialError;
    type Future = Boxed<Self::Response, DialError>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialer = self.dialer.clone();
        Box::pin(async move {
            let host = uri.host().ok_or(DialError::Unreachable)?;
            let port = match (uri.port_u16(), uri.scheme_str()) {
                (Some(port), _) => port,
                (None, Some("https")) => 443,
                (None, _) => 80,
            };
            dialer.connect(host, port).await.map(TokioIo::new)
        })
    }
}

/// A connector with a time limit for all that it does, TLS included.
#[derive(Clone, Debug)]
pub struct Within<S> {
    inner: S,
    patience: Duration,
}

impl<S> Within<S> {
    /// `inner`, for as long as `patience`.
    pub fn new(inner: S, patience: Duration) -> Self {
        Self { inner, patience }
    }
}

impl<S> Service<Uri> for Within<S>
where
    S: Service<Uri>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Boxed<S::Response, Self::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, patience) = (self.inner.call(uri), self.patience);
        Box::pin(async move {
            match timeout(patience, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(DialError::Late.into()),
            }
        })
    }
}
