//! What a spec may not say, beyond what the schema sees.

use super::{admin, front, resolved::ResolvedStack};
use crate::{backend::is_provisioned, invalid::Invalid, program::check_name};

/// Patterns, backends and components name their objects after themselves: they have to keep apart.
pub(super) fn names(stack: &ResolvedStack) -> Result<(), Invalid> {
    check_name(&stack.name)?;
    let parts = [admin::ROLE.component, front::PROXY.component, front::CONSOLE.component];
    let patterns = stack.spec.patterns.iter().map(|pattern| &pattern.name).enumerate();
    let backends = stack.spec.backends.iter().map(|backend| &backend.name).enumerate();
    let lists = patterns.map(|entry| ("patterns", entry)).chain(backends.map(|entry| ("backends", entry)));
    for (list, (index, name)) in lists {
        if parts.contains(&name.as_str()) {
            return Err(Invalid::new(
                format!("spec.{list}[{index}].name"),
                format!("{name} is a part of every stack: choose another name"),
            ));
        }
    }
    for (index, backend) in stack.spec.backends.iter().enumerate() {
        if is_provisioned(&backend.spec)
            && stack.spec.patterns.iter().any(|pattern| pattern.name == backend.name)
        {
            return Err(Invalid::new(
                format!("spec.backends[{index}].name"),
                format!(
                    "a pattern is called {}, too, and both would have a Service of that name: rename one of them",
                    backend.name
                ),
            ));
        }
    }
    Ok(())
}
