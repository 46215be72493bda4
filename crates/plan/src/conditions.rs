//! Setting conditions so that nothing moves which did not change.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use prism_api::condition::{Condition, RECONCILING, STALLED};

/// Conditions in the making: what was, when it is now, and of which generation they speak.
pub struct Conditions<'a> {
    previous: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
    list: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    /// Conditions that follow `previous`; `now` is used for those whose status changes.
    #[must_use]
    pub fn new(previous: &'a [Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { previous, generation, now, list: Vec::new() }
    }

    /// Adds a condition. Its transition time moves only if its status differs from before.
    pub fn set(&mut self, type_: &str, status: bool, reason: &str, message: impl Into<String>) {
        self.push(type_, if status { "True" } else { "False" }, reason, message.into());
    }

    /// Adds a condition of which nobody knows whether it holds. Its transition time moves as in
    /// [`Conditions::set`].
    pub fn set_unknown(&mut self, type_: &str, reason: &str, message: impl Into<String>) {
        self.push(type_, "Unknown", reason, message.into());
    }

    fn push(&mut self, type_: &str, status: &str, reason: &str, message: String) {
        let since = find(self.previous, type_).filter(|before| before.status == status);
        let now = || Time(Timestamp::from_second(self.now.as_second()).unwrap_or(self.now));
        self.list.push(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: self.generation,
            last_transition_time: since.map_or_else(now, |before| before.last_transition_time.clone()),
        });
    }

    /// Adds a condition as it was before, if it was there.
    pub fn keep(&mut self, type_: &str) {
        self.list.extend(find(self.previous, type_).cloned());
    }

    /// The list, for the status. What waits for a person is not under way, whatever else still moves: kstatus reads
    /// `Stalled` as failed and `Reconciling` as in progress, so where both would be true, the first one stands alone.
    #[must_use]
    pub fn finish(self) -> Vec<Condition> {
        let Self { mut list, .. } = self;
        if is_true(&list, STALLED) {
            list.retain(|condition| condition.type_ != RECONCILING || condition.status != "True");
        }
        list
    }
}

/// The condition of that type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of that type is there and true.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(previous: &[Condition], second: i64, status: bool, message: &str) -> Vec<Condition> {
        let mut conditions = Conditions::new(previous, Some(1), Timestamp::from_second(second).unwrap());
        conditions.set("Ready", status, "Because", message);
        conditions.finish()
    }

    #[test]
    fn the_transition_time_moves_with_the_status_only() {
        let first = set(&[], 10, true, "one");
        let second = set(&first, 20, true, "two");
        let third = set(&second, 30, false, "three");
        let time = |conditions: &[Condition]| conditions[0].last_transition_time.0.as_second();
        assert_eq!([time(&first), time(&second), time(&third)], [10, 10, 30]);
    }
}
