//! What is wanted: an autoscaling block with every alias, default and unit resolved.

mod amount;
mod behavior;
mod metric;
#[cfg(test)]
mod tests;
mod window;

use jiff::SignedDuration;
use prism_api::{
    PrismAutoscalerSpec,
    autoscaling::{Autoscaling, Fallback, ScalingMode},
};

pub use behavior::{Change, Pace, Rules, Select};
pub use metric::{PolicyMetric, Target};
pub use window::{InForce, Window, limits_at};

use crate::invalid::{Invalid, below};

/// Seconds between two looks, unless the spec says otherwise.
const DEFAULT_POLLING_SECONDS: i32 = 10;
/// Seconds without load before the last replica goes, unless the spec says otherwise.
const DEFAULT_COOLDOWN_SECONDS: i32 = 300;
/// A reading may be as old as this many looks take,
const MAX_AGE_IN_LOOKS: i32 = 3;
/// but no source is asked to measure more often than Prometheus usually does, twice over.
const SHORTEST_MAX_AGE: SignedDuration = SignedDuration::from_secs(60);

/// Fewest and most replicas, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fewest replicas.
    pub min: i32,
    /// Most replicas.
    pub max: i32,
}

/// What keeps scaling from happening at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The replicas stay as many as they are.
    Paused,
    /// There are this many replicas, whatever the limits say; less than 0 counts as 0, and more than
    /// 100 000 as that.
    Pinned(i32),
}

/// How the number of replicas follows the load: all that [`decide`](crate::decide()) is told about the wish of
/// the user.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether decisions are carried out.
    pub mode: ScalingMode,
    /// Fewest and most replicas outside of all windows.
    pub limits: Limits,
    /// Times with limits of their own; the first open one counts.
    pub windows: Vec<Window>,
    /// What to measure. The metric that asks for most replicas wins.
    pub metrics: Vec<PolicyMetric>,
    /// How fast replicas come.
    pub up: Rules,
    /// How fast replicas go.
    pub down: Rules,
    /// Replicas to run while no metric can be read.
    pub fallback: Option<Fallback>,
    /// Time between two looks at the metrics.
    pub polling_interval: SignedDuration,
    /// Time without load before the last replica goes.
    pub cooldown: SignedDuration,
    /// A reading that is older counts as none: stale data proposes nothing.
    pub max_age: SignedDuration,
    /// What keeps scaling from happening at all. No field of the spec sets it.
    pub hold: Option<Hold>,
}

impl Policy {
    /// Resolves `autoscaling`, which stands at `field` of its object; errors name fields below that.
    ///
    /// The block may be for any scaler: the rules of a `HorizontalPodAutoscaler` are the same. KEDA's
    /// `triggers` and `initialCooldownPeriod` are not looked at.
    ///
    /// # Errors
    /// [`Invalid`] with the field and the way out.
    pub fn of(autoscaling: &Autoscaling, field: &str) -> Result<Self, Invalid> {
        let (limits, windows) = Self::limits_of(autoscaling, field)?;
        let (up, down) = behavior::rules(autoscaling.behavior.as_ref(), &below(field, "behavior"))?;
        let polling = autoscaling.polling_interval.unwrap_or(DEFAULT_POLLING_SECONDS).max(1);
        let cooldown = autoscaling.cooldown_period.unwrap_or(DEFAULT_COOLDOWN_SECONDS).max(0);
        let polling_interval = SignedDuration::from_secs(i64::from(polling));
        Ok(Self {
            mode: autoscaling.mode.unwrap_or_default(),
            limits,
            windows,
            metrics: metric::metrics(autoscaling, field)?,
            up,
            down,
            fallback: autoscaling.fallback.clone(),
            polling_interval,
            cooldown: SignedDuration::from_secs(i64::from(cooldown)),
            max_age: polling_interval.saturating_mul(MAX_AGE_IN_LOOKS).max(SHORTEST_MAX_AGE),
            hold: None,
        })
    }

    /// Resolves the spec of a `PrismAutoscaler`, as the block of a pattern with the scaler `admin`.
    ///
    /// # Errors
    /// [`Invalid`] with the field, from `spec`, and the way out.
    pub fn of_autoscaler(spec: &PrismAutoscalerSpec) -> Result<Self, Invalid> {
        Self::of(&spec.autoscaling(), "")
    }

    /// Only the limits and windows of `autoscaling`, for objects whose scaler is another program and whose
    /// limits the planner writes: see [`limits_at`].
    ///
    /// # Errors
    /// [`Invalid`] with the field and the way out.
    pub fn limits_of(autoscaling: &Autoscaling, field: &str) -> Result<(Limits, Vec<Window>), Invalid> {
        let max = autoscaling.max_replicas.ok_or_else(|| {
            Invalid::new(
                below(field, "maxReplicas"),
                "is required while autoscaling is on: set the largest number of replicas to run",
            )
        })?;
        let min = autoscaling.min_replicas.unwrap_or(1);
        if min < 0 || min > max {
            let advice = "must be at least 0 and at most maxReplicas: raise maxReplicas or lower minReplicas";
            return Err(Invalid::new(below(field, "minReplicas"), advice));
        }
        let limits = Limits { min, max };
        let windows = autoscaling.windows.iter().enumerate();
        let windows = windows
            .map(|(index, window)| Window::of(window, limits, &below(field, &format!("windows[{index}]"))))
            .collect::<Result<_, _>>()?;
        Ok((limits, windows))
    }
}
