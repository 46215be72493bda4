//! Autoscaling blocks that the schema lets through and nobody can follow.

/// A field that cannot be followed, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {advice}")]
pub struct Invalid {
    /// Path of the field, below what the caller named.
    pub field: String,
    /// What is wrong and how to mend it.
    pub advice: String,
}

impl Invalid {
    /// `field` cannot be followed; `advice` says what to do.
    pub fn new(field: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { field: field.into(), advice: advice.into() }
    }
}

/// Path of the field `name` below `parent`, which is empty at the top.
pub(crate) fn below(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}
