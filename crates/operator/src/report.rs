//! From what became of a plan to what the user is told.

use k8s_openapi::jiff::Timestamp;
use prism_api::{
    condition::{self, Condition, event, reason},
    labels,
};
use prism_engine::{
    Class, Error, Reported, Urgency, object::ObjectKey, queue::Lane, volumes, worker::Action,
};
use prism_plan::{
    conditions::find,
    program::Replace,
    report::{Problem, Report, deletion_failed},
};
use serde_json::Value;

use crate::{
    apply::Applied,
    context::Context,
    managed::{Managed, Status, Subject},
};

/// Writes the status if it differs, tells what is out of the ordinary, and says when to look again.
pub(crate) async fn report<K: Managed>(
    ctx: &Context,
    subject: &Subject<K>,
    applied: Applied<K::Plan>,
    lane: Lane,
) -> Result<Action, Error> {
    let before = subject.object.status().cloned().unwrap_or_default();
    let is_paused = subject.is_paused(ctx);
    let report = Report {
        problems: applied.pass.outcome.failed.iter().map(problem).collect(),
        inventory: applied.pass.inventory.clone(),
        is_paused,
        handled_request: subject.open_request().filter(|_| !is_paused).map(str::to_owned),
    };
    let after = subject.object.assess(&applied.plan, &subject.owner, report, ctx);
    let plan = applied.plan.as_ref().ok();
    let next_change = plan.and_then(K::next_change);
    let needs_polling = plan.is_some_and(K::needs_polling);
    let reported = write(ctx, subject, &before, &after, lane).await?;
    if reported == Reported::Written {
        warn(ctx, subject, before.conditions(), after.conditions()).await;
        tell_pause(ctx, subject, before.conditions(), after.conditions()).await;
    }
    tell(ctx, subject, &applied).await;
    match applied.into_failure() {
        Some(error) if error.class() == Class::Retry => Err(error),
        Some(error) if error.class() == Class::Stalled => Ok(Action::Stalled),
        _ if needs_polling => Ok(Action::Stalled),
        _ => Ok(ctx.rest_until(next_change)),
    }
}

/// Writes into the status why the deletion of the object does not come to an end, and hands `error` on.
pub(crate) async fn unfinished<K: Managed>(
    ctx: &Context,
    subject: &Subject<K>,
    error: Error,
) -> Result<Action, Error> {
    let before = subject.object.status().cloned().unwrap_or_default();
    let generation = subject.object.meta().generation;
    let conditions = deletion_failed(before.conditions(), generation, &problem(&error), Timestamp::now());
    let after = before.clone().with_conditions(conditions);
    write(ctx, subject, &before, &after, Lane::Report).await?;
    Err(error)
}

fn problem(error: &Error) -> Problem {
    match error {
        Error::NameTaken { key, holder } => Problem::Stalled {
            reason: reason::NAME_CONFLICT,
            message: format!(
                "{} {} {holder}: delete or rename it, or rename this object",
                key.kind, key.name
            ),
        },
        Error::Lost { key, missing } => {
            Problem::Stalled { reason: reason::CREDENTIALS_LOST, message: lost(key, missing) }
        }
        Error::Rejected { key, message } if key.kind == volumes::CLAIM => Problem::Stalled {
            reason: reason::STORAGE_CLASS_NOT_EXPANDABLE,
            message: format!(
                "spec.storage.size: volume {} cannot grow; set the size back: {message}",
                key.name
            ),
        },
        Error::Rejected { key, message } => Problem::Stalled {
            reason: reason::APPLY_REJECTED,
            message: format!("the API server refused {} {}: {message}", key.kind, key.name),
        },
        Error::FieldConflict { key, manager } => Problem::Stalled {
            reason: reason::FIELD_CONFLICT,
            message: format!(
                "{} changes or deletes {} {} whenever the operator writes it, which it does about once a minute from now on: stop that, or let it leave the fields of the operator alone",
                manager
                    .as_ref()
                    .map_or("somebody else".to_owned(), |manager| format!("the field manager {manager}")),
                key.kind,
                key.name
            ),
        },
        Error::Terminating { .. } => Problem::Waiting(error.to_string()),
        Error::Unavailable(_) | Error::Fenced => Problem::Retrying(error.to_string()),
    }
}

/// What to do about credentials that only a backup has.
fn lost(key: &ObjectKey, missing: &[String]) -> String {
    let (what, how) = if missing.is_empty() {
        (
            format!("Secret {} is gone", key.name),
            format!("restore it, with the annotation {}=true if it comes without its own", labels::ADOPT),
        )
    } else {
        (format!("Secret {} has no {}", key.name, missing.join(", ")), "restore that".to_owned())
    };
    format!(
        "{what}, and a new password would not open the data that is there: {how}; or, to begin without data, delete the StatefulSet of the server, its PersistentVolumeClaims and the Secret"
    )
}

async fn write<K: Managed>(
    ctx: &Context,
    subject: &Subject<K>,
    before: &K::Status,
    after: &K::Status,
    lane: Lane,
) -> Result<Reported, Error> {
    let json = |status: &K::Status| {
        serde_json::to_value(status).map_err(|error| Error::Unavailable(format!("status: {error}")))
    };
    let version = subject.object.meta().resource_version.as_deref();
    let version = version.and_then(|version| version.parse().ok()).unwrap_or_default();
    let cached: Value = json(before)?;
    let urgency = if K::is_progress_only(before, after) {
        Urgency::Progress
    } else if lane != Lane::Report && ctx.queue.is_busy() {
        Urgency::Busy
    } else {
        Urgency::Now
    };
    let reported = ctx.engine.report(&subject.owner, (version, &cached), &json(after)?, urgency).await?;
    match reported {
        // In its lane the report comes when nothing more urgent waits.
        Reported::Later(_) if urgency == Urgency::Busy => {
            ctx.queue.add(subject.owner.key.clone(), Lane::Report);
        }
        Reported::Later(wait) => ctx.queue.add_after(subject.owner.key.clone(), Lane::Report, wait),
        Reported::Unchanged | Reported::Written => {}
    }
    Ok(reported)
}

/// A warning for each condition that has turned bad, or is bad for another reason than before.
async fn warn<K: Managed>(ctx: &Context, subject: &Subject<K>, before: &[Condition], after: &[Condition]) {
    for condition in after {
        let was = find(before, &condition.type_);
        let is_news = was.is_none_or(|was| was.status != condition.status || was.reason != condition.reason);
        let is_bad = match condition.type_.as_str() {
            condition::STALLED | condition::SPEC_WARNING | condition::SCALER_CONFLICT => {
                condition.status == "True"
            }
            condition::BACKEND_RESOLVED | condition::SCALING_ACTIVE | condition::INTEGRATIONS_AVAILABLE => {
                condition.status == "False"
            }
            // Parts of a stack begin unhealthy: that is worth a warning only when they have served.
            condition::ADMIN_HEALTHY
            | condition::PROXY_HEALTHY
            | condition::CONSOLE_HEALTHY
            | condition::PATTERNS_READY
            | condition::BACKENDS_READY => {
                condition.status == "False" && was.is_some_and(|was| was.status == "True")
            }
            _ => false,
        };
        if is_news && is_bad {
            ctx.engine.events.warn(&subject.owner, &condition.reason, &condition.message).await;
        }
    }
}

/// That a pause has begun or ended.
async fn tell_pause<K: Managed>(
    ctx: &Context,
    subject: &Subject<K>,
    before: &[Condition],
    after: &[Condition],
) {
    let is_paused = |conditions| {
        find(conditions, condition::RECONCILING).is_some_and(|condition| condition.reason == reason::PAUSED)
    };
    let (reason, note) = match (is_paused(before), is_paused(after)) {
        (false, true) => (event::PAUSED, "the children are left alone from now on"),
        (true, false) => (event::RESUMED, "the children are looked after again"),
        _ => return,
    };
    ctx.engine.events.tell(&subject.owner, reason, note).await;
}

/// What went well and is still out of the ordinary.
async fn tell<K: Managed>(ctx: &Context, subject: &Subject<K>, applied: &Applied<K::Plan>) {
    let repaired = applied.repaired().map(|key| {
        let note = format!(
            "{} {} had been changed by somebody else and is as it should be again",
            key.kind, key.name
        );
        (event::DRIFT_REPAIRED, note)
    });
    let pruned =
        applied.pass.pruned.iter().map(|key| {
            (event::PRUNED, format!("{} {} is no longer wanted and was deleted", key.kind, key.name))
        });
    let replaced = applied.pass.replaced.iter().map(|how| match how {
        Replace::Grow(size) => {
            (event::VOLUMES_GROWN, format!("volumes grow to {size}; no pod restarts for it"))
        }
        Replace::Claims => {
            let note = "the StatefulSet is made anew, because its volumes change; volumes it had are kept";
            (event::WORKLOAD_REPLACED, note.to_owned())
        }
    });
    for (reason, note) in repaired.chain(pruned).chain(replaced) {
        ctx.engine.events.tell(&subject.owner, reason, &note).await;
    }
}
