//! Bare server-side apply: what the API server can do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kube::Client;
use prism_rig::Note;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::bed::Bed;
use crate::capture::Captured;
use crate::error::{Error, Result};
use crate::figures::Writes;
use crate::patterns::uids;
use crate::usage::{Cpu, Usage};

/// The user that replays.
const USER: &str = "bench-raw";

/// One replay.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Raw {
    pub(crate) connections: usize,
    pub(crate) writes: Writes,
    pub(crate) cpu: Cpu,
    /// The same once more, when nothing differs.
    pub(crate) unchanged: Option<Writes>,
}

/// Replays the captured requests in a new namespace over so many connections.
pub(crate) async fn measure(
    bed: &mut Bed,
    captured: &Captured,
    connections: usize,
    label: &str,
    with_unchanged: bool,
) -> Result<Raw> {
    eprintln!("{label}: bare apply over {connections} connections");
    let place = bed.place("raw").await?;
    let (client, patterns) = (bed.client("bench-user").await?, bed.patterns.clone());
    let owners = async |_: &Note| patterns.create(&client, &place.name).await;
    bed.steps.step("    owners", owners).await?;
    let uids = uids(&client, &place.name).await?;
    let requests = captured.moved_to(&place.name, &uids)?;
    bed.calm().await?;

    let before = Usage::now(bed.testbed.cluster(), None)?;
    let writes = replay(bed, requests.clone(), connections, "    replayed").await?;
    let cpu = Usage::now(bed.testbed.cluster(), None)?.since(&before);
    bed.calm().await?;
    let unchanged = if with_unchanged {
        let updating: Vec<_> = requests.iter().map(Captured::updating).collect::<Result<_>>()?;
        Some(replay(bed, updating, connections, "    replayed once more").await?)
    } else {
        None
    };
    bed.clear(place).await?;
    bed.calm().await?;
    Ok(Raw { connections, writes, cpu, unchanged })
}

async fn replay(
    bed: &mut Bed,
    requests: Vec<http::Request<Vec<u8>>>,
    connections: usize,
    title: &str,
) -> Result<Writes> {
    let client = bed.client(USER).await?;
    let audit = bed.testbed.audit()?;
    let mark = audit.mark()?;
    let requests = Arc::new(requests);
    let sent = async |note: &Note| {
        let next = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..connections {
            workers.spawn(work(client.clone(), requests.clone(), next.clone(), note.clone()));
        }
        let refused: Vec<String> = workers.join_all().await.into_iter().flatten().collect();
        match refused.first() {
            None => Ok(()),
            Some(first) => {
                Err(Error::Refused { failed: refused.len(), all: requests.len(), first: first.clone() })
            }
        }
    };
    bed.steps.step(title, sent).await?;
    Writes::of(&audit.since(mark, |user| user == USER)?)
}

/// Sends requests until there are none left; returns refusals.
async fn work(
    client: Client,
    requests: Arc<Vec<http::Request<Vec<u8>>>>,
    next: Arc<AtomicUsize>,
    note: Note,
) -> Vec<String> {
    let mut refused = Vec::new();
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(n) else { return refused };
        if let Err(error) = client.request_text(request.clone()).await {
            refused.push(error.to_string());
        }
        if n.is_multiple_of(50) {
            note.set(&format!("{n} of {}", requests.len()));
        }
    }
}
