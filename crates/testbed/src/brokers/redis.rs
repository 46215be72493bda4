//! Redis, with the lists that consumers take their work from.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::{Call, Server, address, installed, scope};
use crate::certs::write_private;
use crate::component::Program;
use crate::error::{Error, Result};

/// Package with server and command-line tool.
const PACKAGE: &str = "redis-server";
/// Appends `ARGV[1]` numbered items to the list `KEYS[1]`; returns its length.
const PUSH: &str = "for item = 1, ARGV[1] do redis.call('RPUSH', KEYS[1], item) end \
                    return redis.call('LLEN', KEYS[1])";

/// A Redis server without persistence.
pub struct Redis {
    server: Server,
    port: u16,
    tool: PathBuf,
    password: Option<String>,
}

impl Redis {
    /// Starts Redis, and returns when it answers. With a password, it asks the user `default` for it.
    ///
    /// # Errors
    /// [`Error::ProgramMissing`]; [`Error::ComponentDied`], [`Error::NotReady`].
    pub async fn start(password: Option<&str>) -> Result<Self> {
        let (executable, tool) =
            (installed("redis-server", PACKAGE, &[])?, installed("redis-cli", "redis-tools", &[])?);
        let scope = scope()?;
        // In a file: everybody can read command lines.
        let settings = scope.folder().join("redis.conf");
        let secret =
            password.map_or_else(String::new, |password| format!("requirepass {}\n", quoted(password)));
        write_private(&settings, &format!("bind 127.0.0.1\nsave \"\"\nappendonly no\n{secret}"))?;

        let password = password.map(str::to_owned);
        let (server, [port]) = Server::launch(
            scope,
            |[port]| Program {
                name: "redis",
                executable: executable.clone(),
                arguments: vec![settings.display().to_string(), "--port".into(), port.to_string()],
                ..Program::default()
            },
            async |[port]| {
                let pong = ask(&tool, port, password.as_deref(), "be reached", &["PING"]).await;
                pong.map(drop).map_err(|error| error.to_string())
            },
        )
        .await?;
        Ok(Self { server, port, tool, password })
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> String {
        address(self.port)
    }

    /// Appends `count` items to a list, which begins to exist with the first. Returns its length.
    pub async fn push(&self, list: &str, count: u32) -> Result<u64> {
        let count = count.to_string();
        self.number("append to a list", &["EVAL", PUSH, "1", list, &count]).await
    }

    /// Takes items from the front of a list until `left` are left; an empty list does not exist.
    pub async fn trim(&self, list: &str, left: u32) -> Result<()> {
        // A range is given by its first and last item: none is left by one that begins behind the end.
        let (from, to) = if left == 0 { ("1".into(), "0") } else { (format!("-{left}"), "-1") };
        self.ask("trim a list", &["LTRIM", list, &from, to]).await.map(drop)
    }

    /// Number of items in a list; 0 when it does not exist.
    pub async fn length(&self, list: &str) -> Result<u64> {
        self.number("measure a list", &["LLEN", list]).await
    }

    /// Ends the server at once, as a crash would; its lists are gone.
    pub fn stop(&mut self) -> Result<()> {
        self.server.stop()
    }

    async fn number(&self, action: &str, command: &[&str]) -> Result<u64> {
        let answer = self.ask(action, command).await?;
        answer.parse().map_err(|_| Error::Broker {
            program: "redis-cli",
            action: action.to_owned(),
            reason: format!("no number: {answer}"),
        })
    }

    async fn ask(&self, action: &str, command: &[&str]) -> Result<String> {
        ask(&self.tool, self.port, self.password.as_deref(), action, command).await
    }
}

async fn ask(
    tool: &Path,
    port: u16,
    password: Option<&str>,
    action: &str,
    command: &[&str],
) -> Result<String> {
    let port = port.to_string();
    // -e: an answer that is an error ends the tool with one.
    let mut arguments = vec!["-e", "-h", "127.0.0.1", "-p", &port];
    arguments.extend(command);
    let environment: Vec<_> = password.map(|password| ("REDISCLI_AUTH", password)).into_iter().collect();
    let call = Call {
        program: "redis-cli",
        executable: tool,
        arguments: &arguments,
        environment: &environment,
        user: None,
        input: "",
        action,
    };
    call.run().await
}

/// A word of a settings file, whatever it holds.
fn quoted(word: &str) -> String {
    let mut quoted = String::from('"');
    for byte in word.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => quoted.push(char::from(byte)),
            other => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\x{other:02x}");
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_hold_anything() {
        assert_eq!(quoted("a\"b\\ c"), r#""a\x22b\x5c\x20c""#);
    }
}
