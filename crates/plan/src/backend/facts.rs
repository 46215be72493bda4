//! What the planner has to be told of the world.

use crate::program::ProgramFacts;

/// All that a plan depends on, beside the backend itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The server, as far as it exists.
    pub server: ProgramFacts,
    /// The Service that `serviceRef` names, if it is seen.
    pub service: Option<ServiceFacts>,
    /// A password of letters and digits that nobody has seen yet. It goes into the Secret of a server
    /// that has none, and nowhere else: a Secret that exists is left as it is.
    pub password: String,
}

/// A Service of a backend that somebody else runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceFacts {
    /// Its annotation `prism.io/connection-string`.
    pub connection_string: Option<String>,
    /// Its label `prism.io/backend-type`.
    pub backend_type: Option<String>,
    /// Its ports, in their order.
    pub ports: Vec<i32>,
}
