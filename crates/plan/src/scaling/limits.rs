//! Between which numbers a workload scales at a given time.

use k8s_openapi::jiff::Timestamp;
use prism_scale::{InForce, Policy, limits_at};

use super::{Control, Scaling};
use crate::invalid::Invalid;

/// Fewest and most replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Fewest.
    pub min: i32,
    /// Most.
    pub max: i32,
    /// The window that they come from, if one is open.
    pub window: Option<String>,
}

impl Limits {
    /// The limits at the time `now`, and when they change.
    pub(super) fn at(scaling: &Scaling, now: Timestamp) -> Result<(Self, Option<Timestamp>), Invalid> {
        let (base, windows) = Policy::limits_of(&scaling.autoscaling, &scaling.field)?;
        let InForce { limits, window, next_change } = limits_at(&windows, base, now);
        Ok((Self { min: limits.min, max: limits.max, window }, next_change))
    }

    /// The same, or the one number that somebody has pinned.
    pub(super) fn pinned(&self, control: Control) -> Self {
        match control {
            Control::Pinned(replicas) => Self { min: replicas, max: replicas, window: None },
            Control::Free | Control::Paused => self.clone(),
        }
    }
}
