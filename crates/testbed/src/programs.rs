//! Builds the pinned control plane, once for each machine and version.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache;
use crate::error::{Error, Result, io};
use crate::modules::{Modules, build, file_name, fingerprint, go};
use crate::progress::Progress;

/// Import path of kwok's command.
const KWOK_COMMAND: &str = "sigs.k8s.io/kwok/cmd/kwok";
/// Rules of kwok that make nodes heartbeat and pods become Ready at once, inside its module.
const STAGES: [&str; 5] = [
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
];

/// The built programs: one executable for the whole control plane, one for the nodes.
#[derive(Debug, Clone)]
pub struct Programs {
    home: PathBuf,
    version: String,
}

impl Programs {
    /// The programs that `cluster/` pins, built now if this machine has not built them before.
    ///
    /// They live outside of the checkout, in a folder named after the content of the pinned modules
    /// (`$PRISM_CACHE`, else `$XDG_CACHE_HOME/prism-operator`, else `~/.cache/prism-operator`), so
    /// checkouts share them and an upgrade never breaks an older one. The first build takes minutes.
    /// Blocks; a second caller waits for the first one's build.
    ///
    /// # Errors
    /// [`Error::GoMissing`], [`Error::GoTooOld`], [`Error::Build`], [`Error::NoCacheFolder`].
    pub fn ensure(progress: &Progress) -> Result<Self> {
        let modules = Modules::of_checkout();
        let version = modules.kubernetes_version()?;
        let name = format!("{version}-{}", fingerprint(&[modules.controlplane.as_path(), &modules.kwok])?);
        let home = cache::kept(&name, progress, |partial| build_all(&modules, &version, partial, progress))?;
        Ok(Self { home, version })
    }

    /// Kubernetes version of the control plane, as in `v1.35.4`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Executable that is etcd, kube-apiserver, kube-controller-manager, kube-scheduler or kubectl,
    /// by its first argument.
    #[must_use]
    pub fn controlplane(&self) -> PathBuf {
        self.home.join("controlplane")
    }

    /// Executable that plays nodes.
    #[must_use]
    pub fn kwok(&self) -> PathBuf {
        self.home.join("kwok")
    }

    /// Files with the rules by which kwok plays nodes and pods.
    #[must_use]
    pub fn stages(&self) -> Vec<PathBuf> {
        STAGES.iter().map(|stage| self.home.join("stage").join(file_name(stage))).collect()
    }
}

fn build_all(modules: &Modules, version: &str, into: &Path, progress: &Progress) -> Result<()> {
    modules.check_go()?;
    fs::create_dir_all(into.join("stage")).map_err(io("create", into))?;
    progress.step(&format!(
        "building Kubernetes {version} and kwok: minutes the first time, never again for this version",
    ));

    build("controlplane", &modules.controlplane, ".", &version_stamp(version), into, progress)?;
    build("kwok", &modules.kwok, KWOK_COMMAND, "-s -w", into, progress)?;

    let module = go(&modules.kwok, &["list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"], |_| ())
        .map_err(|tail| Error::Build { program: "kwok", tail })?;
    for stage in STAGES {
        let from = Path::new(module.trim()).join("kustomize/stage").join(stage);
        let text = fs::read(&from).map_err(io("read", &from))?;
        let to = into.join("stage").join(file_name(stage));
        fs::write(&to, text).map_err(io("write", &to))?;
    }
    progress.step("control plane built");
    Ok(())
}

/// Linker flags: a control plane without a version confuses its clients.
fn version_stamp(version: &str) -> String {
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or("1"), parts.next().unwrap_or("0"));
    let package = "k8s.io/component-base/version";
    format!(
        "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    )
}
