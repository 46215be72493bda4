//! The `APIService` by which the API server hands on questions for `external.metrics.k8s.io`.
//!
//! A cluster has one, so it is somebody else's where KEDA or another adapter is installed.

use k8s_openapi::{
    ByteString,
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
    kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec, ServiceReference},
};
use kube::{Api, Client, ResourceExt, api::PostParams};
use prism_api::{labels, names};

use super::{
    external_metrics::{GROUP, VERSION},
    settings::ServiceAddress,
    trouble::{Trouble, is_conflict},
};

/// Name of the object, which follows from group and version.
const NAME: &str = "v1beta1.external.metrics.k8s.io";
/// Among the groups and versions of a cluster: after all that matters.
const PRIORITY: i32 = 100;

/// The operator's claim to the group.
pub(super) struct Registration {
    api: Api<APIService>,
    service: ServiceAddress,
}

impl Registration {
    pub(super) fn new(client: Client, service: ServiceAddress) -> Self {
        Self { api: Api::all(client), service }
    }

    /// Sees to it that the API server asks the operator, and knows it by `authorities`, in PEM.
    ///
    /// # Errors
    /// [`Trouble::Taken`] where the group is somebody else's.
    pub(super) async fn keep(&self, authorities: &str) -> Result<(), Trouble> {
        let wanted = self.spec(authorities);
        let what = format!("APIService {NAME}");
        loop {
            let found = self.api.get_opt(NAME).await.map_err(|error| Trouble::of(&what, &error))?;
            let written = match found {
                None => {
                    let labels = [(labels::APP_MANAGED_BY.to_owned(), names::MANAGED_BY.to_owned())];
                    let metadata = ObjectMeta {
                        name: Some(NAME.to_owned()),
                        labels: Some(labels.into()),
                        ..ObjectMeta::default()
                    };
                    let object = APIService { metadata, spec: Some(wanted.clone()), status: None };
                    self.api.create(&PostParams::default(), &object).await
                }
                Some(object) if !self.is_ours(&object) => return Err(refusal(&object)),
                Some(object) if object.spec.as_ref() == Some(&wanted) => return Ok(()),
                Some(object) => {
                    let object = APIService { spec: Some(wanted.clone()), ..object };
                    self.api.replace(NAME, &PostParams::default(), &object).await
                }
            };
            match written {
                Ok(_) => return Ok(()),
                // Another replica, or somebody else, was quicker.
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(Trouble::of(&what, &error)),
            }
        }
    }

    /// Ours has the label and leads to our namespace: an operator elsewhere in the cluster is somebody else.
    fn is_ours(&self, object: &APIService) -> bool {
        let service = object.spec.as_ref().and_then(|spec| spec.service.as_ref());
        object.labels().get(labels::APP_MANAGED_BY).is_some_and(|by| by == names::MANAGED_BY)
            && service.and_then(|service| service.namespace.as_ref()) == Some(&self.service.namespace)
    }

    fn spec(&self, authorities: &str) -> APIServiceSpec {
        APIServiceSpec {
            ca_bundle: Some(ByteString(authorities.as_bytes().to_vec())),
            group: Some(GROUP.to_owned()),
            group_priority_minimum: PRIORITY,
            insecure_skip_tls_verify: None,
            service: Some(ServiceReference {
                name: Some(self.service.name.clone()),
                namespace: Some(self.service.namespace.clone()),
                port: self.service.port.map(i32::from),
            }),
            version: Some(VERSION.to_owned()),
            version_priority: PRIORITY,
        }
    }
}

fn refusal(object: &APIService) -> Trouble {
    let service = object.spec.as_ref().and_then(|spec| spec.service.as_ref());
    let part = |part: Option<&String>| part.cloned().unwrap_or_default();
    let holder = match service {
        Some(service) => {
            format!("Service {}/{}", part(service.namespace.as_ref()), part(service.name.as_ref()))
        }
        None => "the API server itself".to_owned(),
    };
    Trouble::Taken(format!(
        "autoscalers cannot ask this operator, as {GROUP} belongs to {holder}: use via: keda, or delete APIService {NAME}"
    ))
}
