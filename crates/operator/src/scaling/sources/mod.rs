//! Where metrics are read.
//!
//! What a source says is taken as it is, and judged by the pure rules of `prism-scale`: age, and whether it is
//! a number at all. A source that cannot be asked is a problem in one sentence, without credentials.

mod admin;
mod prometheus;

use std::{path::PathBuf, time::Duration};

use prism_plan::scaling::Source;
use prism_scale::{Problem, Reading};

use admin::Admins;
use prometheus::Prometheus;

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
    /// # Errors
    /// When the file of certificates cannot be read.
    pub(crate) fn new(trust: &Trust) -> Result<Self, String> {
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|error| format!("{}: {error}: correct --admin-ca-file", path.display()))
        };
        let authorities = trust.ca_file.as_ref().map(read).transpose()?;
        Ok(Self {
            admins: Admins::new(authorities.clone()),
            prometheus: Prometheus::new(authorities.as_deref())?,
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
        let unread = || Err(Problem("nothing was asked".to_owned()));
        answers.into_iter().map(|answer| answer.unwrap_or_else(unread)).collect()
    }
}

/// A source that did not answer in time.
fn late(patience: Duration) -> Problem {
    Problem(format!("no answer within {} s", patience.as_secs()))
}
