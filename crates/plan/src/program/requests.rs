//! What the main container asks for.

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};

use super::Program;
use crate::scaling;

/// Requests where a scaler measures by them, and the spec says nothing. KEDA's webhooks refuse a workload
/// without, and a `HorizontalPodAutoscaler` finds nothing to take a percentage of.
const DEFAULTS: [(&str, &str); 2] = [("cpu", "100m"), ("memory", "128Mi")];

/// The resources of the spec, and what a scaler needs beside them. A limit will do: the API server makes a
/// request of it.
pub(super) fn build(program: &Program) -> Option<ResourceRequirements> {
    let mut resources = program.resources.clone().unwrap_or_default();
    let measured = scaling::measured(&program.scaling(), &program.container);
    for (name, quantity) in DEFAULTS.into_iter().filter(|(name, _)| measured.contains(name)) {
        let is_limited = resources.limits.as_ref().is_some_and(|limits| limits.contains_key(name));
        if !is_limited {
            let requests = resources.requests.get_or_insert_default();
            requests.entry(name.to_owned()).or_insert_with(|| Quantity(quantity.to_owned()));
        }
    }
    (program.resources.is_some() || resources != ResourceRequirements::default()).then_some(resources)
}

#[cfg(test)]
mod tests {
    use prism_api::pattern::ActiveScaler;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::nothing(json!(null), json!({"requests": {"cpu": "100m", "memory": "128Mi"}}))]
    #[case::a_request(json!({"requests": {"cpu": "2"}}), json!({"requests": {"cpu": "2", "memory": "128Mi"}}))]
    #[case::a_limit(json!({"limits": {"memory": "1Gi"}}), json!({"limits": {"memory": "1Gi"}, "requests": {"cpu": "100m"}}))]
    #[case::both(
        json!({"limits": {"memory": "1Gi"}, "requests": {"cpu": "2"}}),
        json!({"limits": {"memory": "1Gi"}, "requests": {"cpu": "2"}})
    )]
    fn what_is_measured_is_asked_for(#[case] resources: Value, #[case] expected: Value) {
        let autoscaling = json!({"maxReplicas": 3, "targetCPU": 70, "targetMemory": 80});
        let program = Program {
            resources: serde_json::from_value(resources).unwrap(),
            scaler: ActiveScaler::Hpa,
            autoscaling: Some(serde_json::from_value(autoscaling).unwrap()),
            ..Program::default()
        };
        assert_eq!(json!(build(&program)), expected);
    }

    #[test]
    fn what_nobody_measures_is_left_as_it_is() {
        assert_eq!(build(&Program::default()), None);
        let resources = Some(ResourceRequirements::default());
        let program = Program { resources: resources.clone(), ..Program::default() };
        assert_eq!(build(&program), resources);
    }
}
