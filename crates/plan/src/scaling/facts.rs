//! What is known of the scalers of a workload.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::autoscaling::v2::{HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus},
    jiff::Timestamp,
};
use prism_api::scaling::ScalingDecision;

use super::{Engine, Obstacle};

/// What the scaling of a workload depends on, beside its spec.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScalingFacts {
    /// Now.
    pub now: Timestamp,
    /// Whether the cluster serves the kinds of KEDA.
    pub keda_is_served: bool,
    /// Every scaler whose target is the workload.
    pub scalers: Vec<ScalerFacts>,
    /// The `PrismAutoscaler` that names the workload, where the planner speaks for somebody else.
    pub claimed_by: Option<String>,
    /// Who decides the replicas without a scaler that could be seen, in a sentence with a way out.
    pub decided_elsewhere: Option<String>,
    /// Names of the `TriggerAuthentication`s of the namespace that are not the operator's own.
    pub authentications: BTreeSet<String>,
    /// What is known of the Secrets that triggers may need, by name.
    pub secrets: BTreeMap<String, SecretFacts>,
    /// What the operator's own look at the metrics came to last.
    pub decision: Option<ScalingDecision>,
    /// `spec.replicas` of the workload, if it exists.
    pub desired: Option<i32>,
    /// How others ask the operator for metrics.
    pub outlets: Outlets,
}

/// What is known of a Secret: never what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretFacts {
    /// It has these keys.
    Keys(BTreeSet<String>),
    /// There is no such Secret.
    Absent,
    /// It cannot be read, and why.
    Unreadable(String),
}

/// How others ask the operator for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlets {
    /// For KEDA: host and port, and the certificate of who signs for it, in PEM.
    pub external_scaler: Option<(String, String)>,
    /// For autoscalers: why they cannot ask through `external.metrics.k8s.io`, if they cannot.
    pub external_metrics_closed: Option<String>,
}

/// One scaler.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalerFacts {
    /// Its name.
    pub name: String,
    /// Who made it.
    pub holder: Holder,
    /// What it is, and says.
    pub seen: SeenScaler,
}

/// Who made a scaler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Whoever is planned for.
    This,
    /// KEDA, for a `ScaledObject` of whoever is planned for.
    Keda,
    /// The operator, for the `PrismAutoscaler` of that name.
    Autoscaler(String),
    /// Somebody else.
    Other,
}

/// A scaler in the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum SeenScaler {
    /// A `HorizontalPodAutoscaler`. Boxed: its metrics may be many.
    Autoscaler(Box<(HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus)>),
    /// A `ScaledObject`, with its conditions: type, status, reason, message.
    ScaledObject(Vec<[String; 4]>),
}

impl ScalerFacts {
    fn is_scaled_object(&self) -> bool {
        matches!(self.seen, SeenScaler::ScaledObject(_))
    }

    fn title(&self) -> String {
        let kind = if self.is_scaled_object() { "ScaledObject" } else { "HorizontalPodAutoscaler" };
        format!("{kind} {}", self.name)
    }
}

impl ScalingFacts {
    /// The `ScaledObject` of whoever is planned for.
    pub(super) fn scaled_object(&self) -> Option<&ScalerFacts> {
        self.scalers.iter().find(|scaler| scaler.is_scaled_object() && scaler.holder == Holder::This)
    }

    /// The `HorizontalPodAutoscaler` of whoever is planned for, or the one that KEDA made for them.
    pub(super) fn autoscaler(
        &self,
        is_keda: bool,
    ) -> Option<(&HorizontalPodAutoscalerSpec, &HorizontalPodAutoscalerStatus)> {
        self.scalers.iter().find_map(|scaler| match (&scaler.seen, &scaler.holder) {
            (SeenScaler::Autoscaler(seen), Holder::This) if !is_keda => Some((&seen.0, &seen.1)),
            (SeenScaler::Autoscaler(seen), Holder::Keda) if is_keda => Some((&seen.0, &seen.1)),
            _ => None,
        })
    }

    /// Somebody else's scaler on the same workload. One that KEDA made speaks for its `ScaledObject`.
    pub(super) fn rival(&self) -> Option<Obstacle> {
        if let Some(message) = &self.decided_elsewhere {
            return Some(Obstacle::Conflict(message.clone()));
        }
        let rival = self.foreign()?;
        Some(Obstacle::Conflict(format!(
            "{rival} scales the same workload and was made by somebody else: delete it, or switch autoscaling off here"
        )))
    }

    /// Kind and name of a scaler that somebody else made.
    pub(super) fn foreign(&self) -> Option<String> {
        Some(self.scalers.iter().find(|scaler| scaler.holder == Holder::Other)?.title())
    }

    /// A scaler of our own, of another engine, that has not gone yet.
    pub(super) fn predecessor(&self, engine: Engine) -> Option<Obstacle> {
        let remaining = self.scalers.iter().find(|scaler| {
            let (is_ours, is_kedas) = (scaler.holder == Holder::This, matches!(scaler.holder, Holder::Keda));
            match engine {
                Engine::Autoscaler => is_kedas || (is_ours && scaler.is_scaled_object()),
                Engine::Keda => is_ours && !scaler.is_scaled_object(),
                Engine::Operator => is_ours || is_kedas,
            }
        })?;
        Some(Obstacle::HandingOver(format!("{} has to go first", remaining.title())))
    }

    /// Whether somebody other than the spec decides the replicas, although the spec names no scaler.
    #[must_use]
    pub fn has_scaler(&self) -> bool {
        let lingers = |scaler: &ScalerFacts| scaler.holder != Holder::This || scaler.is_scaled_object();
        self.claimed_by.is_some() || self.scalers.iter().any(lingers)
    }
}
