//! The scalers that are in the cluster, whoever made them.

use k8s_openapi::{api::autoscaling::v2::HorizontalPodAutoscaler, jiff::Timestamp};
use kube::{
    Resource, ResourceExt,
    core::{DeserializeGuard, Object, ObjectMeta},
};
use prism_api::{
    autoscaler::{PrismAutoscaler, TargetKind},
    names,
    pattern::ActiveScaler,
    workload::WorkloadKind,
};
use prism_engine::{
    object::{Kind, ObjectKey, Owner},
    queue::Lane,
};
use prism_plan::{
    autoscaler::claims,
    scaling::{Holder, ScalerFacts, ScalingFacts, SeenScaler},
};
use serde::{Deserialize, Serialize};

use crate::{context::Context, kinds, ownership};

/// A `ScaledObject` of KEDA, as far as anybody looks at it.
pub(crate) type ScaledObjectView = Object<ScaledObjectSpecView, ScaledObjectStatusView>;

/// What is scaled.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ScaledObjectSpecView {
    pub(crate) scale_target_ref: TargetView,
}

/// A workload.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct TargetView {
    pub(crate) kind: Option<String>,
    pub(crate) name: String,
}

/// What KEDA says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ScaledObjectStatusView {
    conditions: Vec<ConditionView>,
}

/// A condition.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
struct ConditionView {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: String,
    message: String,
}

/// The kind and the name of what a scaler scales. KEDA's default is a Deployment.
pub(crate) fn target_of_scaled_object(view: &ScaledObjectView) -> (String, String) {
    let target = &view.spec.scale_target_ref;
    (target.kind.clone().unwrap_or_else(|| kinds::DEPLOYMENT.name.to_owned()), target.name.clone())
}

/// The kind and the name of what a scaler scales.
pub(crate) fn target_of_autoscaler(autoscaler: &HorizontalPodAutoscaler) -> (String, String) {
    let target = autoscaler.spec.as_ref().map(|spec| &spec.scale_target_ref);
    target.map(|target| (target.kind.clone(), target.name.clone())).unwrap_or_default()
}

/// What of a scaler concerns its workload: everything but the values of metrics, which move all the time.
pub(crate) fn essence_of_autoscaler(autoscaler: &HorizontalPodAutoscaler) -> impl PartialEq + use<> {
    let status = autoscaler.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default().into_iter();
    let conditions: Vec<_> =
        conditions.map(|condition| (condition.type_, condition.status, condition.reason)).collect();
    (essence(&autoscaler.metadata), target_of_autoscaler(autoscaler), status.desired_replicas, conditions)
}

/// The same of one of KEDA's.
pub(crate) fn essence_of_scaled_object(view: &ScaledObjectView) -> impl PartialEq + use<> {
    (essence(&view.metadata), target_of_scaled_object(view), view.status.clone())
}

fn essence(metadata: &ObjectMeta) -> impl PartialEq + use<> {
    (metadata.uid.clone(), metadata.deletion_timestamp.is_some(), metadata.owner_references.clone())
}

/// What is known of the scaling of the workloads of `owner` in `namespace` that are called `targets`, by
/// kind and name.
pub(crate) fn facts(
    ctx: &Context,
    owner: &Owner,
    namespace: &str,
    targets: &[(Kind, String)],
) -> ScalingFacts {
    let is_target = |(kind, name): (String, String)| {
        targets.iter().any(|(wanted, target)| wanted.name == kind && *target == name)
    };
    let is_here = |metadata: &ObjectMeta| metadata.namespace.as_deref() == Some(namespace);
    let scaled_objects =
        ctx.scaled_objects.find(|view| is_here(&view.metadata) && is_target(target_of_scaled_object(view)));
    let autoscalers = ctx
        .autoscalers
        .find(|autoscaler| is_here(&autoscaler.metadata) && is_target(target_of_autoscaler(autoscaler)));
    let mut scalers: Vec<ScalerFacts> = scaled_objects
        .iter()
        .map(|view| ScalerFacts {
            name: view.name_any(),
            holder: holder(&view.metadata, owner),
            seen: SeenScaler::ScaledObject(view.status.iter().flat_map(conditions).collect()),
        })
        .collect();
    scalers.extend(autoscalers.iter().filter_map(|autoscaler| {
        let seen = (autoscaler.spec.clone()?, autoscaler.status.clone().unwrap_or_default());
        Some(ScalerFacts {
            name: autoscaler.name_any(),
            holder: holder_of_autoscaler(ctx, &autoscaler.metadata, owner)?,
            seen: SeenScaler::Autoscaler(Box::new(seen)),
        })
    }));
    scalers.sort_by(|one, other| one.name.cmp(&other.name));
    let is_foreign = |metadata: &ObjectMeta| is_here(metadata) && holder(metadata, owner) == Holder::Other;
    ScalingFacts {
        now: Timestamp::now(),
        keda_is_served: [kinds::SCALED_OBJECT, kinds::TRIGGER_AUTHENTICATION]
            .into_iter()
            .all(|kind| ctx.optional.is_served(kind)),
        scalers,
        decided_elsewhere: None,
        claimed_by: claimant(ctx, namespace, &is_target, owner),
        authentications: ctx
            .authentications
            .find(|view| is_foreign(&view.metadata))
            .iter()
            .map(|view| view.name_any())
            .collect(),
        secrets: ctx.secret_keys.of(namespace),
        decision: targets.iter().find_map(|(_, name)| ctx.looks.decision(&owner.key, name)),
        desired: targets.iter().find_map(|(kind, name)| {
            Some(ctx.engine.ledger().get(&ObjectKey::new(*kind, namespace, name))?.workload?.desired)
        }),
        outlets: ctx.outlets.facts(),
    }
}

fn conditions(status: &ScaledObjectStatusView) -> Vec<[String; 4]> {
    let conditions = status.conditions.iter().cloned();
    conditions
        .map(|condition| [condition.type_, condition.status, condition.reason, condition.message])
        .collect()
}

fn holder(metadata: &ObjectMeta, owner: &Owner) -> Holder {
    match ownership::controller(metadata) {
        Some(controller) if controller.uid == *owner.uid => Holder::This,
        Some(controller) if controller.kind == kinds::PRISM_AUTOSCALER.name => {
            Holder::Autoscaler(controller.name.clone())
        }
        // Somebody has cut it off: it is taken back by the next apply.
        None if is_applied_by_us(metadata) => Holder::This,
        _ => Holder::Other,
    }
}

fn is_applied_by_us(metadata: &ObjectMeta) -> bool {
    let mut managers = metadata.managed_fields.iter().flatten();
    managers.any(|entry| {
        entry.manager.as_deref() == Some(names::FIELD_MANAGER) && entry.operation.as_deref() == Some("Apply")
    })
}

/// What KEDA has made speaks for its `ScaledObject`, and is counted with that one: alone only if it is
/// ours, or has already gone.
fn holder_of_autoscaler(ctx: &Context, metadata: &ObjectMeta, owner: &Owner) -> Option<Holder> {
    let mut controllers = metadata.owner_references.iter().flatten();
    let Some(scaled_object) = controllers.find(|one| one.kind == kinds::SCALED_OBJECT.name) else {
        return Some(holder(metadata, owner));
    };
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    match ctx.scaled_objects.get(namespace, &scaled_object.name) {
        Some(view) if holder(&view.metadata, owner) != Holder::This => None,
        _ => Some(Holder::Keda),
    }
}

/// The `PrismAutoscaler` that scales the workload, if that is not `owner` itself. One that only watches, or
/// whose spec cannot be followed, takes the replicas from nobody.
fn claimant(
    ctx: &Context,
    namespace: &str,
    is_target: &impl Fn((String, String)) -> bool,
    owner: &Owner,
) -> Option<String> {
    if owner.key.kind == kinds::PRISM_AUTOSCALER {
        return None;
    }
    let names = |autoscaler: &PrismAutoscaler| {
        let target = &autoscaler.spec.target_ref;
        match target.kind {
            TargetKind::PrismPattern => {
                owner.key.kind == kinds::PRISM_PATTERN && *owner.key.name == *target.name
            }
            TargetKind::Deployment => is_target((kinds::DEPLOYMENT.name.to_owned(), target.name.clone())),
            TargetKind::StatefulSet => is_target((kinds::STATEFUL_SET.name.to_owned(), target.name.clone())),
        }
    };
    let now = Timestamp::now();
    let found = ctx.prism_autoscalers.find(|guarded| {
        guarded.meta().namespace.as_deref() == Some(namespace)
            && guarded.meta().deletion_timestamp.is_none()
            && guarded.0.as_ref().is_ok_and(|autoscaler| names(autoscaler) && claims(autoscaler, now))
    });
    found.iter().map(|guarded| guarded.name_any()).min()
}

/// Who else decides the replicas of the workload that the `PrismAutoscaler` `owner` names: the pattern,
/// stack or backend that it belongs to, or an autoscaler of the same kind whose name comes first.
pub(crate) fn other_decider(ctx: &Context, owner: &Owner, workload: &ObjectKey) -> Option<String> {
    let made = maker(ctx, workload).and_then(|maker| decided_by_maker(ctx, &maker.key, workload));
    if made.is_some() {
        return made;
    }
    let now = Timestamp::now();
    let rivals = ctx.prism_autoscalers.find(|guarded| {
        let is_itself = guarded.name_any() == *owner.key.name;
        guarded.meta().namespace.as_deref() == Some(&*owner.key.namespace)
            && guarded.0.as_ref().is_ok_and(|other| {
                target(ctx, other).as_ref() == Some(workload) && (is_itself || claims(other, now))
            })
    });
    let first = rivals.iter().map(|guarded| guarded.name_any()).min()?;
    (first != *owner.key.name)
        .then(|| format!("PrismAutoscaler {first} scales the same workload: delete one of the two"))
}

/// Who made `workload`. What its metadata says is the word of whoever may write there: it is believed of
/// an owner beside it that exists, in that very incarnation.
pub(crate) fn maker(ctx: &Context, workload: &ObjectKey) -> Option<Owner> {
    let owner = ctx.engine.ledger().get(workload)?.owner?;
    let ObjectKey { kind, namespace, name } = &owner.key;
    let uid = if *kind == kinds::PRISM_PATTERN {
        ctx.patterns.get(namespace, name)?.meta().uid.clone()
    } else if *kind == kinds::PRISM_STACK {
        ctx.stacks.get(namespace, name)?.meta().uid.clone()
    } else if *kind == kinds::PRISM_BACKEND {
        ctx.backends.get(namespace, name)?.meta().uid.clone()
    } else {
        None
    };
    (*namespace == workload.namespace && uid.as_deref() == Some(&*owner.uid)).then_some(owner)
}

/// Whether the maker of a workload leaves its replicas to nobody, in a sentence with a way out.
fn decided_by_maker(ctx: &Context, maker: &ObjectKey, workload: &ObjectKey) -> Option<String> {
    let fixed = |why: &str, field: &str| {
        format!(
            "the replicas of {} {} are those of {} {}, {why}: only {field} there sets them; delete this object",
            workload.kind, workload.name, maker.kind, maker.name
        )
    };
    if maker.kind == kinds::PRISM_BACKEND {
        return Some(fixed("whose servers hold data", "spec.provision.replicas"));
    }
    let is = |component: &str| {
        let name = prism_plan::stack::child_name(&maker.name, component);
        maker.kind == kinds::PRISM_STACK
            && [WorkloadKind::Deployment, WorkloadKind::StatefulSet]
                .into_iter()
                .any(|kind| crate::steps::workload_key(&maker.namespace, &name, kind) == *workload)
    };
    if is("admin") {
        return Some(fixed("whose members vote", "spec.admin.replicas"));
    }
    let active = prism_plan::scaling::active_scaler;
    let scaler = if maker.kind == kinds::PRISM_PATTERN {
        let pattern = ctx.patterns.get(&maker.namespace, &maker.name)?;
        active(pattern.0.as_ref().ok()?.spec.autoscaling.as_ref())
    } else {
        let stack = ctx.stacks.get(&maker.namespace, &maker.name)?;
        let spec = &stack.0.as_ref().ok()?.spec;
        let component = if is("proxy") {
            spec.proxy.as_ref()
        } else {
            spec.web_console.as_ref().filter(|_| is("web-console"))
        };
        active(component.and_then(|component| component.autoscaling.as_ref()))
    };
    (scaler != ActiveScaler::None).then(|| {
        format!(
            "{} {} scales the workload itself: set autoscaling.enabled: false there, or delete this object",
            maker.kind, maker.name
        )
    })
}

/// Enqueues the `PrismAutoscaler`s that name `workload`.
pub(crate) fn enqueue_autoscalers(ctx: &Context, workload: &ObjectKey) {
    let names = |autoscaler: &DeserializeGuard<PrismAutoscaler>| {
        let readable = autoscaler.0.as_ref().ok();
        readable.and_then(|autoscaler| target(ctx, autoscaler)).as_ref() == Some(workload)
    };
    ctx.enqueue(&ctx.prism_autoscalers, Lane::Child, names);
}

/// The workload that `autoscaler` names; `None` while its pattern has none.
pub(crate) fn target(ctx: &Context, autoscaler: &PrismAutoscaler) -> Option<ObjectKey> {
    let namespace = autoscaler.namespace().unwrap_or_default();
    let target = &autoscaler.spec.target_ref;
    let key = |kind: Kind| ObjectKey::new(kind, &namespace, &target.name);
    match target.kind {
        TargetKind::Deployment => Some(key(kinds::DEPLOYMENT)),
        TargetKind::StatefulSet => Some(key(kinds::STATEFUL_SET)),
        TargetKind::PrismPattern => {
            let pattern = ctx.patterns.get(&namespace, &target.name)?;
            let status = pattern.0.as_ref().ok()?.status.clone()?;
            Some(crate::steps::workload_key(&namespace, &target.name, status.kind?))
        }
    }
}
