//! `PostgreSQL`, a database for a test to fill and to question.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::process::{Signal, geteuid};

use super::{Call, Server, address, installed, scope};
use crate::component::Program;
use crate::error::{Result, io};

/// Where Debian keeps the programs of each version, one folder each.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Package with server and command-line tool.
const PACKAGE: &str = "postgresql";
/// `nobody`: `PostgreSQL` refuses to be root.
const NOBODY: u32 = 65534;

/// A `PostgreSQL` server, its one database empty.
pub struct Postgres {
    server: Server,
    port: u16,
    tool: PathBuf,
}

impl Postgres {
    /// Starts `PostgreSQL`, and returns when it answers. Everybody on this machine is let in as the
    /// superuser `postgres`, whatever the password. Nothing is safe from a power failure.
    ///
    /// # Errors
    /// [`ProgramMissing`](crate::Error::ProgramMissing); [`Broker`](crate::Error::Broker),
    /// [`ComponentDied`](crate::Error::ComponentDied), [`NotReady`](crate::Error::NotReady).
    pub async fn start() -> Result<Self> {
        let versions = versions();
        let executable = installed("postgres", PACKAGE, &versions)?;
        let initdb = installed("initdb", PACKAGE, &versions)?;
        let tool = installed("psql", "postgresql-client", &versions)?;
        let scope = scope()?;
        let data = scope.folder().join("data");
        fs::create_dir(&data).map_err(io("create", &data))?;
        let user = geteuid().is_root().then_some(NOBODY);
        if let Some(user) = user {
            // Enough to get to what is its own.
            let passable = fs::Permissions::from_mode(0o711);
            fs::set_permissions(scope.folder(), passable).map_err(io("open", scope.folder()))?;
            chown(&data, Some(user), Some(user)).map_err(io("give away", &data))?;
        }
        initialise(&initdb, &data, user).await?;

        let (server, [port]) = Server::launch(
            scope,
            |[port]| Program {
                name: "postgres",
                executable: executable.clone(),
                arguments: vec![
                    "-D".into(),
                    data.display().to_string(),
                    "-h".into(),
                    "127.0.0.1".into(),
                    "-p".into(),
                    port.to_string(),
                    "-c".into(),
                    "fsync=off".into(),
                    "-c".into(),
                    "unix_socket_directories=".into(),
                ],
                user,
                ..Program::default()
            },
            async |[port]| {
                run(&tool, port, "be reached", "SELECT 1").await.map(drop).map_err(|error| error.to_string())
            },
        )
        .await?;
        Ok(Self { server, port, tool })
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> String {
        address(self.port)
    }

    /// URL of the database, with its user.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgresql://postgres@{}/postgres?sslmode=disable", self.address())
    }

    /// Runs statements, and returns the rows of their results: a line each, columns separated by `|`.
    ///
    /// # Errors
    /// [`Broker`](crate::Error::Broker) with what the first statement that failed was answered.
    pub async fn run(&self, sql: &str) -> Result<String> {
        run(&self.tool, self.port, "run a statement", sql).await
    }

    /// Ends the server at once, as a crash would.
    pub fn stop(&mut self) -> Result<()> {
        self.server.stop()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Killed, it would leave a segment of shared memory behind.
        self.server.component.end(Signal::QUIT);
    }
}

/// Makes an empty database cluster in `data` that lets everybody in.
async fn initialise(initdb: &Path, data: &Path, user: Option<u32>) -> Result<()> {
    let data = data.to_string_lossy();
    let call = Call {
        program: "initdb",
        executable: initdb,
        arguments: &["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        environment: &[],
        user,
        input: "",
        action: "make a database",
    };
    call.run().await.map(drop)
}

async fn run(psql: &Path, port: u16, action: &str, sql: &str) -> Result<String> {
    let port = port.to_string();
    let call = Call {
        program: "psql",
        executable: psql,
        arguments: &[
            "--no-psqlrc",
            "--quiet",
            "--no-align",
            "--tuples-only",
            "--set=ON_ERROR_STOP=1",
            "--no-password",
            "--host=127.0.0.1",
            "--username=postgres",
            "--dbname=postgres",
            "--port",
            &port,
        ],
        environment: &[],
        user: None,
        input: sql,
        action,
    };
    call.run().await
}

/// Folders of the installed versions, the newest first.
fn versions() -> Vec<PathBuf> {
    let entries = fs::read_dir(VERSIONS).into_iter().flatten();
    let mut versions: Vec<u32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.iter().map(|version| Path::new(VERSIONS).join(version.to_string()).join("bin")).collect()
}
