//! Where metrics are read.
//!
//! What a source says is taken as it is, and judged by the pure rules of `prism-scale`: age, and whether it is
//! a number at all. A source that cannot be asked is a problem in one sentence, which repeats nothing that a source
//! has written: its codes, and no text of it.

mod admin;
mod prometheus;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use prism_dial::{DialError, Dialer, Policy};
use prism_plan::scaling::Source;
use prism_scale::{Problem, ProblemKind, Reading};

use admin::Admins;
use prometheus::Prometheus;

/// How long a connection may take, name and TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection that nobody uses is kept. A metric is looked at every ten seconds, unless told otherwise.
const IDLE: Duration = Duration::from_mins(2);

/// What a source has told, or why it has not.
pub(crate) type Answer = Result<Reading, Problem>;

/// How sources are trusted.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Certificates, in PEM, of who signs for admins and for Prometheus, beside those that the machine
    /// knows. With it, an admin whose address has no scheme is spoken to over TLS.
    pub ca_file: Option<PathBuf>,
}

/// All sources.
pub(crate) struct Sources {
    admins: Admins,
    prometheus: Prometheus,
}

impl Sources {
    /// Sources at addresses that `policy` lets through.
    ///
    /// # Errors
    /// When the file of certificates cannot be read.
    pub(crate) fn new(trust: &Trust, policy: Policy) -> Result<Self, String> {
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|error| format!("{}: {error}: correct --admin-ca-file", path.display()))
        };
        let authorities = trust.ca_file.as_ref().map(read).transpose()?;
        let dialer = Dialer::new(policy, CONNECT);
        Ok(Self {
            prometheus: Prometheus::new(&dialer, authorities.as_deref())?,
            admins: Admins::new(dialer, authorities),
        })
    }

    /// Reads `sources`, in their order: those of one admin in one call. Whatever has not answered after
    /// `patience` has not answered.
    pub(crate) async fn read(&self, sources: &[Source], patience: Duration) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = vec![None; sources.len()];
        let (of_admins, of_prometheus) =
            tokio::join!(self.admins.read(sources, patience), self.prometheus.read(sources, patience));
        for (index, answer) in of_admins.into_iter().chain(of_prometheus) {
            answers[index] = Some(answer);
        }
        let unread = || Err(Problem::new(ProblemKind::Unasked, "nothing was asked"));
        answers.into_iter().map(|answer| answer.unwrap_or_else(unread)).collect()
    }

    /// Closes connections that nobody uses any more.
    pub(crate) fn evict_idle(&self, now: Instant) {
        self.admins.evict_idle(now);
    }
}

/// A source that did not answer in time.
fn late(patience: Duration) -> Problem {
    Problem::new(ProblemKind::Late, format!("no answer within {} s", patience.as_secs()))
}

/// An address in `field` that is none, for `reason`.
fn no_address(field: &str, reason: &str) -> Problem {
    Problem::new(ProblemKind::Refused, format!("{field} {reason}"))
}

/// No connection to `server`, which is named in `field`.
fn undialed(error: DialError, server: &str, field: &str) -> Problem {
    let kind = match error {
        // Which address it is, is the user's to correct.
        DialError::Refused(_) => return Problem::new(ProblemKind::Refused, format!("{field} {error}")),
        DialError::Unreachable => ProblemKind::Unreachable,
        DialError::Late => ProblemKind::Late,
        DialError::Untrusted | DialError::NotTls => ProblemKind::Untrusted,
    };
    Problem::new(kind, format!("{server} {error}"))
}
