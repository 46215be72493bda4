//! What becomes of a `PrismPattern`.

mod backend;
mod budget;
mod child;
mod config;
mod environment;
mod facts;
mod kind;
mod labels;
mod placement;
mod pod;
mod pod_template;
mod profile;
mod resolved;
mod scaler;
mod service;
mod service_account;
mod status;
mod storage;
mod workload;

#[cfg(test)]
mod tests;

use prism_api::{pattern::PrismPattern, workload::WorkloadKind};

pub use backend::{Backend, candidates};
pub use child::{Children, Workload};
pub use facts::{BackendFacts, Claim, Facts, WorkloadFacts};
pub use resolved::{ResolvedPattern, workload_name};
pub use status::{Problem, Report, is_progress_only, refused, status};
pub use storage::{Replace, StorageVerdict};

use crate::invalid::Invalid;

/// Everything that is to be done for one pattern.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The pattern with aliases, defaults and references resolved.
    pub pattern: ResolvedPattern,
    /// What should exist.
    pub children: Children,
    /// A workload of the other kind that stays until its successor serves.
    pub keep: Option<WorkloadKind>,
    /// The `StatefulSet` has to be deleted and made anew, pods and volumes untouched.
    pub replace: Option<Replace>,
    /// Why the volumes are not as the spec wants them.
    pub storage: StorageVerdict,
}

/// Plans `pattern`.
///
/// # Errors
/// When the spec contradicts itself in a way that the schema cannot see.
pub fn plan(pattern: &PrismPattern, facts: &Facts) -> Result<Plan, Invalid> {
    let pattern = ResolvedPattern::new(pattern, facts)?;
    let verdict = storage::judge(&pattern, facts);
    let children = Children {
        service_account: service_account::build(&pattern),
        config: config::build(&pattern)?,
        workload: workload::build(&pattern, &verdict)?,
        service: service::build(&pattern),
        headless: service::build_headless(&pattern),
        budget: budget::build(&pattern),
        scaler: scaler::build(&pattern)?,
    };
    let keep = kind::predecessor(&pattern, facts);
    Ok(Plan { replace: verdict.replace(), storage: verdict, children, keep, pattern })
}
