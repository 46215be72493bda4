//! Why there is no connection.

use std::{error::Error, io};

use crate::Refusal;

/// Why there is no connection. Coarse on purpose: whoever names an address learns neither which names exist nor what
/// listens where, beyond what he needs to correct it. Ends up in status and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DialError {
    /// The address must not be connected to.
    #[error("leads to {0}, which the operator does not connect to{hint}", hint = hint(*.0))]
    Refused(Refusal),
    /// The name is none, or nobody answers there.
    #[error("cannot be reached")]
    Unreachable,
    /// Nobody has answered in time.
    #[error("does not answer in time")]
    Late,
    /// The server has shown a certificate that is not trusted, or not one for its name.
    #[error("shows a certificate that is not trusted")]
    Untrusted,
    /// The server does not speak TLS, or not as it should.
    #[error("does not speak TLS")]
    NotTls,
}

fn hint(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Denied => "",
        _ => " without --dial-allow",
    }
}

impl DialError {
    /// The reason in the chain of `error`, as clients above a dialer wrap it; `None` if it has another reason.
    #[must_use]
    pub fn within(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(found) = error.downcast_ref::<Self>() {
            return Some(*found);
        }
        match error.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
                return Some(Self::Untrusted);
            }
            Some(_) => return Some(Self::NotTls),
            None => {}
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // What an I/O error carries is not its source, but stands in its place.
            if let Some(found) = error.get_ref().and_then(|inner| Self::within(inner)) {
                return Some(found);
            }
            if error.kind() == io::ErrorKind::TimedOut {
                return Some(Self::Late);
            }
        }
        error.source().and_then(Self::within)
    }
}
