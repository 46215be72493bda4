//! Waiting until Kubernetes' own controllers have nothing left to do.

use std::time::{Duration, Instant};

use prism_rig::Note;
use prism_testbed::AuditLog;
use prism_testbed::audit::writes;

use crate::bed::Bed;
use crate::error::Result;

/// Without a write for this time, the controllers are at rest.
const CALM: Duration = Duration::from_secs(3);
/// They never come to rest if they have not within this time.
const TIMEOUT: Duration = Duration::from_mins(5);
/// Time between two looks at the audit log.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Beginning of the names of this program's own users.
pub(crate) const OWN_USERS: &str = "bench-";

impl Bed {
    /// Waits until nobody but this program writes, leases and events apart: an autoscaler without
    /// metrics complains of that for ever.
    pub(crate) async fn calm(&mut self) -> Result<()> {
        let audit = self.testbed.audit()?;
        self.steps.step("    Kubernetes at rest", async |note| at_rest(&audit, note).await).await
    }
}

async fn at_rest(audit: &AuditLog, note: &Note) -> Result<()> {
    let begun = Instant::now();
    let mut last_write = begun;
    while last_write.elapsed() < CALM {
        let mark = audit.mark()?;
        tokio::time::sleep(LOOK_EVERY).await;
        let others = audit.since(mark, |user| !user.starts_with(OWN_USERS) && user != "kubernetes-admin")?;
        let mut changes = writes(others).objects.into_iter().filter(|entry| entry.resource != "events");
        if let Some(entry) = changes.next_back() {
            last_write = Instant::now();
            note.set(&format!("{} {} {}", entry.user, entry.verb, entry.resource));
        }
        if begun.elapsed() > TIMEOUT {
            note.set("never; going on all the same");
            break;
        }
    }
    Ok(())
}
