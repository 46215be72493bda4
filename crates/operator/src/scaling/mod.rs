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
use prism_engine::object::ObjectKey;
use prism_plan::scaling::Assignment;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// What is looked at, and what that came to last: by owner and name of the workload.
type Place = (ObjectKey, String);

/// The assignments of an owner, all of them.
type Order = (ObjectKey, Vec<Assignment>);

/// Where owners leave what is to be looked at, and find what it came to.
pub(crate) struct Looks {
    orders: mpsc::UnboundedSender<Order>,
    /// Owners that have assignments: most have none, and need not say so again and again.
    assigned: Mutex<HashSet<ObjectKey>>,
    decisions: Mutex<HashMap<Place, ScalingDecision>>,
}

/// The other end: what [`Orders::serve`] needs.
pub(crate) struct Orders(mpsc::UnboundedReceiver<Order>);

impl Looks {
    pub(crate) fn new() -> (Self, Orders) {
        let (orders, receiver) = mpsc::unbounded_channel();
        (Self { orders, assigned: Mutex::default(), decisions: Mutex::default() }, Orders(receiver))
    }

    /// From now on exactly `assignments` are looked at for `owner`.
    pub(crate) fn assign(&self, owner: &ObjectKey, assignments: Vec<Assignment>) {
        let mut assigned = self.assigned.lock().unwrap_or_else(PoisonError::into_inner);
        let had_some =
            if assignments.is_empty() { assigned.remove(owner) } else { !assigned.insert(owner.clone()) };
        if had_some || !assignments.is_empty() {
            // Fails only after the end of the process has begun, when nobody looks any more.
            let _ = self.orders.send((owner.clone(), assignments));
        }
    }

    /// What the last look at `workload` came to.
    pub(crate) fn decision(&self, owner: &ObjectKey, workload: &str) -> Option<ScalingDecision> {
        self.lock().get(&(owner.clone(), workload.to_owned())).cloned()
    }

    /// Notes what a look came to; `false` if it is what the one before came to, or if the look has been
    /// called off.
    fn publish(&self, place: &Place, decision: ScalingDecision, ends: &CancellationToken) -> bool {
        let mut decisions = self.lock();
        if ends.is_cancelled() {
            return false;
        }
        let is_same = decisions.get(place).is_some_and(|before| is_same(before, &decision));
        if !is_same {
            decisions.insert(place.clone(), decision);
        }
        !is_same
    }

    fn forget(&self, place: &Place) {
        self.lock().remove(place);
    }

    /// Each update is one insert or removal: a panic in between leaves whole entries behind.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Place, ScalingDecision>> {
        self.decisions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a decision says what the one before said, down to why metrics cannot be read. An age that grows
/// from look to look is no news.
fn is_same(before: &ScalingDecision, after: &ScalingDecision) -> bool {
    let problems = |decision: &ScalingDecision| -> Vec<String> {
        let problems = decision.metrics.iter().filter_map(|metric| metric.error.as_ref());
        problems.map(|problem| problem.replace(|c: char| c.is_ascii_digit(), "")).collect()
    };
    prism_scale::is_same_decision(before, after) && problems(before) == problems(after)
}

/// One workload that is looked at.
struct Watcher {
    assignment: watch::Sender<Assignment>,
    ends: CancellationToken,
}

impl Orders {
    /// Looks at whatever owners ask for, until `shutdown`. Changes of an assignment keep what its looks
    /// remember.
    pub(crate) async fn serve(mut self, ctx: Arc<Context>, shutdown: CancellationToken) {
        let mut watchers: HashMap<Place, Watcher> = HashMap::new();
        let mut looks = JoinSet::new();
        while let Some(Some((owner, assignments))) = shutdown.run_until_cancelled(self.0.recv()).await {
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
                let look = look::look(ctx.clone(), place.clone(), receiver, ends.clone());
                looks.spawn(look);
                watchers.insert(place, Watcher { assignment, ends });
            }
            while looks.try_join_next().is_some() {}
        }
    }
}
