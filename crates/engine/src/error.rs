//! What can go wrong, sorted by what to do about it.

use crate::object::ObjectKey;

/// A request that did not lead where it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused the content: only a changed spec or policy helps.
    #[error("{key}: {message}")]
    Rejected {
        /// Which child.
        key: ObjectKey,
        /// The API server's words.
        message: String,
    },
    /// The name is taken by an object that is not ours.
    #[error("{key}: {holder}")]
    NameTaken {
        /// Which child.
        key: ObjectKey,
        /// Whose it is.
        holder: String,
    },
    /// What was drawn at random is gone, and something relies on it: only a backup has it.
    #[error("{key} is incomplete")]
    Lost {
        /// Which child.
        key: ObjectKey,
        /// Which keys of its data; none, if all of it is gone.
        missing: Vec<String>,
    },
    /// Somebody else changes or deletes the child again and again.
    #[error("{key} is changed by {}, again and again", manager.as_deref().unwrap_or("somebody else"))]
    FieldConflict {
        /// Which child.
        key: ObjectKey,
        /// The other field manager, if that is known.
        manager: Option<String>,
    },
    /// The child is on its way out, and a watch shows it: its deletion enqueues its owner.
    #[error("{key} is being deleted")]
    Terminating {
        /// Which child.
        key: ObjectKey,
    },
    /// The cluster could not serve the request: try again later.
    #[error("{0}")]
    Unavailable(String),
    /// This process may no longer write.
    #[error("leadership was lost")]
    Fenced,
}

/// What an error asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A dependency: an event wakes the object.
    Wait,
    /// The cluster: try again with backoff.
    Retry,
    /// The user: say what to do, and look again rarely.
    Stalled,
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Rejected { .. }
            | Self::NameTaken { .. }
            | Self::Lost { .. }
            | Self::FieldConflict { .. } => Class::Stalled,
            Self::Terminating { .. } => Class::Wait,
            Self::Unavailable(_) | Self::Fenced => Class::Retry,
        }
    }

    /// Which child it is about, if it is about one.
    #[must_use]
    pub fn key(&self) -> Option<&ObjectKey> {
        match self {
            Self::Rejected { key, .. }
            | Self::NameTaken { key, .. }
            | Self::Lost { key, .. }
            | Self::FieldConflict { key, .. }
            | Self::Terminating { key } => Some(key),
            Self::Unavailable(_) | Self::Fenced => None,
        }
    }

    /// Sorts the error of a write to `key`.
    #[must_use]
    pub fn of_write(key: &ObjectKey, error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::Unavailable(format!("{key}: {}", describe(error)));
        };
        let message = message(status);
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let is_terminating = causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating");
        match status.code {
            403 if is_terminating => Self::Unavailable(format!("the namespace of {key} is being deleted")),
            // Server-side apply says nothing better of a list that has two entries of one key.
            500 if message.contains("duplicate entries for key") => {
                Self::Rejected { key: key.clone(), message }
            }
            400 | 403 | 404 | 405 | 413 | 422 => Self::Rejected { key: key.clone(), message },
            _ => Self::Unavailable(format!("{key}: {message}")),
        }
    }
}

/// Characters of an answer that a status takes up.
const LONGEST: usize = 1024;

/// What the API server says, in bounded length. What a proxy in front of it says, in HTML, is for browsers.
fn message(status: &kube::core::Status) -> String {
    if status.message.trim_start().starts_with('<') {
        return format!("the answer is {}, with a body that is none of the API server", status.code);
    }
    status.message.chars().take(LONGEST).collect()
}

/// The whole chain of causes in one line: kube's own text stops at "service error".
#[must_use]
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// Whether `error` is the API server's answer with `code`.
pub(crate) fn has_code(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Kind, KindInfo};
    use kube::core::Status;

    const CHILD: Kind = Kind(&KindInfo::new("example.io", "v1", "Child", "children"));

    #[test]
    fn what_a_proxy_says_in_html_is_not_repeated_and_nothing_is_endless() {
        let key = ObjectKey::new(CHILD, "ns", "c");
        let told = |text: String| {
            let status = Status { code: 502, message: text, ..Status::default() };
            Error::of_write(&key, &kube::Error::Api(Box::new(status))).to_string()
        };
        let html = told("\n<html><body>Bad gateway of 10.0.0.7</body></html>".to_owned());
        assert_eq!(html, "Child ns/c: the answer is 502, with a body that is none of the API server");
        assert!(told("x".repeat(4 << 20)).len() < 1100);
    }
}
