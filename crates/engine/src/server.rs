//! `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{health::Health, in_flight::InFlight, metrics::Metrics, queue::Queue};

/// What the endpoints show.
#[derive(Clone)]
pub struct Exposed {
    /// Watches.
    pub health: Arc<Health>,
    /// Objects that are being reconciled.
    pub in_flight: Arc<InFlight>,
    /// Counts and timings.
    pub metrics: Arc<Metrics>,
    /// Objects that wait.
    pub queue: Arc<Queue>,
}

/// Serves the endpoints on `listener` until `shutdown`.
///
/// # Errors
/// When accepting connections fails for good.
pub async fn serve(
    listener: TcpListener,
    exposed: Exposed,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(exposed);
    axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

/// Alive: no reconcile hangs. One that does is helped by nothing but a restart.
async fn alive(State(exposed): State<Exposed>) -> impl IntoResponse {
    verdict(&exposed.in_flight.complaints())
}

/// Ready: every watch that this process needs has synced and has been heard of lately. A standby is ready, too.
async fn ready(State(exposed): State<Exposed>) -> impl IntoResponse {
    verdict(&exposed.health.complaints())
}

fn verdict(complaints: &[String]) -> (StatusCode, String) {
    if complaints.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, complaints.join("\n") + "\n")
    }
}

async fn metrics(State(exposed): State<Exposed>) -> impl IntoResponse {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match exposed.metrics.encode(exposed.queue.depth()) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, OPEN_METRICS)], text),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], error.to_string())
        }
    }
}
