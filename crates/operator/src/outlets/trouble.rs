//! Why an outlet is not open.

use prism_engine::error::describe;

/// Why an outlet cannot be opened now.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// Somebody else has what the outlet needs: it is closed.
    #[error("{0}")]
    Taken(String),
    /// Somebody has to do something, and the sentence says what: the outlet does not open, and stays open if
    /// it is.
    #[error("{0}")]
    Refused(String),
    /// The cluster could not serve the request: nothing is known, and the outlet stays as it is.
    #[error("{0}")]
    Unavailable(String),
}

impl Trouble {
    /// Sorts the error of a request about `what`.
    pub(super) fn of(what: &str, error: &kube::Error) -> Self {
        match error {
            // 408, 409 and 429 are about the moment, not about the request.
            kube::Error::Api(status)
                if (400..500).contains(&status.code) && ![408, 409, 429].contains(&status.code) =>
            {
                Self::Refused(format!("{what}: {}", status.message))
            }
            error => Self::Unavailable(format!("{what}: {}", describe(error))),
        }
    }
}

/// Whether the API server answers that somebody else was quicker.
pub(super) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}
