//! Why a metric could not be read.

use std::fmt;

use crate::text::presentable;

/// Why a metric could not be read, in a sentence that is fit for a status: of at most 256 characters, in one line,
/// without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    kind: ProblemKind,
    sentence: String,
}

/// What sort of problem it is. Two problems of one kind are the same one, whatever numbers and names their
/// sentences have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// There is nobody to ask, or nothing was asked.
    Unasked,
    /// Its source must not be asked.
    Refused,
    /// Its source cannot be reached.
    Unreachable,
    /// Its source does not answer in time.
    Late,
    /// Its source does not prove who it is.
    Untrusted,
    /// Its source says that it does not tell, with this code of its protocol.
    Answered(i32),
    /// What its source answers is not what was asked for.
    Unreadable,
    /// What was read is no amount, or nothing to aim at.
    NoAmount,
    /// What was read is too old.
    Stale,
    /// What was read is from a time to come.
    Ahead,
}

impl Problem {
    /// A problem of this kind. Of `sentence`, what must not be in a status is left out.
    pub fn new(kind: ProblemKind, sentence: impl AsRef<str>) -> Self {
        Self { kind, sentence: presentable(sentence.as_ref()) }
    }

    /// What sort of problem it is.
    #[must_use]
    pub const fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// The same problem, of a `part` of the metric.
    #[must_use]
    pub fn of(self, part: &str) -> Self {
        Self::new(self.kind, format!("{part}: {}", self.sentence))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_short_and_has_no_credentials_whatever_it_is_made_of() {
        let long = format!("dial redis://user:secret@host\n{}", "x".repeat(4 << 20));
        let problem = Problem::new(ProblemKind::Unreachable, long).of("its rate");
        let sentence = problem.to_string();
        assert!(sentence.starts_with("its rate: dial redis://***@host xxx"), "{sentence}");
        assert_eq!(sentence.chars().count(), 256);
        assert_eq!(problem.kind(), ProblemKind::Unreachable);
    }
}
