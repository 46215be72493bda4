//! The manifests, as a cluster should get them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps,
};
use kube::CustomResourceExt;
use serde_json::Value;

use crate::{
    PrismAutoscaler, PrismBackend, PrismCluster, PrismFederation, PrismNamespace, PrismPattern, PrismStack,
    schema::{self, Descriptions},
};

/// The custom resource definitions of `prism.io`, in the order of their names.
///
/// # Errors
/// When a derived schema is not one that the API server could read: a bug in this crate.
pub fn all_crds() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    use Descriptions::{FirstSentence, None as Nothing};
    Ok(vec![
        finish(PrismAutoscaler::crd(), FirstSentence, None)?,
        finish(PrismBackend::crd(), FirstSentence, None)?,
        finish(PrismCluster::crd(), Nothing, None)?,
        finish(PrismFederation::crd(), FirstSentence, None)?,
        finish(PrismNamespace::crd(), FirstSentence, Some("v1alpha2"))?,
        finish(PrismPattern::crd(), FirstSentence, Some("v1beta1"))?,
        finish(PrismStack::crd(), Nothing, None)?,
    ])
}

/// Tidies every schema, and serves a second version of the same schema if asked for.
fn finish(
    mut crd: CustomResourceDefinition,
    descriptions: Descriptions,
    second_version: Option<&str>,
) -> Result<CustomResourceDefinition, serde_json::Error> {
    for version in &mut crd.spec.versions {
        tidy(version, descriptions)?;
    }
    if let (Some(name), Some(first)) = (second_version, crd.spec.versions.first()) {
        let second = CustomResourceDefinitionVersion {
            name: name.to_owned(),
            storage: false,
            ..first.clone()
        };
        crd.spec.versions.push(second);
    }
    crd.spec.conversion = Some(CustomResourceConversion {
        strategy: "None".to_owned(),
        webhook: None,
    });
    Ok(crd)
}

fn tidy(
    version: &mut CustomResourceDefinitionVersion,
    descriptions: Descriptions,
) -> Result<(), serde_json::Error> {
    let Some(validation) = &mut version.schema else {
        return Ok(());
    };
    let mut tidied: Value = serde_json::to_value(&validation.open_api_v3_schema)?;
    schema::tidy(&mut tidied, descriptions);
    let props: JSONSchemaProps = serde_json::from_value(tidied)?;
    validation.open_api_v3_schema = Some(props);
    Ok(())
}
