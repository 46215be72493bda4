//! The `ScaledObject` of a workload.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use prism_api::pattern::ActiveScaler;

use super::{Control, Obstacle, Scaling, ScalingFacts, ScalingPlan, admin, hpa, trigger};
use crate::{
    invalid::Invalid,
    text::bounded,
    types::{
        Advanced, AutoscalerConfig, ConfigMapTarget, KedaAuthenticationRef, KedaFallback, KedaTrigger,
        ScaledObject, ScaledObjectSpec, TriggerAuthentication, TriggerAuthenticationSpec,
    },
};

/// Seconds between two looks, if the spec does not say.
const POLLING_INTERVAL: i32 = 10;
/// Seconds without load before the last replica goes, if the spec does not say.
const COOLDOWN_PERIOD: i32 = 300;
/// KEDA puts the name of its autoscaler into a label.
const AUTOSCALER_NAME_LIMIT: usize = 63;
/// Names of `TriggerAuthentication`s and `ConfigMap`s are DNS subdomains.
pub(super) const NAME_LIMIT: usize = 253;
/// Annotation by which KEDA leaves the replicas as they are.
const PAUSED: &str = "autoscaling.keda.sh/paused";
/// Annotation by which KEDA sets the replicas to a number and leaves them there.
const PAUSED_REPLICAS: &str = "autoscaling.keda.sh/paused-replicas";
/// Key of the certificate in the `ConfigMap` that KEDA reads it from.
const CA_KEY: &str = "ca.crt";

/// Adds the `ScaledObject`, and what its triggers need.
pub(super) fn build(scaling: &Scaling, facts: &ScalingFacts, plan: &mut ScalingPlan) -> Result<(), Invalid> {
    let triggers = if scaling.scaler == ActiveScaler::Admin {
        asking_the_operator(scaling, facts, plan)?
    } else {
        trigger::build(scaling, facts, plan)?
    };
    if !facts.keda_is_served {
        plan.obstacle = Some(Obstacle::KedaNotInstalled);
    }
    let block = &scaling.autoscaling;
    let limits = plan.limits.clone();
    let spec = ScaledObjectSpec {
        scale_target_ref: scaling.target.clone(),
        min_replica_count: limits.min,
        max_replica_count: limits.max,
        polling_interval: block.polling_interval.unwrap_or(POLLING_INTERVAL),
        cooldown_period: block.cooldown_period.unwrap_or(COOLDOWN_PERIOD),
        initial_cooldown_period: block.initial_cooldown_period,
        advanced: Advanced {
            restore_to_original_replica_count: block.restore_to_original_replica_count.unwrap_or(false),
            horizontal_pod_autoscaler_config: AutoscalerConfig {
                name: bounded(&format!("keda-hpa-{}", scaling.target.name), AUTOSCALER_NAME_LIMIT),
                behavior: hpa::behavior(scaling),
            },
        },
        fallback: block.fallback.as_ref().map(|fallback| KedaFallback {
            failure_threshold: fallback.failure_threshold,
            replicas: fallback.replicas,
            behavior: fallback.behavior,
        }),
        triggers,
    };
    plan.scalers.scaled_object = Some(ScaledObject::new(controlled(scaling), spec));
    Ok(())
}

/// The metadata, with what a person has decided about the replicas.
fn controlled(scaling: &Scaling) -> ObjectMeta {
    let annotation = match scaling.control {
        Control::Free => None,
        Control::Paused => Some((PAUSED.to_owned(), "true".to_owned())),
        Control::Pinned(replicas) => Some((PAUSED_REPLICAS.to_owned(), replicas.to_string())),
    };
    let annotations: Option<BTreeMap<_, _>> = annotation.map(|pair| [pair].into());
    ObjectMeta { annotations, ..scaling.metadata.clone() }
}

/// Name of the `ConfigMap` by which KEDA knows the operator, and of the `TriggerAuthentication` that names it.
#[must_use]
pub fn trust_name(workload: &str) -> String {
    bounded(&format!("{workload}-external-scaler"), NAME_LIMIT)
}

/// Triggers by which KEDA asks the operator.
fn asking_the_operator(
    scaling: &Scaling,
    facts: &ScalingFacts,
    plan: &mut ScalingPlan,
) -> Result<Vec<KedaTrigger>, Invalid> {
    let exports = admin::exports(scaling)?;
    let Some((address, authority)) = &facts.outlets.external_scaler else {
        let message = "this operator does not answer KEDA: start it with --external-scaler-bind-address, or remove via: keda";
        plan.obstacle = Some(Obstacle::OutletClosed(message.to_owned()));
        return Ok(Vec::new());
    };
    let name = trust_name(&scaling.target.name);
    let metadata = ObjectMeta { name: Some(name.clone()), ..scaling.metadata.clone() };
    plan.scalers.trust = Some(ConfigMap {
        metadata: metadata.clone(),
        data: Some([(CA_KEY.to_owned(), authority.clone())].into()),
        ..ConfigMap::default()
    });
    let authority =
        ConfigMapTarget { parameter: "caCert".to_owned(), name: name.clone(), key: CA_KEY.to_owned() };
    plan.scalers.authentications.push(TriggerAuthentication::new(
        metadata,
        TriggerAuthenticationSpec { config_map_target_ref: vec![authority], ..Default::default() },
    ));
    let triggers = exports.into_iter().map(|export| {
        let mut metadata = export.coordinates;
        metadata.insert("scalerAddress".to_owned(), address.clone());
        metadata.insert("enableTLS".to_owned(), "true".to_owned());
        KedaTrigger {
            type_: "external".to_owned(),
            name: None,
            metadata,
            authentication_ref: Some(KedaAuthenticationRef { name: name.clone(), kind: None }),
            metric_type: export.metric_type,
            use_cached_metrics: false,
        }
    });
    Ok(triggers.collect())
}
