//! What becomes of a `PrismPattern`.

mod backend;
mod config;
mod environment;
mod facts;
mod kind;
mod labels;
mod profile;
mod resolved;
mod runner;
mod status;

#[cfg(test)]
mod tests;

use k8s_openapi::api::core::v1::ConfigMap;
use prism_api::pattern::PrismPattern;

pub use backend::{Backend, candidates};
pub use facts::{BackendFacts, Facts};
pub use resolved::ResolvedPattern;
pub use status::{is_progress_only, refused, status};

use crate::{invalid::Invalid, program::ProgramPlan};

/// Everything that is to be done for one pattern.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The pattern with aliases, defaults and references resolved.
    pub pattern: ResolvedPattern,
    /// Settings of the runner.
    pub config: Option<ConfigMap>,
    /// The runner.
    pub runner: ProgramPlan,
}

/// Plans `pattern`.
///
/// # Errors
/// When the spec contradicts itself in a way that the schema cannot see.
pub fn plan(pattern: &PrismPattern, facts: &Facts) -> Result<Plan, Invalid> {
    let pattern = ResolvedPattern::new(pattern, facts)?;
    let files = config::files(&pattern)?;
    let program = runner::program(&pattern, &files)?;
    let config = config::build(&pattern, &program, files);
    Ok(Plan { config, runner: program.plan(&facts.runner)?, pattern })
}
