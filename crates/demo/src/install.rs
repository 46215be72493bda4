//! What the demo asks of the cluster.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use prism_api::{PrismPattern, condition};
use prism_plan::conditions::{find, is_true};
use prism_rig::Note;
use prism_testbed::until;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::place::{NAMESPACE, Place};

/// Field manager of everything the demo applies.
pub(crate) const MANAGER: &str = "prism-demo";
/// The pattern that is shown.
const SAMPLE: &str = include_str!("../../../config/samples/prismpattern_hpa_example.yaml");
/// Its name.
pub(crate) const PATTERN: &str = "shop-events";
/// The sample is Ready within this time, images that a real cluster has to pull included.
const READY_TIMEOUT: Duration = Duration::from_mins(3);

/// Makes the namespace.
pub(crate) async fn namespace(place: &Place) -> Result<()> {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(NAMESPACE.to_owned());
    apply(&Api::all(place.client.clone()), &namespace).await
}

/// Applies the sample.
pub(crate) async fn pattern(place: &Place) -> Result<()> {
    let pattern: PrismPattern = serde_saphyr::from_str(SAMPLE)?;
    apply(&patterns(place), &pattern).await
}

/// Waits until the sample is Ready for its current spec, and at rest.
pub(crate) async fn ready(place: &Place, note: &Note) -> Result<PrismPattern> {
    let what = format!("pattern {PATTERN} is Ready");
    let api = patterns(place);
    let ready = until(&api, PATTERN, &what, READY_TIMEOUT, |pattern| {
        let pattern = pattern.ok_or("it is gone")?;
        let state = state(pattern);
        note.set(&state);
        let conditions = conditions(pattern);
        let is_current = pattern.status.as_ref().and_then(|status| status.observed_generation)
            == pattern.metadata.generation;
        let is_ready = is_current
            && is_true(conditions, condition::READY)
            && !is_true(conditions, condition::RECONCILING);
        if is_ready { Ok(pattern.clone()) } else { Err(state) }
    });
    Ok(Box::pin(ready).await?)
}

/// The sample as the cluster has it, if it is there and the cluster answers.
pub(crate) async fn look(place: &Place) -> Option<PrismPattern> {
    patterns(place).get_opt(PATTERN).await.ok().flatten()
}

/// All conditions of a pattern.
pub(crate) fn conditions(pattern: &PrismPattern) -> &[condition::Condition] {
    pattern.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
}

/// How far a pattern has come, in one line.
fn state(pattern: &PrismPattern) -> String {
    let Some(ready) = find(conditions(pattern), condition::READY) else {
        return "the operator has not looked at it yet".to_owned();
    };
    format!("{}: {}", ready.reason, ready.message)
}

fn patterns(place: &Place) -> Api<PrismPattern> {
    Api::namespaced(place.client.clone(), NAMESPACE)
}

async fn apply<K>(api: &Api<K>, object: &K) -> Result<()>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned,
{
    let params = PatchParams::apply(MANAGER).force();
    api.patch(&object.name_any(), &params, &Patch::Apply(object)).await?;
    Ok(())
}
