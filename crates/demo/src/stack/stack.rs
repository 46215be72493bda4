//! The stack that is shown: how it is made, edited and removed.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::Api;
use kube::api::DeleteParams;
use prism_api::component::ComponentStatus;
use prism_api::stack::{PrismStackStatus, StackPattern};
use prism_api::{PrismStack, condition};
use prism_demo::{Place, Result};
use prism_plan::conditions::{find, is_true};
use prism_rig::Note;
use prism_testbed::until;

/// Namespace of everything the demo makes.
pub(crate) const NAMESPACE: &str = "prism-demo";
/// Its name.
pub(crate) const STACK: &str = "shop";
/// What the demo applies.
const SAMPLE: &str = include_str!("../../../../config/samples/prismstack.yaml");
/// What it adds to the patterns afterwards.
pub(crate) const ADDITION: &str = "name: receipts\ntype: claimcheck\nbackend: cache\n";
/// What was said last of each part.
pub(crate) type Told = BTreeMap<String, &'static str>;

/// The sample is Ready within this time, images that a real cluster has to pull included.
const READY_TIMEOUT: Duration = Duration::from_mins(5);
/// A stack is gone within this time.
const GONE_TIMEOUT: Duration = Duration::from_mins(3);

/// Removes the stack, and waits until it is gone.
pub(crate) async fn remove(place: &Place, note: &Note) -> Result<()> {
    note.set("patterns first, then what leads to them, the admin, the backends");
    let api = stacks(place);
    api.delete(STACK, &DeleteParams::default()).await?;
    let gone = until(&api, STACK, "the stack is gone", GONE_TIMEOUT, |stack| match stack {
        None => Ok(()),
        Some(_) => Err("it is still there".to_owned()),
    });
    Ok(Box::pin(gone).await?)
}

/// Applies the sample.
pub(crate) async fn create(place: &Place) -> Result<()> {
    Box::pin(place.apply(&stacks(place), &serde_saphyr::from_str(SAMPLE)?)).await
}

/// Applies the sample with one pattern more.
pub(crate) async fn extend(place: &Place) -> Result<()> {
    let mut stack: PrismStack = serde_saphyr::from_str(SAMPLE)?;
    let addition: StackPattern = serde_saphyr::from_str(ADDITION)?;
    stack.spec.patterns.push(addition);
    Box::pin(place.apply(&stacks(place), &stack)).await
}

/// Waits until the stack is Ready for its current spec, and at rest; tells how each part comes up.
pub(crate) async fn ready(place: &Place, told: &mut Told, note: &Note) -> Result<PrismStack> {
    let what = format!("stack {STACK} is Ready");
    let api = stacks(place);
    let ready = until(&api, STACK, &what, READY_TIMEOUT, |stack| {
        let stack = stack.ok_or("it is gone")?;
        let status = stack.status.clone().unwrap_or_default();
        parts(&status).for_each(|(part, state)| tell(note, told, part, state));
        let conditions = &status.conditions;
        let is_ready = status.observed_generation == stack.metadata.generation
            && is_true(conditions, condition::READY)
            && !is_true(conditions, condition::RECONCILING);
        let state = find(conditions, condition::READY).map_or_else(
            || "the operator has not looked at it yet".to_owned(),
            |ready| ready.message.clone(),
        );
        note.set(&state);
        if is_ready { Ok(stack.clone()) } else { Err(state) }
    });
    Ok(Box::pin(ready).await?)
}

/// Every part of a stack, by what people call it.
pub(crate) fn parts(status: &PrismStackStatus) -> impl Iterator<Item = (String, &ComponentStatus)> {
    let lists = [("backend ", &status.backends), ("", &status.components), ("pattern ", &status.patterns)];
    lists
        .into_iter()
        .flat_map(|(what, parts)| parts.iter().map(move |part| (format!("{what}{}", part.name), part)))
}

/// Says once what a part waits for, and once that it is ready.
fn tell(note: &Note, told: &mut Told, part: String, state: &ComponentStatus) {
    let message = state.message.as_deref().unwrap_or_default();
    let news = match state.ready {
        true => "ready",
        false if message.starts_with("it is made when") => "waits",
        false => return,
    };
    if told.get(&part) != Some(&news) {
        note.say(&format!("{part:18} {news}: {message}"));
        told.insert(part, news);
    }
}

/// The stack as the cluster has it, if it is there and the cluster answers.
pub(crate) async fn look(place: &Place) -> Option<PrismStack> {
    stacks(place).get_opt(STACK).await.ok().flatten()
}

fn stacks(place: &Place) -> Api<PrismStack> {
    Api::namespaced(place.client.clone(), NAMESPACE)
}
