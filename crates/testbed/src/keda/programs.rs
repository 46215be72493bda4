//! Builds the pinned KEDA, once for each machine and version.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache;
use crate::error::{Error, Result, io};
use crate::modules::{Modules, build, fingerprint, go};
use crate::progress::Progress;

/// Path of KEDA's Go module.
pub(crate) const MODULE: &str = "github.com/kedacore/keda/v2";
/// The programs, and the folder of each below `cmd` of the module.
const COMMANDS: [(&str, &str); 3] =
    [("keda-operator", "operator"), ("keda-adapter", "adapter"), ("keda-webhooks", "webhooks")];
/// What a cluster needs for them as KEDA ships it, inside of the module: permissions, the aggregated API,
/// the webhooks.
pub(super) const PERMISSIONS: [&str; 4] = [
    "config/rbac/role.yaml",
    "config/rbac/role_binding.yaml",
    "config/metrics-server/role.yaml",
    "config/metrics-server/role_binding.yaml",
];
pub(super) const METRICS_API: &str = "config/metrics-server/api_service.yaml";
pub(super) const WEBHOOKS: &str = "config/webhooks/validation_webhooks.yaml";

/// The built programs, and the manifests that go with them.
#[derive(Debug, Clone)]
pub struct KedaPrograms {
    home: PathBuf,
    version: String,
}

impl KedaPrograms {
    /// The KEDA that `cluster/keda` pins, built now if this machine has not built it before; kept like
    /// [`Programs`](crate::Programs). The first build takes ten minutes on two cores.
    /// Blocks; a second caller waits for the first one's build.
    ///
    /// # Errors
    /// [`Error::GoMissing`], [`Error::GoTooOld`], [`Error::Build`], [`Error::NoCacheFolder`].
    pub fn ensure(progress: &Progress) -> Result<Self> {
        let modules = Modules::of_checkout();
        let version = modules.keda_version()?;
        let name = format!("keda-{version}-{}", fingerprint(&[&modules.keda])?);
        let home = cache::kept(&name, progress, |partial| build_all(&modules, &version, partial, progress))?;
        Ok(Self { home, version })
    }

    /// Version of KEDA, as in `v2.21.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn executable(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// A manifest, by the path that it has in the module.
    pub(super) fn manifest(&self, path: &str) -> PathBuf {
        self.home.join(path)
    }
}

fn build_all(modules: &Modules, version: &str, into: &Path, progress: &Progress) -> Result<()> {
    modules.check_go()?;
    progress.step(&format!("building KEDA {version}: ten minutes the first time, never again for it"));
    for (program, folder) in COMMANDS {
        build(program, &modules.keda, &format!("{MODULE}/cmd/{folder}"), "-s -w", into, progress)?;
    }
    let module = module_folder(modules)?;
    for manifest in PERMISSIONS.into_iter().chain([METRICS_API, WEBHOOKS]) {
        let (from, to) = (module.join(manifest), into.join(manifest));
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(io("create", folder))?;
        }
        let text = fs::read(&from).map_err(io("read", &from))?;
        fs::write(&to, text).map_err(io("write", &to))?;
    }
    progress.step("KEDA built");
    Ok(())
}

/// Folder in which `go` keeps KEDA's module, fetched now if it is missing, without what it depends on.
pub(crate) fn module_folder(modules: &Modules) -> Result<PathBuf> {
    let package = format!("{MODULE}/version");
    let told = go(&modules.keda, &["list", "-find", "-f", "{{.Module.Dir}}", &package], |_| ())
        .map_err(|tail| Error::DefinitionsOutOfReach { tail })?;
    Ok(told.trim().into())
}
