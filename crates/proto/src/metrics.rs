//! What `prism.metrics.v1` needs besides its messages.

use tonic::{Code, Status};

use crate::prism::metrics::v1::{MetricQuery, PatternRef, QueryError};

impl PatternRef {
    /// The pattern `name` in the Kubernetes namespace `namespace`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl MetricQuery {
    /// Asks for `metric` of all instances of `pattern`.
    pub fn new(pattern: PatternRef, metric: impl Into<String>) -> Self {
        Self { pattern: Some(pattern), metric: metric.into(), instances: Vec::new() }
    }
}

/// A single query's error in the form of a failed call.
impl From<QueryError> for Status {
    fn from(error: QueryError) -> Self {
        Self::new(Code::from_i32(error.code), error.message)
    }
}

impl From<Status> for QueryError {
    fn from(status: Status) -> Self {
        Self { code: status.code().into(), message: status.message().to_owned() }
    }
}
