//! Deployment or `StatefulSet`.

use prism_api::{pattern::PrismPatternSpec, workload::WorkloadKind};

use crate::because::{Because, because};

/// The kind of workload that `pattern_type` gets.
pub(super) fn decide(spec: &PrismPatternSpec, pattern_type: &str) -> Because<WorkloadKind> {
    use WorkloadKind::{Deployment, StatefulSet};
    match (spec.kind, pattern_type) {
        (Some(kind), _) => because(kind, "spec.kind says so"),
        (None, _) if spec.storage.is_some() => because(StatefulSet, "it has storage"),
        (None, "consumer") => because(StatefulSet, "a consumer keeps its identity in its group"),
        (None, "mailbox") => because(StatefulSet, "a mailbox keeps its messages"),
        (None, _) => because(Deployment, "its pods are interchangeable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prism_api::workload::StorageSpec;
    use rstest::rstest;

    fn spec(kind: Option<WorkloadKind>, has_storage: bool) -> PrismPatternSpec {
        PrismPatternSpec {
            kind,
            storage: has_storage.then(StorageSpec::default),
            ..PrismPatternSpec::default()
        }
    }

    #[rstest]
    #[case::consumer_keeps_its_identity("consumer", None, false, WorkloadKind::StatefulSet)]
    #[case::mailbox_keeps_its_messages("mailbox", None, false, WorkloadKind::StatefulSet)]
    #[case::explicit_kind_wins("consumer", Some(WorkloadKind::Deployment), false, WorkloadKind::Deployment)]
    #[case::storage_needs_a_stateful_set("keyvalue", None, true, WorkloadKind::StatefulSet)]
    #[case::producer_is_stateless("producer", None, false, WorkloadKind::Deployment)]
    #[case::unknown_patterns_are_stateless("my-own", None, false, WorkloadKind::Deployment)]
    fn workload_kind(
        #[case] pattern: &str,
        #[case] kind: Option<WorkloadKind>,
        #[case] has_storage: bool,
        #[case] expected: WorkloadKind,
    ) {
        assert_eq!(decide(&spec(kind, has_storage), pattern).value, expected);
    }
}
