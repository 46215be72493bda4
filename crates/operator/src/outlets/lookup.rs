//! The metrics of this operator's objects: planned anew for each question, so that any replica can answer.

use std::time::Duration;

use kube::{ResourceExt, core::DeserializeGuard};
use prism_api::{
    autoscaler::PrismAutoscaler, pattern::ActiveScaler, pattern::PrismPattern, stack::PrismStack,
};
use prism_engine::object::{Kind, ObjectKey, Owner};
use prism_plan::{
    invalid::Invalid,
    scaling::{Engine, Scaling, Source, exports, sources},
};
use prism_scale::{Policy, Problem, ProblemKind};

use super::question::{Catalogue, Found, Question, Unanswered, means};
use crate::{context::Context, kinds, managed::Managed, scaling::sources::Answer};

/// A source that has not answered by then has none. Less than KEDA's and the API server's own patience, which
/// would end without a sentence.
const PATIENCE: Duration = Duration::from_secs(3);

impl Catalogue for Context {
    fn find(&self, question: &Question) -> Result<Found, Unanswered> {
        const PATTERN: Kind = kinds::PRISM_PATTERN;
        const STACK: Kind = kinds::PRISM_STACK;
        const AUTOSCALER: Kind = kinds::PRISM_AUTOSCALER;
        let kind = kinds::OWNERS.into_iter().find(|kind| kind.name == question.kind);
        let scalings = match kind {
            Some(PATTERN) => scalings::<PrismPattern>(self, question, |plan| vec![plan.runner.program.scaling()]),
            Some(STACK) => scalings::<PrismStack>(self, question, |plan| {
                let components = plan.proxy.iter().chain(&plan.console);
                components.map(|component| component.program.program.scaling()).collect()
            }),
            Some(AUTOSCALER) => scalings::<PrismAutoscaler>(self, question, |plan| {
                plan.scaling.iter().map(|(scaling, _)| scaling.clone()).collect()
            }),
            _ => Err(Unanswered::Unclear(
                "the kind is that of nothing that scales: ask for a PrismPattern, PrismStack or PrismAutoscaler"
                    .to_owned(),
            )),
        }?;
        let scaling = scalings.iter().find(|scaling| means(&question.workload, &scaling.target.name));
        let scaling = scaling.filter(|scaling| is_asked_for(scaling)).ok_or_else(|| unknown(question))?;
        let contradiction = |invalid: Invalid| Unanswered::Unknown(invalid.to_string());
        let nth = question.metric;
        let export = exports(scaling).map_err(contradiction)?.into_iter().nth(nth);
        let source = sources(scaling).map_err(contradiction)?.into_iter().nth(nth);
        let mut policy = Policy::of(&scaling.autoscaling, &scaling.field)
            .map_err(|invalid| contradiction(invalid.into()))?;
        let (export, source) = export.zip(source).ok_or_else(|| unknown(question))?;
        policy.metrics = policy.metrics.into_iter().skip(nth).take(1).collect();
        Ok(Found { export, source, policy })
    }

    async fn read(&self, source: &Source) -> Answer {
        let mut answers = self.sources.read(std::slice::from_ref(source), PATIENCE).await;
        answers.pop().unwrap_or_else(|| Err(Problem::new(ProblemKind::Unasked, "nothing was asked")))
    }
}

/// Whether somebody else than the operator looks at the metrics.
fn is_asked_for(scaling: &Scaling) -> bool {
    scaling.scaler == ActiveScaler::Admin && Engine::of(scaling) != Engine::Operator
}

fn scalings<K: Managed>(
    ctx: &Context,
    question: &Question,
    of: fn(&K::Plan) -> Vec<Scaling>,
) -> Result<Vec<Scaling>, Unanswered> {
    let Question { namespace, name, .. } = question;
    // A name that is no label value, because it is long, is looked for among all.
    let is_meant = |object: &DeserializeGuard<K>| {
        object.namespace().as_ref() == Some(namespace) && means(name, &object.name_any())
    };
    let found = K::cache(ctx).get(namespace, name).or_else(|| K::cache(ctx).find(is_meant).pop());
    let object = found.as_ref().and_then(|object| object.0.as_ref().ok()).ok_or_else(|| unknown(question))?;
    let key = ObjectKey::new(K::KIND, namespace, &object.name_any());
    let owner = Owner { key, uid: object.uid().unwrap_or_default().into() };
    let plan = object.plan(&owner, ctx).map_err(|invalid| Unanswered::Unknown(invalid.to_string()))?;
    Ok(of(&plan))
}

fn unknown(question: &Question) -> Unanswered {
    let Question { namespace, kind, name, workload, metric } = question;
    Unanswered::Unknown(format!(
        "{kind} {namespace}/{name} scales no workload {workload} by a metric of the number {metric} that others ask for"
    ))
}
