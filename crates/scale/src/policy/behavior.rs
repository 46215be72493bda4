//! How fast replicas come and go: KEP-853, and KEP-4951 for tolerance.

use jiff::SignedDuration;
use k8s_openapi::api::autoscaling::v2::{HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerBehavior};

use super::amount;
use crate::invalid::{Invalid, below};

/// Share of the target by which a value may be off without any change, unless the spec says otherwise: the
/// default of kube-controller-manager's `--horizontal-pod-autoscaler-tolerance`.
const DEFAULT_TOLERANCE: f64 = 0.1;
/// Seconds for which scaling down looks back, unless the spec says otherwise.
const DEFAULT_DOWN_STABILIZATION_SECONDS: i64 = 300;
/// Seconds in the period of all default policies.
const DEFAULT_PERIOD_SECONDS: i64 = 15;

/// The rules of one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// How long to look back: up, to the fewest replicas wanted in that time; down, to the most.
    pub stabilization: SignedDuration,
    /// Share of the target by which a value may be off without any change: 0.1 is ten percent.
    pub tolerance: f64,
    /// Which policy counts.
    pub select: Select,
    /// What may change in a time. Never empty.
    pub policies: Vec<Pace>,
}

/// Which of several policies counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// The one that allows the largest change.
    Max,
    /// The one that allows the smallest change.
    Min,
    /// None: nothing changes in this direction.
    Disabled,
}

/// How much may change within a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How much.
    pub change: Change,
    /// In what time. Not zero.
    pub period: SignedDuration,
}

/// How much may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// So many replicas.
    Pods(i32),
    /// So many percent of the replicas at the start of the period.
    Percent(i32),
}

impl Rules {
    /// Scaling up as a `HorizontalPodAutoscaler` does it unasked: at once, by 4 pods or to twice as many in
    /// 15 seconds, whichever is more.
    #[must_use]
    pub fn up() -> Self {
        Self {
            stabilization: SignedDuration::ZERO,
            tolerance: DEFAULT_TOLERANCE,
            select: Select::Max,
            policies: vec![default_pace(Change::Percent(100)), default_pace(Change::Pods(4))],
        }
    }

    /// Scaling down as a `HorizontalPodAutoscaler` does it unasked: to the most replicas that were wanted in
    /// the last 300 seconds, as fast as that allows.
    #[must_use]
    pub fn down() -> Self {
        Self {
            stabilization: SignedDuration::from_secs(DEFAULT_DOWN_STABILIZATION_SECONDS),
            tolerance: DEFAULT_TOLERANCE,
            select: Select::Min,
            policies: vec![default_pace(Change::Percent(100))],
        }
    }

    /// The longest period of all policies.
    pub(crate) fn longest_period(&self) -> SignedDuration {
        self.policies.iter().map(|pace| pace.period).max().unwrap_or(SignedDuration::ZERO)
    }

    fn with(self, rules: &HPAScalingRules, field: &str) -> Result<Self, Invalid> {
        let select = match rules.select_policy.as_deref() {
            None => self.select,
            Some("Max") => Select::Max,
            Some("Min") => Select::Min,
            Some("Disabled") => Select::Disabled,
            Some(_) => {
                return Err(Invalid::new(below(field, "selectPolicy"), "is none of Max, Min and Disabled"));
            }
        };
        let stabilization = match rules.stabilization_window_seconds {
            None => self.stabilization,
            Some(seconds @ 0..) => SignedDuration::from_secs(i64::from(seconds)),
            Some(_) => {
                return Err(Invalid::new(below(field, "stabilizationWindowSeconds"), "must be at least 0"));
            }
        };
        let tolerance = match &rules.tolerance {
            None => self.tolerance,
            Some(quantity) => amount::number(&quantity.0).ok_or_else(|| {
                Invalid::new(below(field, "tolerance"), "is not a quantity: write 0.05 for five percent")
            })?,
        };
        let given = rules.policies.as_deref().unwrap_or_default();
        let policies = if given.is_empty() {
            self.policies
        } else {
            let paces = given.iter().enumerate();
            paces
                .map(|(index, policy)| pace(policy, &below(field, &format!("policies[{index}]"))))
                .collect::<Result<_, _>>()?
        };
        Ok(Self { stabilization, tolerance, select, policies })
    }
}

/// The rules up and down of `behavior`, which stands at `field`. What it leaves out is as on a
/// `HorizontalPodAutoscaler`, except that scaling down chooses the smallest change.
pub(super) fn rules(
    behavior: Option<&HorizontalPodAutoscalerBehavior>,
    field: &str,
) -> Result<(Rules, Rules), Invalid> {
    let given = |defaults: Rules, rules: Option<&HPAScalingRules>, name: &str| match rules {
        Some(rules) => defaults.with(rules, &below(field, name)),
        None => Ok(defaults),
    };
    let up = given(Rules::up(), behavior.and_then(|behavior| behavior.scale_up.as_ref()), "scaleUp")?;
    let down = given(Rules::down(), behavior.and_then(|behavior| behavior.scale_down.as_ref()), "scaleDown")?;
    Ok((up, down))
}

const fn default_pace(change: Change) -> Pace {
    Pace { change, period: SignedDuration::from_secs(DEFAULT_PERIOD_SECONDS) }
}

fn pace(policy: &HPAScalingPolicy, field: &str) -> Result<Pace, Invalid> {
    if policy.value <= 0 {
        return Err(Invalid::new(
            below(field, "value"),
            "must be more than 0: selectPolicy: Disabled stops a direction",
        ));
    }
    if policy.period_seconds <= 0 {
        return Err(Invalid::new(below(field, "periodSeconds"), "must be more than 0"));
    }
    let change = match policy.type_.as_str() {
        "Pods" => Change::Pods(policy.value),
        "Percent" => Change::Percent(policy.value),
        _ => return Err(Invalid::new(below(field, "type"), "is neither Pods nor Percent")),
    };
    Ok(Pace { change, period: SignedDuration::from_secs(i64::from(policy.period_seconds)) })
}
