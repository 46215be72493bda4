//! A cluster that ends with its owner, however the owner ends; so do other programs of a test.
//!
//! The owner holds one end of a pipe, a small process of ours (`testbed guard`) the other. When the
//! owner stops the cluster, panics, or is killed, the pipe closes, and the guard ends the cluster and
//! removes its folder. There is no other way to stop such a cluster, so this one is known to work.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Options};
use crate::component::Component;
use crate::error::{Error, Result, io};
use crate::folder::Lock;
use crate::process::{MARK, Process, kill_all, record, register};
use crate::programs::Programs;
use crate::progress::Progress;

/// Beginning of the names of folders of clusters that end with their owner.
const PREFIX: &str = "prism-testbed-";
/// What the guard says when it is watching.
const WATCHING: &str = "watching";
/// Nothing writes into a folder any more this long after its processes were ended.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A cluster that lives as long as this value, or as its process, whichever ends first.
pub struct ScopedCluster {
    cluster: Cluster,
    // Dropped in this order: ends the components, then takes note that they have ended.
    _scope: Scope,
    _components: Vec<Component>,
}

impl ScopedCluster {
    /// Starts a cluster in a temporary folder. Clears away first what guards that were killed, too,
    /// left behind.
    pub async fn start(programs: &Programs, options: &Options, progress: &Progress) -> Result<Self> {
        let scope = Scope::new(&options.testbed()?)?;
        let (cluster, components) = Cluster::start(scope.folder(), programs, options, progress).await?;
        Ok(Self { cluster, _scope: scope, _components: components })
    }

    /// Lets another process, too, end with the cluster at the latest; `name` is shown in errors.
    pub fn adopt(&self, name: &str, pid: u32) -> Result<()> {
        match Process::running(name, pid) {
            Some(process) => record(self.folder(), &process),
            None => Ok(()),
        }
    }

    /// Ends the cluster and removes its folder. Dropping does the same.
    pub fn stop(self) {
        drop(self);
    }
}

impl Deref for ScopedCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

/// A temporary folder, and the processes that were started for it: both end with this value, or with
/// its process.
pub(crate) struct Scope {
    folder: PathBuf,
    // Waits when it is dropped, until everything is gone.
    _guard: Guard,
}

impl Scope {
    /// Makes a folder and lets `testbed` watch over it. Clears away first what guards that were killed,
    /// too, left behind.
    pub(crate) fn new(testbed: &Path) -> Result<Self> {
        sweep();
        let temporary = std::env::temp_dir();
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir()
            .map_err(io("create a folder in", &temporary))?;
        let folder = folder.keep().canonicalize().map_err(io("find", &temporary))?;
        let guard = Guard::over(&folder, testbed)?;
        let logs = folder.join("logs");
        fs::create_dir(&logs).map_err(io("create", logs))?;
        Ok(Self { folder, _guard: guard })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The owner's end of the pipe.
struct Guard {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Starts a guard and returns when it watches.
    fn over(folder: &Path, testbed: &Path) -> Result<Self> {
        let mut child = Command::new(testbed)
            .arg("guard")
            .arg("--dir")
            .arg(folder)
            // A guard inside of a guarded command must not end with that command's cluster.
            .env_remove(MARK)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(io("start", testbed))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(io("hear", testbed))?;
        }
        if line.trim() != WATCHING {
            return Err(Error::NoTestbedProgram);
        }
        let pipe = child.stdin.take();
        Ok(Self { child, pipe })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Lets the guard end everything, and waits until it has; what it could not do it has said on
        // standard error.
        drop(self.pipe.take());
        let _ = self.child.wait();
    }
}

/// Body of `testbed guard`: waits for the end of standard input, then ends the cluster in `folder` and
/// removes the folder.
pub fn guard(folder: &Path) -> Result<()> {
    // Held as long as the guard lives: that is how a sweep tells a cluster without one.
    let _lock = Lock::take(folder)?;
    println!("{WATCHING}");
    let mut ignored = Vec::new();
    // Whatever ends the pipe ends the cluster.
    let _ = std::io::stdin().read_to_end(&mut ignored);
    remove(folder)
}

fn remove(folder: &Path) -> Result<()> {
    kill_all(folder)?;
    let deadline = Instant::now() + REMOVE_TIMEOUT;
    loop {
        match fs::remove_dir_all(folder) {
            // A process that ends because its parent has ended may still write its last file.
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            removed => return removed.map_err(io("remove", folder)),
        }
    }
}

/// Clears away clusters whose owner and guard were both killed.
fn sweep() {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten();
    for folder in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let is_named_so = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        // Another user's folder cannot be locked, and stays.
        if is_named_so
            && register(&folder).exists()
            && let Some(_lock) = Lock::try_take(&folder)
        {
            // It was in nobody's way so far; the next sweep tries again.
            let _ = remove(&folder);
        }
    }
}
