//! Scaling by the operator itself: looks at metrics, again and again, for each workload that asks for it.
//!
//! A look decides nothing that is not in `prism-scale`. What it comes to is written to the workload, and
//! told to the owner when it differs: the owner's next pass puts it into the status.

mod look;
pub(crate) mod secrets;
pub(crate) mod seen;
pub(crate) mod sources;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use prism_api::scaling::ScalingDecision;
use prism_engine::{metrics::Metrics, object::ObjectKey, supervise::supervise};
use prism_plan::scaling::Assignment;
use prism_scale::{Decision, ProblemKind};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// What is looked at, and what that came to last: by owner and name of the workload.
type Place = (ObjectKey, String);

/// The assignments of an owner, all of them.
type Order = (ObjectKey, Vec<Assignment>);

/// What a look came to.
#[derive(Clone)]
pub(crate) struct Outcome {
    record: ScalingDecision,
    /// Of each metric: why it could not be read. The record has the sentences, in which numbers move.
    problems: Vec<Option<ProblemKind>>,
}

/// Where owners leave what is to be looked at, and find what it came to.
#[derive(Default)]
pub(crate) struct Looks {
    orders: Mutex<Orders>,
    ordered: Notify,
    outcomes: Mutex<HashMap<Place, Outcome>>,
}

/// The newest order of each owner: however often owners order, there is one entry for each that has assignments.
#[derive(Default)]
struct Orders {
    /// All assignments of an owner; most have none.
    newest: HashMap<ObjectKey, Vec<Assignment>>,
    /// Owners whose order has not been carried out.
    open: HashSet<ObjectKey>,
}

impl Looks {
    /// From now on exactly `assignments` are looked at for `owner`.
    pub(crate) fn assign(&self, owner: &ObjectKey, assignments: Vec<Assignment>) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let known = orders.newest.get(owner).map(Vec::as_slice).unwrap_or_default();
        if *known != *assignments {
            if assignments.is_empty() {
                orders.newest.remove(owner);
            } else {
                orders.newest.insert(owner.clone(), assignments);
            }
            orders.open.insert(owner.clone());
            self.ordered.notify_one();
        }
    }

    /// Waits for orders that have not been carried out, and returns them.
    async fn orders(&self) -> Vec<Order> {
        loop {
            let open = self.open();
            if !open.is_empty() {
                return open;
            }
            self.ordered.notified().await;
        }
    }

    fn open(&self) -> Vec<Order> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let open = std::mem::take(&mut orders.open);
        let newest = |owner: ObjectKey| {
            let assignments = orders.newest.get(&owner).cloned().unwrap_or_default();
            (owner, assignments)
        };
        open.into_iter().map(newest).collect()
    }

    /// Nothing has been carried out: whoever did so before is gone.
    fn reopen(&self) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.open = orders.newest.keys().cloned().collect();
    }

    /// What the last look at `workload` came to.
    pub(crate) fn decision(&self, owner: &ObjectKey, workload: &str) -> Option<ScalingDecision> {
        self.lock().get(&(owner.clone(), workload.to_owned())).map(|outcome| outcome.record.clone())
    }

    /// Notes what a look came to; `false` if it is what the one before came to, or if the look has been
    /// called off.
    fn publish(&self, place: &Place, outcome: Outcome, ends: &CancellationToken) -> bool {
        let mut outcomes = self.lock();
        if ends.is_cancelled() {
            return false;
        }
        let is_same = outcomes.get(place).is_some_and(|before| before.is_same(&outcome));
        if !is_same {
            outcomes.insert(place.clone(), outcome);
        }
        !is_same
    }

    fn forget(&self, place: &Place) {
        self.lock().remove(place);
    }

    /// Each update is one insert or removal: a panic in between leaves whole entries behind.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Place, Outcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outcome {
    /// A record of a look that read nothing.
    fn unread(record: ScalingDecision) -> Self {
        Self { record, problems: Vec::new() }
    }

    /// Whether this says what `after` says, down to why metrics cannot be read. An age that grows from look to look
    /// is no news, and neither is another number in the same complaint.
    fn is_same(&self, after: &Self) -> bool {
        self.problems == after.problems && prism_scale::is_same_decision(&self.record, &after.record)
    }
}

impl From<&Decision> for Outcome {
    fn from(decision: &Decision) -> Self {
        let problem = |proposal: &prism_scale::decide::Proposal| {
            proposal.wanted.as_ref().err().map(prism_scale::Problem::kind)
        };
        Self { record: decision.record(), problems: decision.proposals.iter().map(problem).collect() }
    }
}

/// One workload that is looked at.
struct Watcher {
    assignment: watch::Sender<Assignment>,
    ends: CancellationToken,
}

/// Looks at whatever owners ask for, until `shutdown`. Changes of an assignment keep what its looks remember. A look
/// that panics is counted and begun anew, with its memory lost.
pub(crate) async fn serve(ctx: Arc<Context>, metrics: Arc<Metrics>, shutdown: CancellationToken) {
    let mut watchers: HashMap<Place, Watcher> = HashMap::new();
    let mut looks = JoinSet::new();
    ctx.looks.reopen();
    loop {
        let orders = tokio::select! {
            () = shutdown.cancelled() => return,
            orders = ctx.looks.orders() => orders,
            Some(_) = looks.join_next() => continue,
        };
        for (owner, assignments) in orders {
            let is_wanted =
                |workload: &String| assignments.iter().any(|wanted| wanted.target.name == *workload);
            watchers.retain(|place, watcher| {
                let stays = place.0 != owner || is_wanted(&place.1);
                if !stays {
                    watcher.ends.cancel();
                    ctx.looks.forget(place);
                }
                stays
            });
            for wanted in assignments {
                let place = (owner.clone(), wanted.target.name.clone());
                if let Some(watcher) = watchers.get(&place) {
                    watcher.assignment.send_if_modified(|known| {
                        let is_news = *known != wanted;
                        *known = wanted;
                        is_news
                    });
                    continue;
                }
                let (assignment, receiver) = watch::channel(wanted);
                let ends = shutdown.child_token();
                let look = {
                    let (ctx, place, ends) = (ctx.clone(), place.clone(), ends.clone());
                    move || look::look(ctx.clone(), place.clone(), receiver.clone(), ends.clone())
                };
                let (metrics, ended) = (metrics.clone(), ends.clone());
                looks.spawn(async move { supervise("look at metrics", &metrics, &ended, look).await });
                watchers.insert(place, Watcher { assignment, ends });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::{SignedDuration, Timestamp};
    use prism_scale::{Observation, Policy, Problem, Reading, State, decide};

    use serde_json::json;

    use super::*;

    /// The rules of a workload with one metric, whose readings count for a minute.
    fn policy_of_one_metric() -> Policy {
        let block = json!({
            "scaler": "admin", "maxReplicas": 9,
            "metrics": [{"type": "AdminMetric", "adminMetric": {"metricName": "lag", "target": {"averageValue": "5"}}}],
        });
        Policy::of(&serde_json::from_value(block).unwrap(), "spec.autoscaling").unwrap()
    }

    fn outcome(policy: &Policy, metric: Result<Reading, Problem>) -> Outcome {
        let seen = Observation { at: Timestamp::UNIX_EPOCH, current: 3, ready: 3, metrics: vec![metric] };
        Outcome::from(&decide(policy, &State::default(), &seen).0)
    }

    fn told(code: i32, sentence: &str) -> Result<Reading, Problem> {
        Err(Problem::new(ProblemKind::Answered(code), sentence))
    }

    #[test]
    fn a_complaint_that_differs_in_an_id_is_no_news() {
        let policy = policy_of_one_metric();
        let one = outcome(&policy, told(5, "request deadbeef failed"));
        let other = outcome(&policy, told(5, "request 0badcafe failed"));
        assert!(one.is_same(&other));
    }

    #[test]
    fn not_found_is_not_the_same_as_an_error_of_the_server() {
        let policy = policy_of_one_metric();
        let one = outcome(&policy, told(4, "Prometheus answers 4xx"));
        let other = outcome(&policy, told(5, "Prometheus answers 5xx"));
        assert!(!one.is_same(&other));
    }

    #[test]
    fn a_value_that_grows_older_is_no_news() {
        let policy = policy_of_one_metric();
        let aged = |hours| {
            let at = Timestamp::UNIX_EPOCH.checked_sub(SignedDuration::from_hours(hours)).unwrap();
            outcome(&policy, Ok(Reading::new(1.0, at)))
        };
        assert!(aged(2).is_same(&aged(30)));
        assert!(!aged(2).is_same(&outcome(&policy, Ok(Reading::new(1.0, Timestamp::UNIX_EPOCH)))));
    }
}
