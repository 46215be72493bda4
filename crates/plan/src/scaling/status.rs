//! What the status says about scaling.

use k8s_openapi::{api::autoscaling::v2::HorizontalPodAutoscalerCondition, jiff::Timestamp};
use prism_api::{
    condition::{self, reason},
    pattern::ActiveScaler,
    scaling::{HeldBy, ScalingDecision},
};

use super::{Engine, Obstacle, Scaling, ScalingFacts, ScalingPlan, SeenScaler, record};
use crate::{conditions::Conditions, text::without_credentials};

/// One condition in the making: status (`None`: unknown), reason and message.
type Judgement = (Option<bool>, String, String);

/// Sets the conditions about scaling, and returns the record of the last decision. `before` is the
/// record that the status has.
pub fn conditions(
    conditions: &mut Conditions<'_>,
    scaling: &Scaling,
    plan: &ScalingPlan,
    facts: &ScalingFacts,
    before: Option<&ScalingDecision>,
    now: Timestamp,
) -> Option<ScalingDecision> {
    if let Some(Obstacle::Conflict(message)) = &plan.obstacle {
        conditions.set(condition::SCALER_CONFLICT, true, reason::FOREIGN_SCALER, message.as_str());
    }
    if scaling.scaler == ActiveScaler::None {
        return None;
    }
    let engine = Engine::of(scaling);
    let (status, reason, message) = match &plan.obstacle {
        Some(obstacle) => obstructed(obstacle),
        None => match engine {
            Engine::Operator => by_operator(facts),
            Engine::Keda => by_keda(facts),
            Engine::Autoscaler => by_autoscaler(facts, false),
        },
    };
    let message = without_credentials(&message);
    match status {
        Some(status) => conditions.set(condition::SCALING_ACTIVE, status, &reason, message),
        None => conditions.set_unknown(condition::SCALING_ACTIVE, &reason, message),
    }
    let record = match engine {
        Engine::Operator => facts.decision.clone(),
        Engine::Keda | Engine::Autoscaler => {
            // Its status begins with numbers that nobody has decided: conditions come with the first decision.
            let decided =
                facts.autoscaler(engine == Engine::Keda).filter(|(_, seen)| seen.conditions.is_some());
            decided.map(|(spec, status)| {
                record::of_autoscaler(scaling.scaler, &plan.limits, spec, status, before, now)
            })
        }
    };
    if plan.obstacle.is_none() {
        limited(conditions, facts, engine, record.as_ref());
    }
    record.or_else(|| before.cloned())
}

/// Things to think about, one sentence each.
pub fn warnings(plan: &ScalingPlan) -> impl Iterator<Item = (&'static str, &str)> {
    plan.warnings.iter().map(|message| (reason::REPLICAS_CAPPED, message.as_str()))
}

fn obstructed(obstacle: &Obstacle) -> Judgement {
    let (reason, message) = match obstacle {
        Obstacle::Conflict(message) => (reason::SCALER_CONFLICT, message.clone()),
        Obstacle::HandingOver(message) => {
            let message = format!("{message}; the replicas stay as they are until then");
            return (None, reason::HANDING_OVER.to_owned(), message);
        }
        Obstacle::KedaNotInstalled => (
            reason::KEDA_NOT_INSTALLED,
            "the cluster has no KEDA, so the replicas stay as they are: install KEDA, or use the scaler hpa"
                .to_owned(),
        ),
        Obstacle::SecretNotFound(name) => (
            reason::SECRET_NOT_FOUND,
            format!(
                "a trigger needs the Secret {name}, which does not exist: create it, or correct authenticationRef"
            ),
        ),
        Obstacle::SecretUnreadable(name, why) => (
            reason::SECRET_UNREADABLE,
            format!(
                "a trigger needs the Secret {name}, which cannot be read: let the operator get it, or correct authenticationRef ({why})"
            ),
        ),
        Obstacle::OutletClosed(message) => (reason::OUTLET_CLOSED, message.clone()),
    };
    (Some(false), reason.to_owned(), message)
}

/// What the operator's own look at the metrics came to.
fn by_operator(facts: &ScalingFacts) -> Judgement {
    let Some(decision) = &facts.decision else {
        return (None, reason::PROGRESSING.to_owned(), "the metrics have not been read yet".to_owned());
    };
    let problems: Vec<String> = decision
        .metrics
        .iter()
        .filter_map(|metric| Some(format!("{}: {}", metric.name, metric.error.as_ref()?)))
        .collect();
    if decision.held_by == Some(HeldBy::Fallback) {
        return (Some(false), reason::FALLBACK_ACTIVE.to_owned(), problems.join("; "));
    }
    if problems.is_empty() {
        return (Some(true), reason::METRICS_READ.to_owned(), "every metric was read".to_owned());
    }
    (Some(false), reason::METRICS_UNAVAILABLE.to_owned(), problems.join("; "))
}

/// What KEDA says, and below it the autoscaler that it made.
fn by_keda(facts: &ScalingFacts) -> Judgement {
    let Some(SeenScaler::ScaledObject(seen)) = facts.scaled_object().map(|scaler| &scaler.seen) else {
        return (None, reason::PROGRESSING.to_owned(), "the ScaledObject does not exist yet".to_owned());
    };
    let get = |type_: &str| seen.iter().find(|[name, ..]| name == type_);
    let or = |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
    if let Some([_, status, reason, message]) = get("Paused")
        && status == "True"
    {
        return (Some(false), or(reason, reason::SCALING_PAUSED), or(message, "scaling is paused"));
    }
    match get("Ready") {
        Some([_, status, ..]) if status == "True" => {}
        Some([_, status, reason, message]) if status == "False" => {
            return (Some(false), or(reason, reason::METRICS_UNAVAILABLE), message.clone());
        }
        _ => return (None, reason::PROGRESSING.to_owned(), "KEDA has not looked at it yet".to_owned()),
    }
    if let Some([_, status, _, message]) = get("Fallback")
        && status == "True"
    {
        return (Some(false), reason::FALLBACK_ACTIVE.to_owned(), message.clone());
    }
    if facts.desired == Some(0) {
        let message = "there is no load, and no replica; KEDA starts the first one when there is";
        return (Some(true), reason::SCALED_TO_ZERO.to_owned(), message.to_owned());
    }
    by_autoscaler(facts, true)
}

fn by_autoscaler(facts: &ScalingFacts, is_keda: bool) -> Judgement {
    let shown =
        facts.autoscaler(is_keda).and_then(|(_, status)| find(status.conditions.as_deref(), "ScalingActive"));
    let Some(shown) = shown else {
        return (None, reason::PROGRESSING.to_owned(), "the autoscaler has not looked yet".to_owned());
    };
    let status = match shown.status.as_str() {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    };
    let reason = shown.reason.clone().unwrap_or_else(|| reason::PROGRESSING.to_owned());
    (status, reason, shown.message.clone().unwrap_or_default())
}

/// Whether limits keep the replicas from what the metrics ask for: as the autoscaler says, or by the
/// operator's own decision.
fn limited(
    conditions: &mut Conditions<'_>,
    facts: &ScalingFacts,
    engine: Engine,
    record: Option<&ScalingDecision>,
) {
    if engine == Engine::Operator {
        let Some(record) = record else { return };
        let reason = match record.held_by {
            Some(HeldBy::MinReplicas) => "TooFewReplicas",
            Some(HeldBy::MaxReplicas) => "TooManyReplicas",
            Some(HeldBy::ScaleUpPolicy) => "ScaleUpLimit",
            Some(HeldBy::ScaleDownPolicy) => "ScaleDownLimit",
            _ => {
                let message = "the replicas are as many as the metrics ask for";
                return conditions.set(condition::SCALING_LIMITED, false, "DesiredWithinRange", message);
            }
        };
        return conditions.set(condition::SCALING_LIMITED, true, reason, record.message.as_str());
    }
    let seen = facts.autoscaler(engine == Engine::Keda);
    if let Some(shown) = seen.and_then(|(_, status)| find(status.conditions.as_deref(), "ScalingLimited")) {
        let reason = shown.reason.clone().unwrap_or_default();
        let message = shown.message.clone().unwrap_or_default();
        conditions.set(condition::SCALING_LIMITED, shown.status == "True", &reason, message);
    }
}

fn find<'a>(
    conditions: Option<&'a [HorizontalPodAutoscalerCondition]>,
    type_: &str,
) -> Option<&'a HorizontalPodAutoscalerCondition> {
    conditions?.iter().find(|condition| condition.type_ == type_)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::*, *};

    /// The decision that the status records while the autoscaler says `status`.
    fn recorded(status: Value) -> Option<i32> {
        let spec = json!({"maxReplicas": 5, "scaleTargetRef": {}});
        let seen = (serde_json::from_value(spec).unwrap(), serde_json::from_value(status).unwrap());
        let scaler = ScalerFacts {
            name: "orders".to_owned(),
            holder: Holder::This,
            seen: SeenScaler::Autoscaler(Box::new(seen)),
        };
        let facts = ScalingFacts { scalers: vec![scaler], ..ScalingFacts::default() };
        let scaling = Scaling { scaler: ActiveScaler::Hpa, ..Scaling::default() };
        let now = Timestamp::UNIX_EPOCH;
        let mut set = Conditions::new(&[], None, now);
        let record = conditions(&mut set, &scaling, &ScalingPlan::default(), &facts, None, now);
        record.map(|record| record.desired_replicas)
    }

    #[test]
    fn an_autoscaler_that_has_not_looked_yet_has_decided_nothing() {
        assert_eq!(recorded(json!({"desiredReplicas": 0, "currentReplicas": 0})), None);
        let able = json!({"type": "AbleToScale", "status": "True"});
        assert_eq!(recorded(json!({"desiredReplicas": 2, "conditions": [able]})), Some(2));
    }
}
