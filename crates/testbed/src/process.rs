//! Which processes belong to a cluster, and how they are ended: by id, never by name.
//!
//! Every component is written to the file `pids` of its cluster together with the moment it started,
//! so an id that the system has given to another program since then is not taken for ours. Where the
//! system has `/proc`, a mark in the environment finds those that were not written down in time, too.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Error, Result, io};

/// Environment variable of every component: the folder of its cluster.
pub(crate) const MARK: &str = "PRISM_TESTBED_COMPONENT_OF";
/// SIGKILL works at once; what is still there after this is in the kernel's hands.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// One process of a cluster, as written down when it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) component: String,
    pub(crate) pid: u32,
    started: String,
}

impl Process {
    /// The process with this id, as it runs now; `None` when there is none.
    pub(crate) fn running(component: &str, pid: u32) -> Option<Self> {
        Some(Self { component: component.to_owned(), pid, started: started(pid)? })
    }

    /// Whether this very process, and not a later one with its id, still runs.
    pub(crate) fn is_alive(&self) -> bool {
        started(self.pid).is_some_and(|started| started == self.started)
    }

    fn kill(&self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // Gone already is as good as killed.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// File in which the processes of the cluster in `folder` are written down.
pub(crate) fn register(folder: &Path) -> PathBuf {
    folder.join("pids")
}

/// Writes a process down.
pub(crate) fn record(folder: &Path, process: &Process) -> Result<()> {
    let path = register(folder);
    let line = format!("{} {} {}\n", process.component, process.pid, process.started);
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(io("write", path))
}

/// Everything that was started for the cluster in `folder`, alive or not, the latest of each component.
pub(crate) fn recorded(folder: &Path) -> Vec<Process> {
    let text = fs::read_to_string(register(folder)).unwrap_or_default();
    let mut latest = BTreeMap::new();
    for process in text.lines().filter_map(parse) {
        latest.insert(process.component.clone(), process);
    }
    latest.into_values().collect()
}

/// Ends every process of the cluster in `folder` and waits until they are gone. Returns their number.
pub(crate) fn kill_all(folder: &Path) -> Result<usize> {
    let deadline = Instant::now() + KILL_TIMEOUT;
    let mut count = 0;
    loop {
        let alive = alive(folder);
        if alive.is_empty() {
            return Ok(count);
        }
        if Instant::now() > deadline {
            let names: Vec<_> = alive.iter().map(|p| format!("{} ({})", p.component, p.pid)).collect();
            return Err(Error::Unkillable(names.join(", ")));
        }
        count = count.max(alive.len());
        alive.iter().for_each(Process::kill);
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn alive(folder: &Path) -> Vec<Process> {
    let text = fs::read_to_string(register(folder)).unwrap_or_default();
    let mut found: Vec<_> = text.lines().filter_map(parse).filter(Process::is_alive).collect();
    for process in marked(folder) {
        if !found.iter().any(|known| known.pid == process.pid) {
            found.push(process);
        }
    }
    found
}

fn parse(line: &str) -> Option<Process> {
    let mut words = line.splitn(3, ' ');
    let component = words.next()?.to_owned();
    let pid = words.next()?.parse().ok()?;
    Some(Process { component, pid, started: words.next()?.to_owned() })
}

/// Processes whose environment carries the mark of this cluster.
fn marked(folder: &Path) -> Vec<Process> {
    let mark = format!("{MARK}={}", folder.display());
    let pids = fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes()).then_some(pid)
    });
    pids.filter_map(|pid| Process::running("process", pid)).collect()
}

/// When a process started, in the system's own words; `None` when it does not run (any more).
fn started(pid: u32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command's name may hold blanks and brackets; state is the first field behind it.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let is_dead = matches!(*fields.first()?, "Z" | "X");
        return (!is_dead).then(|| fields.get(19).map(ToString::to_string)).flatten();
    }
    let output = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (state, start) = text.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| start.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_given_to_another_program_is_not_taken_for_ours() {
        let mut mine = Process::running("me", std::process::id()).unwrap();
        assert!(mine.is_alive());
        mine.started.push('0');
        assert!(!mine.is_alive());
    }

    #[test]
    fn a_process_that_ended_is_dead_before_its_parent_notices() {
        let mut child = Command::new("true").spawn().unwrap();
        let process = Process::running("true", child.id());
        std::thread::sleep(Duration::from_millis(100));
        assert!(!process.is_some_and(|process| process.is_alive()));
        child.wait().unwrap();
    }

    #[test]
    fn the_latest_entry_of_a_component_counts() {
        let folder = tempfile::tempdir().unwrap();
        for pid in [1, 2] {
            let process = Process { component: "etcd".into(), pid, started: "Fri Nov 20".into() };
            record(folder.path(), &process).unwrap();
        }
        let pids: Vec<_> = recorded(folder.path()).iter().map(|process| process.pid).collect();
        assert_eq!(pids, [2]);
    }
}
