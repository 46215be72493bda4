//! Decisions that carry their reason.

/// A decision, and why it was taken: shown in messages and test names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Because<T> {
    /// What was decided.
    pub value: T,
    /// Why, as the end of a sentence that begins with "because".
    pub why: &'static str,
}

/// `value`, because of `why`.
pub const fn because<T>(value: T, why: &'static str) -> Because<T> {
    Because { value, why }
}
