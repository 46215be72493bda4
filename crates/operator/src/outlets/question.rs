//! What others ask for, and how it is answered: by the same rules as the operator's own looks.

use k8s_openapi::jiff::Timestamp;
use prism_plan::{
    scaling::{Export, Source},
    text::label_value,
};
use prism_scale::{Observation, Policy, State, decide};

use crate::scaling::sources::Answer;

/// A metric that somebody asks for. Names may be written as label values: shortened, where they are long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// Namespace of the object.
    pub(super) namespace: String,
    /// Kind of the object that scales.
    pub(super) kind: String,
    /// Its name.
    pub(super) name: String,
    /// Name of the workload.
    pub(super) workload: String,
    /// Place of the metric in the list of the spec, from 0.
    pub(super) metric: usize,
}

/// A metric that there is.
pub(super) struct Found {
    /// What is told of it.
    pub(super) export: Export,
    /// Where it is read.
    pub(super) source: Source,
    /// The rules of its workload, with this metric alone.
    pub(super) policy: Policy,
}

/// A value that can be counted on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    /// The metric as a whole, at least 0.
    pub(super) value: f64,
    /// When the source measured it.
    pub(super) measured_at: Timestamp,
}

/// Why there is no answer. Never is a zero made of it: whoever asks would scale down.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unanswered {
    /// The question is none.
    #[error("{0}")]
    Unclear(String),
    /// There is no such metric.
    #[error("{0}")]
    Unknown(String),
    /// The source does not tell it, or what it tells does not count.
    #[error("{0}")]
    Unreadable(String),
}

/// What there is to ask for.
pub(super) trait Catalogue: Send + Sync + 'static {
    /// The metric that is asked for.
    fn find(&self, question: &Question) -> Result<Found, Unanswered>;

    /// Asks its source.
    fn read(&self, source: &Source) -> impl Future<Output = Answer> + Send;
}

/// The value of a metric, now.
pub(super) async fn measure(catalogue: &impl Catalogue, found: &Found) -> Result<Measured, Unanswered> {
    let answer = catalogue.read(&found.source).await;
    judge(&found.policy, answer, Timestamp::now())
        .map_err(|problem| Unanswered::Unreadable(format!("{}: {problem}", found.export.name)))
}

/// Whether a decision could be based on the answer. A decision is the judge, so that nothing counts here
/// that would not count there: age, promises of the source, what is an amount.
fn judge(policy: &Policy, answer: Answer, now: Timestamp) -> Result<Measured, prism_scale::Problem> {
    let seen = Observation { at: now, current: 1, ready: 1, metrics: vec![answer.clone()] };
    let (decision, _) = decide(policy, &State::default(), &seen);
    for proposal in decision.proposals {
        proposal.wanted?;
    }
    answer.map(|reading| Measured { value: reading.value, measured_at: reading.measured_at })
}

/// Whether `asked` means `name`.
pub(super) fn means(asked: &str, name: &str) -> bool {
    asked == name || asked == label_value(name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::jiff::SignedDuration;
    use prism_scale::{Problem, ProblemKind, Reading};
    use rstest::rstest;

    use super::*;
    use crate::outlets::tests::policy;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn aged(value: f64, seconds: u64) -> Reading {
        Reading::new(value, NOW - Duration::from_secs(seconds))
    }

    fn promised(reading: Reading, seconds: i64) -> Reading {
        Reading { valid_for: Some(SignedDuration::from_secs(seconds)), ..reading }
    }

    #[rstest]
    #[case::a_fresh_amount(Ok(aged(7.5, 10)), Some(7.5))]
    #[case::nothing_waits(Ok(aged(0.0, 10)), Some(0.0))]
    #[case::too_old(Ok(aged(7.5, 3600)), None)]
    #[case::older_than_its_source_promises(Ok(promised(aged(7.5, 10), 5)), None)]
    #[case::no_number(Ok(aged(f64::NAN, 0)), None)]
    #[case::without_end(Ok(aged(f64::INFINITY, 0)), None)]
    #[case::less_than_nothing(Ok(aged(-1.0, 0)), None)]
    #[case::no_answer(Err(Problem::new(ProblemKind::Late, "no answer within 5 s")), None)]
    fn only_what_a_decision_could_be_based_on_is_told(#[case] answer: Answer, #[case] expected: Option<f64>) {
        let told = judge(&policy(), answer, NOW);
        assert_eq!(told.ok().map(|measured| measured.value), expected);
    }

    #[test]
    fn a_long_name_is_known_by_its_label_too() {
        let name = "a".repeat(80);
        assert!(means(&name, &name));
        assert!(means(&label_value(&name), &name));
        assert!(!means("a", &name));
    }
}
