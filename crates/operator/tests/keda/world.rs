//! A cluster with a KEDA, and an operator that looks at all of it.

use std::{net::SocketAddr, sync::LazyLock};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::PostParams, core::ObjectMeta};
use prism_operator::{Config, ExternalScalerConfig, OutletConfig};
use prism_testbed::{Keda, KedaPrograms, Options, Programs, Progress, ScopedCluster};
use tokio::{runtime::Runtime, sync::OnceCell, task::spawn_blocking};

use crate::{
    gauged::Gauge,
    support::{Running, groups, quick},
};

/// The operator's name in the audit log.
pub(crate) const USER: &str = "operator-with-keda";

/// The operator's own namespace: that of its certificates.
const HOME: &str = "prism-system";

/// Where the shared operator runs: the runtime of a story ends with the story.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// A cluster whose autoscalers look every three seconds, and an operator.
pub(crate) struct World {
    pub(crate) cluster: ScopedCluster,
    pub(crate) operator: Running,
    /// An admin that the operator trusts.
    pub(crate) gauge: Gauge,
}

impl World {
    /// Starts a cluster without KEDA's definitions, and an operator that looks at all of it.
    pub(crate) async fn begin() -> Self {
        let (cluster, gauge) = (cluster().await, Gauge::start().await);
        let operator = operator(&cluster, Config { trust: gauge.trust(), ..quick() }).await;
        Self { cluster, operator, gauge }
    }
}

/// The world that all stories share that leave its KEDA alone. Ends with the process.
pub(crate) async fn shared() -> &'static World {
    static SHARED: OnceCell<(World, Keda)> = OnceCell::const_new();
    let start = async || {
        let start = spawn_blocking(|| RUNTIME.block_on(Box::pin(with_keda())));
        start.await.unwrap()
    };
    &SHARED.get_or_init(start).await.0
}

async fn with_keda() -> (World, Keda) {
    let cluster = cluster().await;
    let keda = Box::pin(Keda::start(&cluster, &programs().await)).await.unwrap();
    let gauge = Gauge::start().await;
    let client = cluster.client().await.unwrap();
    let home = Namespace {
        metadata: ObjectMeta { name: Some(HOME.to_owned()), ..Default::default() },
        ..Default::default()
    };
    Api::all(client).create(&PostParams::default(), &home).await.unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let outlets = OutletConfig {
        namespace: HOME.to_owned(),
        external_scaler: Some(ExternalScalerConfig { listen: any, address: Some("localhost".to_owned()) }),
        ..OutletConfig::default()
    };
    let operator = operator(&cluster, Config { outlets, trust: gauge.trust(), ..quick() }).await;
    (World { cluster, operator, gauge }, keda)
}

/// The programs of KEDA.
pub(crate) async fn programs() -> KedaPrograms {
    spawn_blocking(|| KedaPrograms::ensure(&Progress::stderr())).await.unwrap().unwrap()
}

async fn cluster() -> ScopedCluster {
    let programs = Programs::ensure(&Progress::silent()).unwrap();
    let options =
        Options { hpa_fast: true, definitions: prism_api::all_crds().unwrap(), ..Options::default() };
    Box::pin(ScopedCluster::start(&programs, &options, &Progress::silent())).await.unwrap()
}

async fn operator(cluster: &ScopedCluster, config: Config) -> Running {
    let identity = cluster.config_for(USER, &groups()).await.unwrap();
    Running::start(config, identity).await
}
