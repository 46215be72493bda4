//! Definitions of other projects' kinds, as those projects publish them.
//!
//! The control plane knows only what is part of Kubernetes. A test of something optional installs the
//! real definition, so the real schema judges what the operator writes. `cluster/definitions` pins the
//! Go modules that carry these files, `cluster/keda` that of KEDA; they are read where `go` keeps them,
//! and never copied.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use tokio::sync::OnceCell;

use crate::error::{Error, Result, io};
use crate::fixture::until;
use crate::keda;
use crate::modules::{Modules, go};
use crate::progress::Progress;

/// A definition is served within this time.
const ESTABLISH_TIMEOUT: Duration = Duration::from_secs(30);

/// Writes `definitions` on behalf of the field manager `manager`, and returns when the cluster serves their
/// kinds. Harmless when repeated.
///
/// The garbage collector looks for new kinds every 30 s only: until then it deletes nothing that an object
/// of such a kind owns. What [`Options::definitions`](crate::Options) names, it knows from its start.
///
/// # Errors
/// [`Error::Kube`]; [`Error::NotReady`] when the cluster does not serve them.
pub async fn install(client: &Client, manager: &str, definitions: &[CustomResourceDefinition]) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    // The schemas are long, and a field of no owner but us: nothing to disagree about.
    let parameters = PatchParams::apply(manager).force();
    let installed = definitions.iter().map(async |definition| {
        let name = definition.name_any();
        api.patch(&name, &parameters, &Patch::Apply(definition)).await?;
        let served =
            until(&api, &name, "the definition is established", ESTABLISH_TIMEOUT, is_established).await;
        served.map_err(|late| Error::NotReady {
            what: name.clone(),
            seconds: ESTABLISH_TIMEOUT.as_secs(),
            last: late.last,
        })
    });
    try_join_all(installed).await.map(drop)
}

fn is_established(definition: Option<&CustomResourceDefinition>) -> Result<(), String> {
    let status = definition.and_then(|one| one.status.clone()).unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let is_established = conditions.iter().any(|one| one.type_ == "Established" && one.status == "True");
    if is_established { Ok(()) } else { Err(format!("it is {conditions:?}")) }
}

/// A project whose kinds a cluster may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThirdParty {
    /// `ServiceMonitor`, `PodMonitor` and `PrometheusRule` of `monitoring.coreos.com/v1`.
    PrometheusOperator,
    /// `Certificate` of `cert-manager.io/v1`.
    CertManager,
    /// `GRPCRoute` of `gateway.networking.k8s.io/v1`, from the standard channel.
    GatewayApi,
    /// All kinds of `keda.sh/v1alpha1` and `eventing.keda.sh/v1alpha1`: KEDA does not start without one.
    Keda,
}

impl ThirdParty {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::PrometheusOperator, Self::CertManager, Self::GatewayApi, Self::Keda];

    /// Path of the Go module that carries the definitions.
    const fn module(self) -> &'static str {
        match self {
            Self::PrometheusOperator => "github.com/prometheus-operator/prometheus-operator",
            Self::CertManager => "github.com/cert-manager/cert-manager",
            Self::GatewayApi => "sigs.k8s.io/gateway-api",
            Self::Keda => keda::MODULE,
        }
    }

    /// Files inside of the module, one definition in each.
    const fn files(self) -> &'static [&'static str] {
        match self {
            Self::PrometheusOperator => &[
                "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
                "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
                "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
            ],
            Self::CertManager => &["deploy/crds/cert-manager.io_certificates.yaml"],
            Self::GatewayApi => &["config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml"],
            Self::Keda => &[
                "config/crd/bases/keda.sh_scaledobjects.yaml",
                "config/crd/bases/keda.sh_scaledjobs.yaml",
                "config/crd/bases/keda.sh_triggerauthentications.yaml",
                "config/crd/bases/keda.sh_clustertriggerauthentications.yaml",
                "config/crd/bases/eventing.keda.sh_cloudeventsources.yaml",
                "config/crd/bases/eventing.keda.sh_clustercloudeventsources.yaml",
            ],
        }
    }
}

impl fmt::Display for ThirdParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PrometheusOperator => "Prometheus operator",
            Self::CertManager => "cert-manager",
            Self::GatewayApi => "Gateway API",
            Self::Keda => "KEDA",
        })
    }
}

/// The definitions of one project, ready to be written to a cluster with server-side apply.
///
/// Fetches them first if this machine does not have them, which [`fetch`] prevents. `go` is asked once
/// in each process.
///
/// # Errors
/// [`Error::GoMissing`], [`Error::GoTooOld`], [`Error::DefinitionsOutOfReach`], [`Error::NoDefinition`].
pub async fn third_party(which: ThirdParty) -> Result<Vec<CustomResourceDefinition>> {
    static FOLDERS: OnceCell<Vec<ModuleFolder>> = OnceCell::const_new();
    let folders = FOLDERS.get_or_try_init(|| async {
        let found = tokio::task::spawn_blocking(|| download(&Modules::of_checkout())).await;
        found.unwrap_or_else(|ended| Err(io("run", "go")(ended.into())))
    });
    let folder = folder_of(which, folders.await?)?;
    let mut definitions = Vec::new();
    for file in which.files() {
        let path = folder.join(file);
        let text = tokio::fs::read_to_string(&path).await.map_err(|error| error.to_string());
        let definition = text.and_then(|text| parse(&text));
        let module = which.module();
        definitions.push(definition.map_err(|reason| Error::NoDefinition { path, module, reason })?);
    }
    Ok(definitions)
}

/// Fetches the definitions of all projects, so that [`third_party`] needs no network; part of
/// `testbed build`. Blocks, for seconds the first time.
///
/// # Errors
/// [`Error::GoMissing`], [`Error::GoTooOld`], [`Error::DefinitionsOutOfReach`].
pub fn fetch(progress: &Progress) -> Result<()> {
    progress.step("fetching what is missing of the definitions of third-party APIs");
    let folders = download(&Modules::of_checkout())?;
    for which in ThirdParty::ALL {
        folder_of(which, &folders)?;
    }
    progress.step("definitions of third-party APIs fetched");
    Ok(())
}

/// Where `go` keeps a module.
struct ModuleFolder {
    module: String,
    folder: PathBuf,
}

/// Lets `go` fetch the pinned modules where they are missing, compare them with `go.sum`, and tell where
/// they are.
fn download(modules: &Modules) -> Result<Vec<ModuleFolder>> {
    modules.check_go()?;
    let pinned = &modules.definitions;
    let out_of_reach = |tail| Error::DefinitionsOutOfReach { tail };
    // Without module names on purpose: with them, it would add to go.sum instead of insisting on it.
    go(pinned, &["mod", "download"], |_| ()).map_err(out_of_reach)?;
    let mut list = vec!["list", "-m", "-f", "{{.Path}} {{.Dir}}"];
    list.extend(ThirdParty::ALL.map(ThirdParty::module).into_iter().filter(|one| *one != keda::MODULE));
    let told = go(pinned, &list, |_| ()).map_err(out_of_reach)?;
    let mut folders: Vec<_> = told.lines().filter_map(module_folder).collect();
    folders.push(ModuleFolder { module: keda::MODULE.to_owned(), folder: keda::module_folder(modules)? });
    Ok(folders)
}

/// Understands one line of the list; `None` for a module without a folder.
fn module_folder(line: &str) -> Option<ModuleFolder> {
    let (module, folder) = line.split_once(' ')?;
    (!folder.is_empty()).then(|| ModuleFolder { module: module.to_owned(), folder: folder.into() })
}

fn folder_of(which: ThirdParty, folders: &[ModuleFolder]) -> Result<&Path> {
    let found = folders.iter().find(|one| one.module == which.module());
    found.map(|one| one.folder.as_path()).ok_or_else(|| Error::DefinitionsOutOfReach {
        tail: format!("go.sum has no checksum of the content of {}", which.module()),
    })
}

fn parse(text: &str) -> Result<CustomResourceDefinition, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_may_have_spaces_and_may_be_missing() {
        let found = module_folder("sigs.k8s.io/gateway-api /home/some one/gateway-api@v1").unwrap();
        assert_eq!(found.folder, Path::new("/home/some one/gateway-api@v1"));
        assert!(module_folder("sigs.k8s.io/gateway-api ").is_none());
        let error = folder_of(ThirdParty::GatewayApi, &[]).unwrap_err();
        assert!(
            error.to_string().contains("no checksum of the content of sigs.k8s.io/gateway-api"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_definition_is_told_so() {
        let reason = parse("apiVersion: v1\nkind: ConfigMap\n").unwrap_err();
        assert!(reason.contains("apiextensions.k8s.io/v1"), "{reason}");
    }
}
