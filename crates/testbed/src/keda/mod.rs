//! A real [KEDA](https://keda.sh) beside a cluster: its operator, metrics adapter and admission webhooks.
//!
//! The three programs run as child processes of this one and end with it. They act under the name of
//! KEDA's service account, with the permissions that KEDA ships and no others. The cluster reaches them
//! on loopback: the aggregated API through a Service of type `ExternalName`, the webhooks by URL.

mod flags;
mod install;
mod part;
mod programs;

use std::fs;
use std::path::Path;
use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client, Config};
use serde_json::json;

use crate::certs::{Pki, write_private};
use crate::cluster::{Cluster, Options};
use crate::error::{Error, Result, io};
use crate::fixture::eventually;
use crate::guard::Scope;
use crate::start::answers;
use flags::Setting;
use part::Health;

pub use install::install_definitions;
pub use part::Part;
pub use programs::KedaPrograms;
pub(crate) use programs::{MODULE, module_folder};

/// Namespace that KEDA calls its own.
pub const NAMESPACE: &str = "keda";
/// Name under which KEDA appears in RBAC and in the audit log.
pub const USER: &str = "system:serviceaccount:keda:keda-operator";

/// The cluster has noticed its KEDA within this time.
const NOTICE_TIMEOUT: Duration = Duration::from_mins(1);
/// What the aggregated API is asked.
const METRICS_API: &str = "/apis/external.metrics.k8s.io/v1beta1";

/// A KEDA that runs as long as this value, or as its process, whichever ends first. What it installed in
/// the cluster stays, so this is for clusters that end with it.
pub struct Keda {
    config: Config,
    // Before the parts: ends their processes, then they take note.
    _scope: Scope,
    /// Watches `ScaledObject`s, makes their HPAs, and scales from and to zero.
    pub operator: Part,
    /// Serves `external.metrics.k8s.io`, with what the operator tells it.
    pub adapter: Part,
    /// Judges what is written of KEDA's kinds. While it is away, everything passes.
    pub webhooks: Part,
}

impl Keda {
    /// Installs KEDA in `cluster`, its definitions included, starts its programs, and returns when all
    /// of it serves: see [`Keda::until_ready`].
    ///
    /// The cluster's HPAs look every 15 s unless it was started with
    /// [`Options::hpa_fast`](crate::Options::hpa_fast).
    ///
    /// # Errors
    /// As [`install_definitions`]; [`Error::ComponentDied`] and [`Error::NotReady`], after which no
    /// program is left.
    pub async fn start(cluster: &Cluster, programs: &KedaPrograms) -> Result<Self> {
        let (config, client) = (cluster.config().await?, cluster.client().await?);
        install_definitions(&client).await?;
        install::permissions(&client, programs).await?;

        let scope = Scope::new(&Options::default().testbed()?)?;
        let certificates = scope.folder().join("certificates");
        write_certificates(cluster, &certificates)?;
        let kubeconfig = cluster.kubeconfig_for(USER, &["system:serviceaccounts"])?;
        let setting = Setting { programs, kubeconfig: &kubeconfig, certificates: &certificates };

        let folder = scope.folder();
        let (operator, [grpc, _]) = Part::launch(
            folder,
            |ports| setting.operator(ports),
            |[grpc, health]| Ok(Health { config: plain(health)?, port: Some(grpc) }),
        )
        .await?;
        let adapter = Part::launch(
            folder,
            |[port]| setting.adapter(grpc, port),
            |[port]| Ok(Health { config: at(&config, port)?, port: None }),
        );
        let webhooks = Part::launch(
            folder,
            |ports| setting.webhooks(ports),
            |[port, health]| Ok(Health { config: plain(health)?, port: Some(port) }),
        );
        let ((adapter, [adapter_port]), (webhooks, [webhooks_port, _])) =
            tokio::try_join!(adapter, webhooks)?;

        let authority = cluster.authority()?;
        install::metrics_api(&client, programs, adapter_port, &authority).await?;
        install::webhooks(&client, programs, webhooks_port, &authority).await?;
        let keda = Self { config, _scope: scope, operator, adapter, webhooks };
        keda.until_ready().await?;
        Ok(keda)
    }

    /// Waits until the API server passes requests to the adapter, and asks the webhooks.
    ///
    /// # Errors
    /// [`Error::NotReady`] when one of them is not there.
    pub async fn until_ready(&self) -> Result<()> {
        let metrics = eventually("the external metrics API is served", NOTICE_TIMEOUT, async || {
            answers(self.config.clone(), METRICS_API).await
        });
        // Made here: a client ends with the runtime that it was made in, a KEDA may serve several tests.
        let client = Client::try_from(self.config.clone())?;
        let webhooks =
            eventually("the webhooks are asked", NOTICE_TIMEOUT, async || is_judged(&client).await);
        tokio::try_join!(metrics, webhooks).map(drop).map_err(|late| Error::NotReady {
            what: "KEDA".into(),
            seconds: NOTICE_TIMEOUT.as_secs(),
            last: late.to_string(),
        })
    }
}

/// Whether an object is refused that only the webhooks object to.
async fn is_judged(client: &Client) -> Result<(), String> {
    let kind = GroupVersionKind::gvk("keda.sh", "v1alpha1", "TriggerAuthentication");
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), NAMESPACE, &resource);
    let spec = json!({ "podIdentity": { "provider": "azure-workload", "identityId": "" } });
    let object = DynamicObject::new("refused", &resource).data(json!({ "spec": spec }));
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    match api.create(&parameters, &object).await {
        Err(kube::Error::Api(refusal)) if refusal.message.contains("identityId") => Ok(()),
        Err(error) => Err(error.to_string()),
        Ok(_) => Err("they were not".to_owned()),
    }
}

/// Writes what secures the way between the API server, the adapter and the operator: one certificate for
/// all three programs, as in KEDA's own installation.
fn write_certificates(cluster: &Cluster, folder: &Path) -> Result<()> {
    fs::create_dir(folder).map_err(io("create", folder))?;
    let pki = Pki::of(cluster.folder());
    let service = format!("{}.{NAMESPACE}.svc", install::METRICS_SERVICE);
    let identity = pki.server("keda", &["localhost", &service])?;
    write_private(&folder.join("ca.crt"), &pki.authority()?)?;
    write_private(&folder.join("tls.crt"), &identity.certificate)?;
    write_private(&folder.join("tls.key"), &identity.key)
}

/// An endpoint on this machine without TLS.
fn plain(port: u16) -> Result<Config> {
    Ok(Config::new(endpoint("http", port)?))
}

/// The cluster's credentials for an endpoint on this machine.
fn at(config: &Config, port: u16) -> Result<Config> {
    let mut config = config.clone();
    config.cluster_url = endpoint("https", port)?;
    Ok(config)
}

fn endpoint(scheme: &str, port: u16) -> Result<http::Uri> {
    let url = format!("{scheme}://127.0.0.1:{port}");
    url.parse().map_err(|error: http::uri::InvalidUri| Error::Malformed {
        path: url.into(),
        reason: error.to_string(),
    })
}
