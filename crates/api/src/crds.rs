//! The manifests, as a cluster should get them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, CustomResourceDefinitionVersion,
    CustomResourceValidation, JSONSchemaProps,
};
use kube::CustomResourceExt;
use schemars::JsonSchema;

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
        definition::<PrismAutoscaler>(FirstSentence, None)?,
        definition::<PrismBackend>(FirstSentence, None)?,
        definition::<PrismCluster>(Nothing, None)?,
        definition::<PrismFederation>(FirstSentence, None)?,
        definition::<PrismNamespace>(FirstSentence, Some("v1alpha2"))?,
        definition::<PrismPattern>(FirstSentence, Some("v1beta1"))?,
        definition::<PrismStack>(Nothing, None)?,
    ])
}

/// The definition of one kind, with a second version of the same schema if asked for.
///
/// Names, columns and subresources are as derived. The schema is made anew, because the derived one
/// loses the description of every optional enum.
fn definition<T: CustomResourceExt + JsonSchema>(
    descriptions: Descriptions,
    second_version: Option<&str>,
) -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut crd = T::crd();
    let schema: JSONSchemaProps = serde_json::from_value(schema::of::<T>(descriptions))?;
    for version in &mut crd.spec.versions {
        version.schema = Some(CustomResourceValidation { open_api_v3_schema: Some(schema.clone()) });
    }
    if let (Some(name), Some(first)) = (second_version, crd.spec.versions.first()) {
        let second =
            CustomResourceDefinitionVersion { name: name.to_owned(), storage: false, ..first.clone() };
        crd.spec.versions.push(second);
    }
    crd.spec.conversion = Some(CustomResourceConversion { strategy: "None".to_owned(), webhook: None });
    Ok(crd)
}
