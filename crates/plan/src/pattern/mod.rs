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
use prism_api::{
    condition::{self, reason},
    pattern::{PrismPattern, PrismPatternStatus},
};

use backend::Found;
pub use backend::{Backend, candidates};
pub use facts::{BackendFacts, Facts};
pub use resolved::ResolvedPattern;
pub use status::{is_progress_only, refused, status};

use crate::{
    conditions::{find, is_true},
    invalid::Invalid,
    program::ProgramPlan,
};

/// Everything that is to be done for one pattern.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The pattern with aliases, defaults and references resolved.
    pub pattern: ResolvedPattern,
    /// Settings of the runner.
    pub config: Option<ConfigMap>,
    /// The runner.
    pub runner: ProgramPlan,
    /// Why nothing of it is changed, if nothing is.
    pub hold: Option<String>,
}

/// Plans `pattern`.
///
/// # Errors
/// When the spec contradicts itself in a way that the schema cannot see.
pub fn plan(pattern: &PrismPattern, facts: &Facts) -> Result<Plan, Invalid> {
    let previous = pattern.status.as_ref();
    let pattern = ResolvedPattern::new(pattern, facts)?;
    let hold = hold(&pattern, previous, facts);
    let files = config::files(&pattern)?;
    let program = runner::program(&pattern, &files)?;
    let config = config::build(&pattern, &program, files);
    Ok(Plan { config, runner: program.plan(&facts.runner)?, pattern, hold })
}

/// Why the runner stays as it is: where it runs, or what it was given, is no longer consented to. A runner
/// that never was given it is made and edited without.
fn hold(pattern: &ResolvedPattern, previous: Option<&PrismPatternStatus>, facts: &Facts) -> Option<String> {
    if let Some(hold) = facts.consents.hold(facts.home.as_deref(), &pattern.namespace) {
        return Some(hold);
    }
    let refused = pattern.backends.iter().find(|backend| backend.found == Found::NotPermitted)?;
    let conditions = &previous?.conditions;
    let was_given = is_true(conditions, condition::BACKEND_RESOLVED);
    let was_held = find(conditions, condition::STALLED)
        .is_some_and(|stalled| stalled.reason == reason::REF_NOT_PERMITTED);
    let runs = facts.runner.running(pattern.kind.value).is_some();
    (runs && (was_given || was_held))
        .then(|| format!("{}; until then nothing is changed here", backend::not_permitted(&refused.name)))
}
