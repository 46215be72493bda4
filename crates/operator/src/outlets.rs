//! How others ask the operator for metrics.

use prism_plan::scaling;

/// The outlets that are open.
#[derive(Default)]
pub(crate) struct Outlets(scaling::Outlets);

impl Outlets {
    /// What planners are told of them.
    pub(crate) fn facts(&self) -> scaling::Outlets {
        self.0.clone()
    }
}
