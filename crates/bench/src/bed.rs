//! The cluster that is measured on.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use prism_rig::{Steps, install_definitions};
use prism_testbed::{Testbed, until};
use std::time::Duration;

use crate::Arguments;
use crate::error::Result;
use crate::patterns::Patterns;

/// A namespace with thousands of objects is gone within this time.
const GONE_TIMEOUT: Duration = Duration::from_mins(10);

/// The cluster, and the steps that are shown.
pub(crate) struct Bed {
    pub(crate) testbed: Testbed,
    pub(crate) steps: Steps,
    pub(crate) arguments: Arguments,
    /// What is measured with.
    pub(crate) patterns: Patterns,
    namespaces: usize,
}

/// A namespace for one measurement.
pub(crate) struct Place {
    pub(crate) name: String,
    client: Client,
}

impl Bed {
    /// The cluster of `testbed run`, with the definitions installed.
    pub(crate) async fn prepare(arguments: &Arguments, patterns: Patterns) -> Result<Self> {
        let testbed = Testbed::from_env().await?;
        let mut steps = Steps::default();
        let client = testbed.client();
        let installed = async |_: &_| install_definitions(&client, "bench").await;
        steps.step("custom resource definitions", installed).await?;
        Ok(Self { testbed, steps, arguments: arguments.clone(), patterns, namespaces: 0 })
    }

    /// A new namespace.
    pub(crate) async fn place(&mut self, what: &str) -> Result<Place> {
        self.namespaces += 1;
        let name = format!("bench-{what}-{}", self.namespaces);
        let client = self.testbed.client();
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
        Ok(Place { name, client })
    }

    /// Path of the kubeconfig of a user that may do anything.
    pub(crate) fn user(&self, name: &str, is_audited: bool) -> Result<String> {
        let groups = ["system:masters", prism_testbed::AUDITED_GROUP];
        let groups = if is_audited { &groups[..] } else { &groups[..1] };
        Ok(self.testbed.cluster().kubeconfig_for(name, groups)?.display().to_string())
    }

    /// A client of such a user, that repeats nothing by itself.
    pub(crate) async fn client(&self, name: &str) -> Result<Client> {
        let mut config = self.testbed.cluster().config_for(name, &["system:masters"]).await?;
        config.default_retry = false;
        Ok(Client::try_from(config)?)
    }

    /// Removes a namespace and everything in it, and waits until that is done.
    pub(crate) async fn clear(&mut self, place: Place) -> Result<()> {
        let api: Api<Namespace> = Api::all(place.client);
        api.delete(&place.name, &DeleteParams::background()).await?;
        let what = format!("namespace {} is gone", place.name);
        let gone = async |_: &_| {
            let look =
                |namespace: Option<&Namespace>| namespace.map_or(Ok(()), |_| Err("it is there".to_owned()));
            Box::pin(until(&api, &place.name, &what, GONE_TIMEOUT, look)).await
        };
        self.steps.step("    cleared away", gone).await?;
        Ok(())
    }
}
