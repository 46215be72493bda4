//! One workload, looked at again and again.

use std::{sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use prism_api::{pattern::ActiveScaler, scaling::ScalingDecision};
use prism_engine::{Error, queue::Lane};
use prism_plan::{scaling::Assignment, types::ScaleTarget};
use prism_scale::{Observation, Policy, State, decide};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Outcome, Place};
use crate::{context::Context, steps::scaled};

/// A source that has not answered by then has none: a look must not wait for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at the workload of an assignment until it is taken back.
pub(super) async fn look(
    ctx: Arc<Context>,
    place: Place,
    assignment: watch::Receiver<Assignment>,
    ends: CancellationToken,
) {
    ends.run_until_cancelled(look_on(&ctx, &place, assignment, &ends)).await;
}

async fn look_on(
    ctx: &Context,
    place: &Place,
    mut assignment: watch::Receiver<Assignment>,
    ends: &CancellationToken,
) {
    let mut state = State::default();
    loop {
        let current = assignment.borrow_and_update().clone();
        let policy = match current.policy() {
            Ok(policy) => policy,
            // The planner has tried the same, so this is not to be: but whoever looks no more is not asked again.
            Err(invalid) => {
                tracing::error!(object = &*place.0.name, workload = place.1, %invalid, "Cannot be followed");
                if assignment.changed().await.is_err() {
                    return;
                }
                continue;
            }
        };
        match look_once(ctx, &current, &policy, &mut state).await {
            Ok(Some(outcome)) => tell(ctx, place, outcome, ends),
            Ok(None) => tell(ctx, place, Outcome::unread(without_target(&current)), ends),
            Err(error) => {
                tracing::warn!(object = &*place.0.name, workload = place.1, %error, "Cannot scale");
            }
        }
        let pause = Duration::try_from(policy.polling_interval).unwrap_or(PATIENCE);
        tokio::select! {
            () = sleep(pause) => {}
            changed = assignment.changed() => if changed.is_err() { return },
        }
    }
}

/// Reads, decides, and carries it out. `None`: there is nothing to scale.
async fn look_once(
    ctx: &Context,
    assignment: &Assignment,
    policy: &Policy,
    state: &mut State,
) -> Result<Option<Outcome>, Error> {
    let Some(key) = scaled(&assignment.target, &assignment.namespace) else { return Ok(None) };
    let metrics = ctx.sources.read(&assignment.sources, PATIENCE).await;
    let Some(workload) = timeout(PATIENCE, ctx.engine.look(&key)).await.map_err(late)?? else {
        return Ok(None);
    };
    let seen = Observation {
        at: Timestamp::now(),
        current: workload.desired,
        ready: workload.ready.min(workload.desired),
        metrics,
    };
    let (decision, next) = decide(policy, state, &seen);
    if !assignment.is_shadow && decision.desired != workload.desired {
        timeout(PATIENCE, ctx.engine.scale(&key, decision.desired)).await.map_err(late)??;
    }
    *state = next;
    Ok(Some(Outcome::from(&decision)))
}

fn tell(ctx: &Context, place: &Place, outcome: Outcome, ends: &CancellationToken) {
    if ctx.looks.publish(place, outcome, ends) {
        ctx.queue.add(place.0.clone(), Lane::Child);
    }
}

/// The record of a look that found nothing to scale.
fn without_target(assignment: &Assignment) -> ScalingDecision {
    let ScaleTarget { kind, name, .. } = &assignment.target;
    ScalingDecision {
        message: format!("there is no {kind} {name} to scale"),
        scaler: Some(ActiveScaler::Admin),
        ..ScalingDecision::default()
    }
}

fn late(_: tokio::time::error::Elapsed) -> Error {
    Error::Unavailable(format!("no answer within {} s", PATIENCE.as_secs()))
}
