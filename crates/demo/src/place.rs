//! The cluster that a demo acts on.

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource, ResourceExt};
use prism_rig::{Steps, sibling};
use prism_testbed::{Cluster, Options, Programs, Progress, Start};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Field manager of everything that a demo applies.
pub const MANAGER: &str = "prism-demo";
/// A cluster that is there answers within this time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A cluster that answers.
pub struct Place {
    /// As its administrator.
    pub client: Client,
    /// For programs that are started: the path in `$KUBECONFIG`.
    pub kubeconfig: String,
    /// How the user runs kubectl here.
    pub kubectl: String,
    /// Whether the cluster is the demo's own.
    pub is_local: bool,
}

impl Place {
    /// The cluster of `$KUBECONFIG`; without one the local cluster of `folder`, started if need be.
    pub async fn find(folder: &Path, steps: &mut Steps) -> Result<Self> {
        match std::env::var("KUBECONFIG") {
            Ok(path) if !path.is_empty() => Self::users(path, steps).await,
            _ => Self::local(folder, steps).await,
        }
    }

    /// Makes the namespace `name`, if it is not there.
    pub async fn namespace(&self, name: &str) -> Result<()> {
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.to_owned());
        self.apply(&Api::all(self.client.clone()), &namespace).await
    }

    /// Applies `object` as a user would.
    pub async fn apply<K>(&self, api: &Api<K>, object: &K) -> Result<()>
    where
        K: Resource + Clone + Debug + Serialize + DeserializeOwned,
    {
        let params = PatchParams::apply(MANAGER).force();
        api.patch(&object.name_any(), &params, &Patch::Apply(object)).await?;
        Ok(())
    }

    async fn users(kubeconfig: String, steps: &mut Steps) -> Result<Self> {
        let failed = |source| Error::Kubeconfig { path: kubeconfig.clone(), source: Box::new(source) };
        let merged = Kubeconfig::from_env().map_err(failed)?.unwrap_or_default();
        let config =
            Config::from_custom_kubeconfig(merged, &KubeConfigOptions::default()).await.map_err(failed)?;
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config)?;
        steps
            .step(&format!("your cluster at {server}"), async |_| {
                let unreachable = |reason| Error::Unreachable { server: server.clone(), reason };
                match tokio::time::timeout(ANSWER_TIMEOUT, client.apiserver_version()).await {
                    Ok(answer) => answer.map(drop).map_err(|error| unreachable(error.to_string())),
                    Err(_) => Err(unreachable(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))),
                }
            })
            .await?;
        let kubectl = format!("KUBECONFIG={kubeconfig} kubectl");
        Ok(Self { client, kubeconfig, kubectl, is_local: false })
    }

    async fn local(folder: &Path, steps: &mut Steps) -> Result<Self> {
        let progress = Progress::stderr();
        let programs = Programs::ensure(&progress)?;
        let options = Options { testbed: Some(sibling("testbed")?), ..Options::default() };
        let started = std::time::Instant::now();
        let (cluster, start) = Cluster::up(folder, &programs, &options, &progress).await?;
        let how = if start == Start::AlreadyRunning {
            "local cluster, running already"
        } else {
            "local cluster started"
        };
        steps.done(how, started.elapsed());
        Ok(Self {
            client: cluster.client().await?,
            kubeconfig: cluster.kubeconfig().display().to_string(),
            kubectl: format!("{}/kubectl", folder.display()),
            is_local: true,
        })
    }
}
