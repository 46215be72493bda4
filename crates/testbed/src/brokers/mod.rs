//! Real brokers and a real database on loopback, each for one test.
//!
//! Each runs as a child process of this one, on ports and in a folder of its own, and ends with its value
//! or with this process, whichever ends first. The programs are Debian's, Kafka comes from Maven Central;
//! an error says what to install.

mod jars;
mod kafka;
mod nats;
mod postgres;
mod redis;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::cluster::Options;
use crate::component::{Component, Program, launch};
use crate::error::{Error, Result};
use crate::guard::Scope;

pub use jars::fetch;
pub use kafka::Kafka;
pub use nats::Nats;
pub use postgres::Postgres;
pub use redis::Redis;

/// A running server with its folder.
struct Server {
    // Before the process: ends it, then it takes note.
    _scope: Scope,
    component: Component,
}

impl Server {
    /// Starts what `program` says, given free ports, in the folder of `scope`.
    async fn launch<const N: usize>(
        scope: Scope,
        program: impl Fn([u16; N]) -> Program,
        is_ready: impl AsyncFn([u16; N]) -> Result<(), String>,
    ) -> Result<(Self, [u16; N])> {
        let (component, ports) = launch(scope.folder(), program, is_ready).await?;
        Ok((Self { _scope: scope, component }, ports))
    }

    /// Ends the server at once, as a crash would.
    fn stop(&mut self) -> Result<()> {
        self.component.kill()
    }
}

/// A new folder whose processes end with us.
fn scope() -> Result<Scope> {
    Scope::new(&Options::default().testbed()?)
}

/// Address of a port on this machine, as clients want it.
fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// A program of Debian's `package`, on the PATH or in one of the folders behind it.
fn installed(program: &'static str, package: &'static str, further: &[PathBuf]) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers where the PATH of ordinary users does not lead.
    let servers = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(servers)
        .chain(further.iter().cloned())
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or(Error::ProgramMissing { program, package })
}

/// A call of a command-line tool.
struct Call<'a> {
    /// Name of the tool, for errors.
    program: &'static str,
    executable: &'a Path,
    arguments: &'a [&'a str],
    environment: &'a [(&'a str, &'a str)],
    /// Id of the user to run as; when absent, ours.
    user: Option<u32>,
    input: &'a str,
    /// Verb and object, for errors.
    action: &'a str,
}

impl Call<'_> {
    /// Runs the tool and returns what it printed. The tool ends with this process.
    async fn run(&self) -> Result<String> {
        let refused =
            |reason: String| Error::Broker { program: self.program, action: self.action.to_owned(), reason };
        let failed = |error: std::io::Error| refused(error.to_string());
        let mut command = Command::new(self.executable);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let mut child = command
            .args(self.arguments)
            .envs(self.environment.iter().copied())
            // Another user may not be let into ours.
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let stdin = child.stdin.take();
        let write = async {
            let Some(mut stdin) = stdin else { return Ok(()) };
            match stdin.write_all(self.input.as_bytes()).await {
                // It has heard enough: its exit code says whether that is right.
                Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
                _ => Ok(()),
            }
        };
        let (output, written) = tokio::join!(child.wait_with_output(), write);
        let output = output.map_err(failed)?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if !output.status.success() {
            let (stdout, stderr) = (said(&output.stdout), said(&output.stderr));
            return Err(refused(format!("{}\n{stderr}\n{stdout}", output.status)));
        }
        written.map_err(failed)?;
        Ok(said(&output.stdout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let error = installed("no-such-server", "no-such-package", &[]).unwrap_err().to_string();
        assert_eq!(
            error,
            "no-such-server is not installed, or not on the PATH: Debian's package no-such-package brings it"
        );
    }
}
