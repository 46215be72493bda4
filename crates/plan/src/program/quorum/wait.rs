//! What a step of a change of members waits for.

/// What has to happen before the next step, to which members by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The cluster's own controller has yet to follow the last write.
    Controller,
    /// Members have to end.
    Gone(Vec<i32>),
    /// Members have to start.
    There(Vec<i32>),
    /// Members have to be replaced by such of the newest template.
    Replaced(Vec<i32>),
    /// Members have to serve.
    Ready(Vec<i32>),
}

impl Wait {
    /// What it is, in words, of members of the set `name`.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let (ordinals, state) = match self {
            Self::Controller => return format!("waits until StatefulSet {name} follows its spec"),
            Self::Gone(ordinals) => (ordinals, "gone"),
            Self::There(ordinals) => (ordinals, "there"),
            Self::Replaced(ordinals) => (ordinals, "replaced"),
            Self::Ready(ordinals) => (ordinals, "ready"),
        };
        let names: Vec<_> = ordinals.iter().map(|ordinal| format!("{name}-{ordinal}")).collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        format!("waits until {} {verb} {state}", names.join(", "))
    }
}
