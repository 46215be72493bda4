//! Specs that the schema lets through and the planner cannot follow.

/// A field that cannot be followed, and what to do about it. Never quotes a value that could be
/// a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {advice}")]
pub struct Invalid {
    /// Path of the field, from `spec`.
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

impl From<prism_scale::Invalid> for Invalid {
    fn from(prism_scale::Invalid { field, advice }: prism_scale::Invalid) -> Self {
        Self { field, advice }
    }
}
