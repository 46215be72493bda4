//! Builds the pinned control plane, once for each machine and version.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, io};
use crate::modules::{Modules, build, file_name, go};
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
        let cache = cache_folder()?;
        let home = cache.join(format!("{version}-{}", modules.fingerprint()?));
        let programs = Self { home, version };
        if programs.is_built() {
            return Ok(programs);
        }

        fs::create_dir_all(&cache).map_err(io("create", &cache))?;
        let lock_path = cache.join("build.lock");
        let lock = File::create(&lock_path).map_err(io("create", &lock_path))?;
        if lock.try_lock().is_err() {
            progress.step("another build of the control plane is under way: waiting for it");
            lock.lock().map_err(io("lock", &lock_path))?;
        }
        if !programs.is_built() {
            programs.build(&modules, progress)?;
        }
        Ok(programs)
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

    fn is_built(&self) -> bool {
        // The folder gets its name only when it is complete.
        self.home.is_dir()
    }

    fn build(&self, modules: &Modules, progress: &Progress) -> Result<()> {
        modules.check_go()?;
        let partial = self.home.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(io("remove", &partial))?;
        }
        fs::create_dir_all(partial.join("stage")).map_err(io("create", &partial))?;
        progress.step(&format!(
            "building Kubernetes {} and kwok: minutes the first time, never again for this version",
            self.version
        ));

        let stamp = version_stamp(&self.version);
        build("controlplane", &modules.controlplane, ".", &stamp, &partial, progress)?;
        build("kwok", &modules.kwok, KWOK_COMMAND, "-s -w", &partial, progress)?;

        let module = go(&modules.kwok, &["list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"], |_| ())
            .map_err(|tail| Error::Build { program: "kwok", tail })?;
        for stage in STAGES {
            let from = Path::new(module.trim()).join("kustomize/stage").join(stage);
            let text = fs::read(&from).map_err(io("read", &from))?;
            let to = partial.join("stage").join(file_name(stage));
            fs::write(&to, text).map_err(io("write", &to))?;
        }
        fs::rename(&partial, &self.home).map_err(io("create", &self.home))?;
        progress.step("control plane built");
        Ok(())
    }
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

fn cache_folder() -> Result<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("PRISM_CACHE")
        .or_else(|| Some(from("XDG_CACHE_HOME")?.join("prism-operator")))
        .or_else(|| Some(from("HOME")?.join(".cache/prism-operator")))
        .ok_or(Error::NoCacheFolder)
}
