//! What the tests of the testbed itself look at: processes, as the system knows them.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::path::Path;

use prism_testbed::{Options, Testbed};
use rustix::process::{Pid, Signal, kill_process};

/// The program under test.
pub(crate) const TESTBED: &str = env!("CARGO_BIN_EXE_testbed");

/// The cluster that the tests run under.
pub(crate) async fn testbed() -> Testbed {
    Testbed::from_env().await.unwrap()
}

/// Options for further clusters.
pub(crate) fn options() -> Options {
    Options { testbed: Some(TESTBED.into()), ..Options::default() }
}

/// Ids of the processes that have `folder` on their command line.
pub(crate) fn processes_of(folder: &Path) -> Vec<u32> {
    let folder = folder.to_string_lossy();
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| command_line(*pid).is_some_and(|line| line.contains(&*folder))).collect()
}

/// What a process was started with; `None` when it is gone, or a zombie.
pub(crate) fn command_line(pid: u32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    (!line.is_empty()).then(|| String::from_utf8_lossy(&line).replace('\0', " "))
}

/// SIGKILL.
pub(crate) fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}
