//! What works, and should be thought about again.

use prism_api::condition::reason;

use super::{Facts, PatternEntry, admin, component, facts::place, front, resolved::ResolvedStack};

/// Port of the protocol that Jaeger spoke before it took OTLP.
const JAEGER_THRIFT_PORT: &str = ":14268";

/// Reason and message of each.
pub(super) fn of(
    stack: &ResolvedStack,
    patterns: &[PatternEntry],
    facts: &Facts,
) -> Vec<(&'static str, String)> {
    let spec = &stack.spec;
    let mut warnings = Vec::new();
    let admin = spec.admin.as_ref().filter(|admin| admin.component.is_enabled());
    let members = admin.and_then(|admin| admin.component.replicas).unwrap_or(1);
    if members > 0 && members % 2 == 0 {
        warnings.push((
            reason::EVEN_REPLICAS,
            format!(
                "spec.admin.replicas: {members} members survive no more failures than {}: make it odd",
                members - 1
            ),
        ));
    }
    let proxy = spec.proxy.as_ref().map(|proxy| (&front::PROXY, &proxy.component));
    let console = spec.web_console.as_ref().map(|console| (&front::CONSOLE, &console.component));
    let admin = admin.map(|admin| (&admin::ROLE, &admin.component));
    for (role, block) in [admin, proxy, console].into_iter().flatten() {
        if block.is_enabled() && component::port_has_moved(stack, role, block) {
            let (port, moved) =
                (component::port(stack, role, block), component::metrics_port(stack, role, block));
            warnings.push((
                reason::PORT_MOVED,
                format!(
                    "{}: clients connect to port {port}, so its metrics are on {moved}: set metricsPort",
                    role.field
                ),
            ));
        }
    }
    let tracing = stack.observability().and_then(|block| block.tracing.as_ref()?.endpoint.as_deref());
    if tracing.is_some_and(|endpoint| endpoint.contains(JAEGER_THRIFT_PORT)) {
        warnings.push((
            reason::LEGACY_TRACING_ENDPOINT,
            "spec.observability.tracing.endpoint: port 14268 is Jaeger's old protocol, and programs send OTLP: use port 4317 or 4318".to_owned(),
        ));
    }
    for entry in patterns.iter().filter(|entry| !entry.withheld.is_empty()) {
        let words: Vec<_> = entry.withheld.iter().map(|setting| setting.word()).collect();
        let (words, namespace) = (words.join(", "), entry.object.metadata.namespace.as_deref());
        warnings.push((
            reason::SETTINGS_WITHHELD,
            format!(
                "pattern {} runs without {words}: namespace {} does not allow it to others; add it to the annotation prism.io/allowed-settings there, or remove it here",
                entry.name,
                namespace.unwrap_or_default()
            ),
        ));
    }
    for entry in patterns {
        let child = facts.patterns.get(&place(&entry.object.metadata));
        let complaint = child.and_then(|child| child.complaint.as_ref());
        if let Some((found, message)) = complaint {
            let reason = if found == reason::REF_NOT_PERMITTED {
                reason::REF_NOT_PERMITTED
            } else if found == reason::CONNECTION_MISSING {
                reason::CONNECTION_MISSING
            } else {
                reason::BACKEND_NOT_FOUND
            };
            warnings.push((reason, format!("pattern {}: {message}", entry.name)));
        }
    }
    warnings
}
