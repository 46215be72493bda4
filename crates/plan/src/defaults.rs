//! What an operator installation fills in where a spec is silent, and what it refuses.

use crate::refusals::Refusals;

/// Defaults of this operator, set by its flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Registry and path before the program's name, such as `ghcr.io/prism`.
    pub image_registry: String,
    /// Tag of images that are not named: the version this operator was released with.
    pub version: String,
    /// What it refuses.
    pub refusals: Refusals,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            image_registry: "ghcr.io/prism".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            refusals: Refusals::default(),
        }
    }
}

impl Defaults {
    /// The image of `program`.
    #[must_use]
    pub fn image(&self, program: &str) -> String {
        format!("{}/{program}:{}", self.image_registry, self.version)
    }
}
