//! Builds the pinned control plane, once for each machine and version.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result, io};
use crate::progress::Progress;

/// Part of the fingerprint: raise it when the way of building changes and the modules do not.
const RECIPE: &str = "1";
/// Lines of `go build` that an error shows.
const TAIL_LINES: usize = 30;
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
        STAGES
            .iter()
            .map(|stage| self.home.join("stage").join(file_name(stage)))
            .collect()
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
        modules.build(
            "controlplane",
            &modules.controlplane,
            ".",
            &stamp,
            &partial,
            progress,
        )?;
        modules.build("kwok", &modules.kwok, KWOK_COMMAND, "-s -w", &partial, progress)?;

        let module = go(
            &modules.kwok,
            &["list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"],
            |_| (),
        )
        .map_err(|tail| Error::Build {
            program: "kwok",
            tail,
        })?;
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

/// The two Go modules of this checkout.
struct Modules {
    controlplane: PathBuf,
    kwok: PathBuf,
}

impl Modules {
    fn of_checkout() -> Self {
        let cluster = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cluster");
        Self {
            controlplane: cluster.join("controlplane"),
            kwok: cluster.join("kwok"),
        }
    }

    /// First half of a SHA-256 over everything that decides what is built, in hexadecimal.
    fn fingerprint(&self) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(format!(
            "{RECIPE} {} {}\n",
            std::env::consts::OS,
            std::env::consts::ARCH
        ));
        for folder in [&self.controlplane, &self.kwok] {
            let mut files: Vec<PathBuf> = fs::read_dir(folder)
                .map_err(io("list", folder))?
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| is_pinning(path))
                .collect();
            files.sort();
            for file in files {
                let content = fs::read(&file).map_err(io("read", &file))?;
                hash.update(format!(
                    "{} {}\n",
                    file_name(&file.to_string_lossy()),
                    content.len()
                ));
                hash.update(content);
            }
        }
        Ok(hash
            .finalize()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    fn kubernetes_version(&self) -> Result<String> {
        self.from_go_mod("k8s.io/kubernetes ", "requires no k8s.io/kubernetes")
    }

    fn go_version(&self) -> Result<String> {
        self.from_go_mod("go ", "has no go line")
    }

    /// What follows `prefix` on a line of the control plane's `go.mod`.
    fn from_go_mod(&self, prefix: &str, missing: &str) -> Result<String> {
        let path = self.controlplane.join("go.mod");
        let text = fs::read_to_string(&path).map_err(io("read", &path))?;
        text.lines()
            .find_map(|line| line.trim().strip_prefix(prefix)?.split_whitespace().next())
            .map(str::to_owned)
            .ok_or_else(|| Error::Malformed {
                path,
                reason: missing.to_owned(),
            })
    }

    /// Asks `go` inside the module: it answers only if it is, or can fetch, a toolchain new enough.
    fn check_go(&self) -> Result<()> {
        let answer = Command::new("go")
            .args(["env", "GOVERSION"])
            .current_dir(&self.controlplane)
            .output();
        match answer {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(Error::GoTooOld {
                needed: self.go_version()?,
                detail: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            }),
            Err(_) => Err(Error::GoMissing {
                needed: self.go_version()?,
            }),
        }
    }

    fn build(
        &self,
        program: &'static str,
        module: &Path,
        package: &str,
        ldflags: &str,
        into: &Path,
        progress: &Progress,
    ) -> Result<()> {
        let mut task = progress.task(program, 0);
        let packages = go(module, &["list", "-deps", package], |line| task.note(line))
            .map_err(|tail| Error::Build { program, tail })?;
        drop(task);

        let mut task = progress.task(program, packages.lines().count());
        let output = into.join(program);
        let output = output.to_string_lossy();
        go(
            module,
            &[
                "build",
                "-v",
                "-trimpath",
                "-ldflags",
                ldflags,
                "-o",
                &output,
                package,
            ],
            |line| {
                if line.starts_with("go: ") {
                    task.note(line)
                } else {
                    task.advance(line)
                }
            },
        )
        .map_err(|tail| Error::Build { program, tail })?;
        Ok(())
    }
}

/// Runs `go` in `folder` and returns what it printed; `on_line` hears its standard error as it comes.
/// A failure is the end of that standard error.
fn go(folder: &Path, arguments: &[&str], mut on_line: impl FnMut(&str)) -> Result<String, String> {
    let explain = |error: std::io::Error| format!("cannot run go: {error}");
    let mut child = Command::new("go")
        .args(arguments)
        .current_dir(folder)
        .env("GOWORK", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(explain)?;
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut stdout) = stdout {
            // Anything but UTF-8 ends the text early, and the exit code tells.
            let _ = stdout.read_to_string(&mut text);
        }
        text
    });
    let mut tail = VecDeque::new();
    for line in child
        .stderr
        .take()
        .into_iter()
        .flat_map(|stderr| BufReader::new(stderr).lines())
    {
        let Ok(line) = line else { break };
        on_line(&line);
        tail.push_back(line);
        if tail.len() > TAIL_LINES {
            tail.pop_front();
        }
    }
    let status = child.wait().map_err(explain)?;
    let text = reader.join().unwrap_or_default();
    if status.success() {
        Ok(text)
    } else {
        Err(Vec::from(tail).join("\n"))
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

fn is_pinning(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "go" || extension == "mod" || extension == "sum")
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn cache_folder() -> Result<PathBuf> {
    let from = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    from("PRISM_CACHE")
        .or_else(|| Some(from("XDG_CACHE_HOME")?.join("prism-operator")))
        .or_else(|| Some(from("HOME")?.join(".cache/prism-operator")))
        .ok_or(Error::NoCacheFolder)
}
