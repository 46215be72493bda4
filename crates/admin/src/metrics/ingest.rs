//! `prism.metrics.v1.Ingest`: runners report.

use std::{sync::Arc, time::SystemTime};

use prism_proto::prism::metrics::v1::{ReportRequest, ReportResponse, ingest_server::Ingest};
use tonic::{Request, Response, Status};

use super::{report::Refused, store::Store};

/// Puts reports into the store.
pub(crate) struct Reports(pub(crate) Arc<Store>);

#[tonic::async_trait]
impl Ingest for Reports {
    async fn report(&self, request: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        self.0.report(request.into_inner(), SystemTime::now())?;
        Ok(Response::new(ReportResponse {}))
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::Conflict { .. } => Self::failed_precondition(message),
            _ => Self::invalid_argument(message),
        }
    }
}
