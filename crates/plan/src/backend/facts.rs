//! What the planner has to be told of the world.

use crate::{consent::Consents, program::ProgramFacts};

/// All that a plan depends on, beside the backend itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The server, as far as it exists.
    pub server: ProgramFacts,
    /// The Service that `serviceRef` names.
    pub service: ServiceView,
    /// Namespace of the stack that has placed the backend, where that is another one.
    pub home: Option<String>,
    /// What namespaces let others do in them.
    pub consents: Consents,
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

/// What is seen of the Service that a backend refers to.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ServiceView {
    /// No reference, or no Service of that name that says that it is one of a backend.
    #[default]
    None,
    /// Its namespace does not consent, so nobody has looked.
    Refused,
    /// The Service.
    Found(ServiceFacts),
}

impl ServiceView {
    /// What is known of the Service.
    #[must_use]
    pub fn facts(&self) -> Option<&ServiceFacts> {
        match self {
            Self::Found(facts) => Some(facts),
            Self::None | Self::Refused => None,
        }
    }
}
