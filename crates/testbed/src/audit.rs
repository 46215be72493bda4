//! The API server's audit log: who asked for what, when, and what came of it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result, io};

/// An audit log that the API server goes on writing to.
///
#[derive(Debug, Clone)]
pub struct AuditLog {
    path: PathBuf,
}

/// A place in the log, and a moment: behind it is what was received, and written down, later.
///
/// The place alone would not do: a watch may tell of a write before the log does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    offset: u64,
    at: Timestamp,
}

/// One answered request.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// Who asked.
    pub user: String,
    /// What the program calls itself.
    pub user_agent: String,
    /// Resource in the plural, as in `deployments`; empty for a path that is no resource.
    pub resource: String,
    /// As in `status` or `scale`; empty for the object itself.
    pub subresource: String,
    /// API group; empty for the core group.
    pub group: String,
    /// Namespace; empty for what has none.
    pub namespace: String,
    /// Name; empty for collections, and for creations that leave the name to the server.
    pub name: String,
    /// Path and query.
    pub uri: String,
    /// HTTP status of the answer; 0 when there was none.
    pub code: u16,
    /// `ResponseStarted` for a watch that goes on, else `ResponseComplete` or `Panic`.
    pub stage: String,
    /// Body of the request: for writes of members of the audited group.
    pub request_object: Option<Value>,
    /// When the API server received the request.
    pub received: Timestamp,
    /// When it wrote this entry.
    pub logged: Timestamp,
}

impl AuditLog {
    /// Opens a log.
    pub fn open(path: &Path) -> Result<Self> {
        File::open(path).map_err(io("open", path))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The place where the log ends now.
    pub fn mark(&self) -> Result<Mark> {
        let file = File::open(&self.path).map_err(io("open", &self.path))?;
        let length = file.metadata().map_err(io("read", &self.path))?.len();
        Ok(Mark { offset: length, at: Timestamp::now() })
    }

    /// Requests behind `mark` of users for whom `is_wanted` holds, in the order they were answered.
    pub fn since(&self, mark: Mark, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Entry>> {
        let mut file = File::open(&self.path).map_err(io("open", &self.path))?;
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(mark.offset))
            .and_then(|_| file.read_to_end(&mut text))
            .map_err(io("read", &self.path))?;
        // The last line may be half written: its request has not been answered yet.
        let complete = text.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let lines = text[..complete].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut entries = Vec::new();
        for line in lines {
            let event: Event = serde_json::from_slice(line)
                .map_err(|error| Error::Malformed { path: self.path.clone(), reason: error.to_string() })?;
            if is_wanted(&event.user.username) {
                entries.push(Entry::from(event));
            }
        }
        entries.retain(|entry| entry.received >= mark.at);
        Ok(entries)
    }

    /// Writes of `user` behind `mark`, leases apart.
    pub fn writes_of(&self, user: &str, mark: Mark) -> Result<Writes> {
        Ok(writes(self.since(mark, |name| name == user)?))
    }
}

/// Requests that change something.
#[derive(Debug, Clone, Default)]
pub struct Writes {
    /// Everything but leases.
    pub objects: Vec<Entry>,
    /// Leases: they are renewed for as long as a program runs, with or without work.
    pub leases: Vec<Entry>,
}

/// The writes among `entries`, refused ones too.
#[must_use]
pub fn writes(entries: Vec<Entry>) -> Writes {
    let writes = entries.into_iter().filter(Entry::is_write);
    let (leases, objects) = writes.partition(Entry::is_lease);
    Writes { objects, leases }
}

impl Entry {
    /// Whether the request changes something. Reviews are questions in spite of their verb.
    #[must_use]
    pub fn is_write(&self) -> bool {
        let changes =
            matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection");
        changes && !is_review(&self.group) && !self.uri.contains("dryRun=All")
    }

    /// Whether the request is about a lease.
    #[must_use]
    pub fn is_lease(&self) -> bool {
        self.group == "coordination.k8s.io" && self.resource == "leases"
    }

    /// Time from the request to its entry in the log.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::try_from(self.logged.duration_since(self.received)).unwrap_or_default()
    }
}

/// Whether the API group only answers questions.
pub(crate) fn is_review(group: &str) -> bool {
    matches!(group, "authentication.k8s.io" | "authorization.k8s.io")
}

/// An event as Kubernetes writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: Reference,
    #[serde(rename = "requestURI")]
    request_uri: String,
    #[serde(default)]
    response_status: Status,
    stage: String,
    request_object: Option<Value>,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Reference {
    resource: String,
    subresource: String,
    api_group: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
}

impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        Self {
            verb: event.verb,
            user: event.user.username,
            user_agent: event.user_agent,
            resource: event.object_ref.resource,
            subresource: event.object_ref.subresource,
            group: event.object_ref.api_group,
            namespace: event.object_ref.namespace,
            name: event.object_ref.name,
            uri: event.request_uri,
            code: event.response_status.code,
            stage: event.stage,
            request_object: event.request_object,
            received: event.request_received_timestamp,
            logged: event.stage_timestamp,
        }
    }
}
