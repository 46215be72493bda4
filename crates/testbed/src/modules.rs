//! The Go modules under `cluster/`, and how `go` is asked to build them.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hyper::body::Bytes;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result, io};
use crate::progress::Progress;

/// Part of the fingerprint: raise it when the way of building changes and the modules do not.
const RECIPE: &str = "1";
/// Lines of `go build` that an error shows.
const TAIL_LINES: usize = 30;
/// The Go modules of this checkout.
pub(crate) struct Modules {
    pub(crate) controlplane: PathBuf,
    pub(crate) kwok: PathBuf,
    pub(crate) keda: PathBuf,
    /// Is only downloaded: no program depends on it.
    pub(crate) definitions: PathBuf,
}

impl Modules {
    pub(crate) fn of_checkout() -> Self {
        let cluster = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cluster");
        Self {
            controlplane: cluster.join("controlplane"),
            kwok: cluster.join("kwok"),
            keda: cluster.join("keda"),
            definitions: cluster.join("definitions"),
        }
    }

    pub(crate) fn kubernetes_version(&self) -> Result<String> {
        pinned(&self.controlplane, "k8s.io/kubernetes ", "requires no k8s.io/kubernetes")
    }

    pub(crate) fn keda_version(&self) -> Result<String> {
        pinned(&self.keda, "github.com/kedacore/keda/v2 ", "requires no github.com/kedacore/keda/v2")
    }

    fn go_version(&self) -> Result<String> {
        pinned(&self.controlplane, "go ", "has no go line")
    }

    /// Asks `go` inside the module: it answers only if it is, or can fetch, a toolchain new enough.
    pub(crate) fn check_go(&self) -> Result<()> {
        let answer = Command::new("go").args(["env", "GOVERSION"]).current_dir(&self.controlplane).output();
        match answer {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(Error::GoTooOld {
                needed: self.go_version()?,
                detail: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            }),
            Err(_) => Err(Error::GoMissing { needed: self.go_version()? }),
        }
    }
}

/// What follows `prefix` on a line of the `go.mod` of a module.
fn pinned(module: &Path, prefix: &str, missing: &str) -> Result<String> {
    let path = module.join("go.mod");
    let text = fs::read_to_string(&path).map_err(io("read", &path))?;
    text.lines()
        .find_map(|line| line.trim().strip_prefix(prefix)?.split_whitespace().next())
        .map(str::to_owned)
        .ok_or_else(|| Error::Malformed { path, reason: missing.to_owned() })
}

/// First half of a SHA-256 over everything in these folders that decides what is built, in hexadecimal.
pub(crate) fn fingerprint(folders: &[&Path]) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(format!("{RECIPE} {} {}\n", std::env::consts::OS, std::env::consts::ARCH));
    for folder in folders {
        let mut files: Vec<PathBuf> = fs::read_dir(folder)
            .map_err(io("list", folder))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_pinning(path))
            .collect();
        files.sort();
        for file in files {
            let content = fs::read(&file).map_err(io("read", &file))?;
            hash.update(format!("{} {}\n", file_name(&file.to_string_lossy()), content.len()));
            hash.update(content);
        }
    }
    Ok(format!("{:x}", Bytes::copy_from_slice(&hash.finalize()[..16])))
}

/// Builds one program into `into`.
pub(crate) fn build(
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
    go(module, &["build", "-v", "-trimpath", "-ldflags", ldflags, "-o", &output, package], |line| {
        if line.starts_with("go: ") {
            task.note(line);
        } else {
            task.advance(line);
        }
    })
    .map_err(|tail| Error::Build { program, tail })?;
    Ok(())
}

/// Runs `go` in `folder` and returns what it printed; `on_line` hears its standard error as it comes.
/// A failure is the end of that standard error.
pub(crate) fn go(folder: &Path, arguments: &[&str], mut on_line: impl FnMut(&str)) -> Result<String, String> {
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
    for line in child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).lines()) {
        let Ok(line) = line else { break };
        on_line(&line);
        tail.push_back(line);
        if tail.len() > TAIL_LINES {
            tail.pop_front();
        }
    }
    let status = child.wait().map_err(explain)?;
    let text = reader.join().unwrap_or_default();
    if status.success() { Ok(text) } else { Err(Vec::from(tail).join("\n")) }
}

fn is_pinning(path: &Path) -> bool {
    let pinning = ["go", "mod", "sum", "xml", "sha256"];
    path.extension().is_some_and(|extension| pinning.iter().any(|one| extension == *one))
}

pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
