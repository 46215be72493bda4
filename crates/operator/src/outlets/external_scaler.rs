//! What KEDA asks: its gRPC service `ExternalScaler`.
//!
//! <https://keda.sh/docs/latest/concepts/external-scalers/>

use std::{collections::HashMap, io, sync::Arc};

use futures::{StreamExt, stream};
use prism_plan::scaling::Export;
use prism_proto::externalscaler::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
    external_scaler_server::{ExternalScaler, ExternalScalerServer},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, transport::Server};

use super::{
    question::{Catalogue, Found, Question, Unanswered, measure},
    tls::{Connection, Terms, accept},
};

/// The protocol that gRPC speaks.
pub(super) const PROTOCOL: &[u8] = b"h2";

/// A metric value never comes by itself here: KEDA has to ask.
const NOT_PUSHED: &str = "nothing is pushed: use a trigger of the type external, not external-push";

/// Answers KEDA on `listener` until `shutdown`.
pub(super) async fn serve(
    listener: TcpListener,
    terms: watch::Receiver<Terms>,
    catalogue: Arc<impl Catalogue>,
    shutdown: CancellationToken,
) {
    let connections = accept(listener, terms, shutdown.clone());
    let incoming = stream::unfold(connections, async |mut connections: mpsc::Receiver<Connection>| {
        let connection = connections.recv().await?;
        Some((connection, connections))
    });
    let serving = Server::builder()
        .add_service(ExternalScalerServer::from_arc(Arc::new(Scaler(catalogue))))
        .serve_with_incoming_shutdown(incoming.map(Ok::<_, io::Error>), shutdown.cancelled_owned());
    if let Err(error) = serving.await {
        tracing::error!(error = prism_engine::error::describe(&error), "KEDA is answered no more");
    }
}

/// The service.
struct Scaler<C>(Arc<C>);

#[tonic::async_trait]
impl<C: Catalogue> ExternalScaler for Scaler<C> {
    type StreamIsActiveStream = stream::Empty<Result<IsActiveResponse, Status>>;
    type StreamMetricSpecStream = stream::Empty<Result<GetMetricSpecResponse, Status>>;

    async fn is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<IsActiveResponse>, Status> {
        let found = self.find(request.get_ref())?;
        let measured = measure(self.0.as_ref(), &found).await.map_err(status)?;
        Ok(Response::new(IsActiveResponse { result: measured.value > 0.0 }))
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let Found { export, .. } = self.find(request.get_ref())?;
        let target = target(&export).ok_or_else(|| Status::internal("the metric has no target"))?;
        let spec = MetricSpec { metric_name: export.name, target_size: 0, target_size_float: target };
        Ok(Response::new(GetMetricSpecResponse { metric_specs: vec![spec] }))
    }

    async fn get_metrics(
        &self,
        request: Request<GetMetricsRequest>,
    ) -> Result<Response<GetMetricsResponse>, Status> {
        let GetMetricsRequest { scaled_object_ref, metric_name } = request.into_inner();
        let reference =
            scaled_object_ref.ok_or_else(|| Status::invalid_argument("scaledObjectRef is missing"))?;
        let found = self.find(&reference)?;
        // The list may have changed since KEDA asked for it: another metric's value would be a wrong one.
        if found.export.name != metric_name {
            return Err(Status::not_found(format!("the metric is {} by now", found.export.name)));
        }
        let measured = measure(self.0.as_ref(), &found).await.map_err(status)?;
        let value = MetricValue { metric_name, metric_value: 0, metric_value_float: measured.value };
        Ok(Response::new(GetMetricsResponse { metric_values: vec![value] }))
    }

    async fn stream_is_active(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        Err(Status::unimplemented(NOT_PUSHED))
    }

    async fn stream_metric_spec(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamMetricSpecStream>, Status> {
        Err(Status::unimplemented(NOT_PUSHED))
    }
}

impl<C: Catalogue> Scaler<C> {
    fn find(&self, reference: &ScaledObjectRef) -> Result<Found, Status> {
        let question = question(&reference.namespace, &reference.scaler_metadata).map_err(status)?;
        self.0.find(&question).map_err(status)
    }
}

/// What the trigger of a `ScaledObject` in `namespace` asks for.
fn question(namespace: &str, metadata: &HashMap<String, String>) -> Result<Question, Unanswered> {
    let text = |key: &str| {
        let text = metadata.get(key).filter(|text| !text.is_empty()).cloned();
        text.ok_or_else(|| Unanswered::Unclear(format!("{key} is missing in the metadata of the trigger")))
    };
    let metric = text("metric")?;
    Ok(Question {
        namespace: namespace.to_owned(),
        kind: text("kind")?,
        name: text("name")?,
        workload: text("workload")?,
        metric: metric.parse().map_err(|_| {
            Unanswered::Unclear("metric is no number in the metadata of the trigger".to_owned())
        })?,
    })
}

fn target(export: &Export) -> Option<f64> {
    let quantity = export.target.average_value.as_ref().or(export.target.value.as_ref())?;
    #[expect(clippy::cast_precision_loss, reason = "KEDA keeps three decimals of it")]
    Some(prism_plan::quantity::milli(&quantity.0)? as f64 / 1000.0)
}

fn status(unanswered: Unanswered) -> Status {
    match unanswered {
        Unanswered::Unclear(message) => Status::invalid_argument(message),
        Unanswered::Unknown(message) => Status::not_found(message),
        Unanswered::Unreadable(message) => Status::unavailable(message),
    }
}
