//! What scales a workload, and what it says.
//!
//! Programs of patterns and stacks scale themselves, and a `PrismAutoscaler` scales whatever it names.
//! Both are a [`Scaling`], from which one of three engines follows: a `HorizontalPodAutoscaler`, a KEDA
//! `ScaledObject`, or the operator's own look at metrics. There is one scaler for a workload: the old
//! one is gone before the new one is made, and where somebody else scales, nothing is made at all.

mod admin;
mod authentication;
mod control;
mod facts;
mod hpa;
mod infer;
mod limits;
mod record;
mod scaled_object;
mod status;
mod trigger;
mod usage;

#[cfg(test)]
mod tests;

use k8s_openapi::{
    api::{autoscaling::v2::HorizontalPodAutoscaler, core::v1::ConfigMap},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
    jiff::Timestamp,
};
use prism_api::{
    autoscaling::{Autoscaling, Scaler, ScalingMode, Via},
    pattern::ActiveScaler,
    workload::WorkloadKind,
};

pub use admin::{Assignment, Export, Source, exports, sources};
pub use control::{Control, control};
pub use facts::{Holder, Outlets, ScalerFacts, ScalingFacts, SecretFacts, SeenScaler};
pub use infer::Queue;
pub use limits::Limits;
pub use scaled_object::trust_name;
pub use status::{conditions, warnings};
pub use usage::measured;

use crate::{
    invalid::Invalid,
    program::Program,
    types::{ScaleTarget, ScaledObject, TriggerAuthentication},
};

/// A workload that scales, with aliases, defaults and references resolved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scaling {
    /// Path of the autoscaling block, for messages: `spec.autoscaling`.
    pub field: String,
    /// Metadata of what is made, which is named like the workload.
    pub metadata: ObjectMeta,
    /// The workload.
    pub target: ScaleTarget,
    /// What scales it.
    pub scaler: ActiveScaler,
    /// How.
    pub autoscaling: Autoscaling,
    /// Whether somebody holds it where it is, or at a number.
    pub control: Control,
    /// What the workload takes its work from, for triggers that do not say.
    pub queues: Vec<Queue>,
    /// What admins know the workload as: the name of the pattern.
    pub pattern: String,
    /// Host and port of the admin, where the metric names none.
    pub admin: Option<String>,
}

/// Everything that scales one workload. Destructure it without `..`: then a child that is added here
/// and forgotten elsewhere does not compile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scalers {
    /// The scaler of Kubernetes itself.
    pub autoscaler: Option<HorizontalPodAutoscaler>,
    /// The scaler of KEDA.
    pub scaled_object: Option<ScaledObject>,
    /// Where its triggers get their credentials.
    pub authentications: Vec<TriggerAuthentication>,
    /// The certificate by which KEDA knows the operator.
    pub trust: Option<ConfigMap>,
}

/// What is to be done about the scaling of one workload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScalingPlan {
    /// What should exist.
    pub scalers: Scalers,
    /// What the operator itself looks at, and scales by.
    pub assignment: Option<Assignment>,
    /// Replicas that have to be written for the scaler to be able to begin: an autoscaler that finds
    /// none does nothing.
    pub wake: Option<i32>,
    /// Why it does not scale, or not as it should.
    pub obstacle: Option<Obstacle>,
    /// Limits now, and the window they come from.
    pub limits: Limits,
    /// When they change.
    pub next_change: Option<Timestamp>,
    /// What works, and should be thought about again.
    pub warnings: Vec<String>,
}

/// Why something does not scale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Somebody else scales it.
    Conflict(String),
    /// The scaler before has not gone yet.
    HandingOver(String),
    /// The cluster has no KEDA.
    KedaNotInstalled,
    /// A Secret with credentials of a trigger does not exist.
    SecretNotFound(String),
    /// A Secret with credentials of a trigger cannot be read, and why.
    SecretUnreadable(String, String),
    /// The outlet that the spec asks for is not open.
    OutletClosed(String),
}

impl Obstacle {
    /// Whether something is missing without which nobody scales, rather than somebody in the way.
    fn is_missing(&self) -> bool {
        matches!(self, Self::KedaNotInstalled | Self::SecretNotFound(_) | Self::OutletClosed(_))
    }
}

impl ScalingPlan {
    /// The plan for a program whose replicas are never left to a scaler: one that names its workload
    /// all the same is told of, and does not count.
    #[must_use]
    pub fn overruling(program: &Program, facts: &ScalingFacts) -> Self {
        let obstacle = facts.foreign().map(|scaler| {
            Obstacle::Conflict(format!(
                "{scaler} names {} {}, whose replicas only {} sets: what it writes is set back; delete it",
                program.kind.as_str(),
                program.name,
                program.replicas_field(),
            ))
        });
        Self { obstacle, ..Self::default() }
    }

    /// Nothing scales the workload before the one that it takes the place of has gone: one that begins
    /// with few pods that are ready must not be judged by those.
    pub(crate) fn wait_for(&mut self, predecessor: WorkloadKind, name: &str) {
        let has_begun = self.assignment.is_some() || self.scalers != Scalers::default();
        if self.obstacle.is_none() && has_begun {
            self.obstacle =
                Some(Obstacle::HandingOver(format!("{} {name} has to go first", predecessor.as_str())));
        }
        self.scalers = Scalers::default();
        self.assignment = None;
    }

    /// Whether a scaler that is there stays as it is: what is missing may come back, and until then the
    /// scaler does better than none.
    #[must_use]
    pub fn keeps_scaler(&self) -> bool {
        self.needs_polling() || matches!(self.obstacle, Some(Obstacle::OutletClosed(_)))
    }

    /// Whether it waits for something that no watch shows, so that it has to be planned again from time to time.
    #[must_use]
    pub fn needs_polling(&self) -> bool {
        matches!(self.obstacle, Some(Obstacle::SecretNotFound(_) | Obstacle::SecretUnreadable(..)))
    }
}

impl Scaling {
    /// Plans the scaling.
    ///
    /// # Errors
    /// When the block contradicts itself in a way that the schema cannot see.
    pub fn plan(&self, facts: &ScalingFacts) -> Result<ScalingPlan, Invalid> {
        if self.scaler == ActiveScaler::None {
            return Ok(ScalingPlan { obstacle: facts.rival(), ..ScalingPlan::default() });
        }
        let (limits, next_change) = Limits::at(self, facts.now)?;
        let engine = Engine::of(self);
        let mut plan = ScalingPlan { limits, next_change, ..ScalingPlan::default() };
        // Built before anything stands in the way: what is wrong in the spec is told at once.
        match engine {
            Engine::Autoscaler => hpa::build(self, facts, &mut plan)?,
            Engine::Keda => scaled_object::build(self, facts, &mut plan)?,
            Engine::Operator => {}
        }
        if self.scaler == ActiveScaler::Admin {
            plan.assignment = admin::assignment(self)?;
        }
        let obstacle = facts.rival().or_else(|| facts.predecessor(engine)).or_else(|| plan.obstacle.take());
        if let Some(obstacle) = obstacle {
            // Nobody scales until then, and the limits hold all the same: however the workload came to be.
            let is_alone = obstacle.is_missing() && facts.scalers.is_empty() && self.control == Control::Free;
            let within =
                |replicas: i32| replicas.clamp(plan.limits.min, plan.limits.max.max(plan.limits.min));
            let wanted = facts.desired.filter(|_| is_alone).map(|desired| (desired, within(desired)));
            plan.wake = wanted.filter(|(desired, within)| desired != within).map(|(_, within)| within);
            plan.obstacle = Some(obstacle);
            plan.scalers = Scalers::default();
            plan.assignment = None;
        } else if engine == Engine::Autoscaler && facts.desired == Some(0) && plan.limits.min > 0 {
            plan.wake = Some(plan.limits.min);
        }
        Ok(plan)
    }

    /// Whether decisions are made and not carried out.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.scaler == ActiveScaler::Admin && self.autoscaling.mode == Some(ScalingMode::Shadow)
    }
}

/// Whose hand changes the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A `HorizontalPodAutoscaler` of ours.
    Autoscaler,
    /// KEDA, and the `HorizontalPodAutoscaler` that it makes.
    Keda,
    /// The operator.
    Operator,
}

impl Engine {
    /// The engine of a workload that scales.
    #[must_use]
    pub fn of(scaling: &Scaling) -> Self {
        match (scaling.scaler, scaling.autoscaling.via.unwrap_or(Via::Direct)) {
            _ if scaling.is_shadow() => Self::Operator,
            (ActiveScaler::Keda, _) | (ActiveScaler::Admin, Via::Keda) => Self::Keda,
            (ActiveScaler::Admin, Via::Direct) => Self::Operator,
            (ActiveScaler::Hpa | ActiveScaler::None, _) | (ActiveScaler::Admin, Via::Hpa) => Self::Autoscaler,
        }
    }
}

/// What decides the replicas, by an autoscaling block.
#[must_use]
pub fn active_scaler(autoscaling: Option<&Autoscaling>) -> ActiveScaler {
    let Some(autoscaling) = autoscaling.filter(|autoscaling| autoscaling.is_enabled()) else {
        return ActiveScaler::None;
    };
    match autoscaling.scaler.or(autoscaling.strategy).unwrap_or(Scaler::Hpa) {
        Scaler::Hpa => ActiveScaler::Hpa,
        Scaler::Keda => ActiveScaler::Keda,
        Scaler::Admin => ActiveScaler::Admin,
    }
}
