//! Ways in which an admin misbehaves on purpose, for tests and rehearsals.

use std::{str::FromStr, time::Duration};

use tokio::sync::watch;

/// What is wrong with the answers of the service `Metrics`. Reports are taken all the same, so the truth is
/// back as soon as the fault is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Each answer, and each message of a stream, comes this much later.
    Slow(Duration),
    /// No answer comes while the fault lasts.
    Hung,
    /// Values are nonsense.
    Wrong(Nonsense),
    /// Values were measured this long before the answer.
    Stale(Duration),
    /// There are no values.
    Absent(Absence),
}

/// Values that break the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonsense {
    /// NaN.
    NotANumber,
    /// Positive infinity.
    Infinite,
    /// -1.
    Negative,
    /// The right number in another unit.
    Unit,
}

/// How values are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// Each call fails with `UNAVAILABLE`, and so do streams that are open.
    Unavailable,
    /// Nothing that is asked for is known: `NOT_FOUND`.
    NotFound,
}

/// Sets the fault of an admin while it runs. Clones set the same one.
#[derive(Clone, Debug, Default)]
pub struct Faults(watch::Sender<Option<Fault>>);

impl Faults {
    /// From now on, the admin has this fault instead of any other. A stream that is open has it
    /// from its next message on; [`Absence::Unavailable`] ends the stream at once.
    pub fn set(&self, fault: Fault) {
        self.0.send_replace(Some(fault));
    }

    /// From now on, the admin behaves. Calls that hang are answered.
    pub fn clear(&self) {
        self.0.send_replace(None);
    }

    /// The fault that is set.
    #[must_use]
    pub fn current(&self) -> Option<Fault> {
        *self.0.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Fault>> {
        self.0.subscribe()
    }
}

/// Reads `slow=SECONDS`, `hung`, `wrong=nan|infinite|negative|unit`, `stale=SECONDS` or
/// `absent=unavailable|not-found`.
impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, detail) = text.split_once('=').unwrap_or((text, ""));
        let fault = match (name, detail) {
            ("slow", seconds) => Self::Slow(duration(seconds)?),
            ("hung", "") => Self::Hung,
            ("wrong", "nan") => Self::Wrong(Nonsense::NotANumber),
            ("wrong", "infinite") => Self::Wrong(Nonsense::Infinite),
            ("wrong", "negative") => Self::Wrong(Nonsense::Negative),
            ("wrong", "unit") => Self::Wrong(Nonsense::Unit),
            ("stale", seconds) => Self::Stale(duration(seconds)?),
            ("absent", "unavailable") => Self::Absent(Absence::Unavailable),
            ("absent", "not-found") => Self::Absent(Absence::NotFound),
            _ => {
                return Err("choose slow=SECONDS, hung, wrong=nan|infinite|negative|unit, stale=SECONDS or \
                            absent=unavailable|not-found"
                    .to_owned());
            }
        };
        Ok(fault)
    }
}

fn duration(seconds: &str) -> Result<Duration, String> {
    let seconds = seconds.parse().map_err(|_| format!("{seconds:?} is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("{seconds} seconds: {error}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("slow=0.5", Fault::Slow(Duration::from_millis(500)))]
    #[case("hung", Fault::Hung)]
    #[case("wrong=nan", Fault::Wrong(Nonsense::NotANumber))]
    #[case("wrong=infinite", Fault::Wrong(Nonsense::Infinite))]
    #[case("wrong=negative", Fault::Wrong(Nonsense::Negative))]
    #[case("wrong=unit", Fault::Wrong(Nonsense::Unit))]
    #[case("stale=300", Fault::Stale(Duration::from_mins(5)))]
    #[case("absent=unavailable", Fault::Absent(Absence::Unavailable))]
    #[case("absent=not-found", Fault::Absent(Absence::NotFound))]
    fn a_fault_is_chosen_by_a_word(#[case] text: &str, #[case] expected: Fault) {
        assert_eq!(text.parse(), Ok(expected));
    }

    #[rstest]
    #[case("slow")]
    #[case("slow=-1")]
    #[case("slow=NaN")]
    #[case("hung=2")]
    #[case("wrong")]
    #[case("")]
    fn a_word_that_is_no_fault_is_refused(#[case] text: &str) {
        assert!(text.parse::<Fault>().is_err(), "{text:?} was taken");
    }
}
