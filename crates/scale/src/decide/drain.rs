//! Time targets: all that waits is done in a time.
//!
//! ```text
//! replicas = ceil((waiting / seconds + arrival) / rate)
//! arrival  = max(0, throughput + change of waiting in a second)
//! rate     = throughput / ready replicas, learned while they are busy
//! ```
//!
//! What waits now has to be done within the target, and what arrives meanwhile must not add to it. Nobody has
//! to know beforehand how much a replica can do: that is seen when work piles up.
//!
//! Replicas count as busy while at least one second's work, and one piece for each of them, waits at two
//! readings in a row; otherwise an idle group would look like a slow one. Of what is seen then, more than
//! was known is believed with a time constant of 30 seconds, as nothing but a fast replica can show it; less,
//! with one of 300 seconds, as replicas that are still starting show it, too. Where nothing at all is done
//! while work waits, something is broken: that teaches nothing.

use jiff::Timestamp;

use super::{
    observation::Reading,
    problem::{Problem, ProblemKind},
};

/// Seconds of work that wait while replicas are busy.
const BUSY_SECONDS: f64 = 1.0;
/// Readings closer together than this many seconds tell no change.
const SHORTEST_STEP_SECONDS: f64 = 1.0;
/// Time constant, in seconds, with which a higher rate is believed.
const FASTER_SECONDS: f64 = 30.0;
/// Time constant, in seconds, with which a lower rate is believed.
const SLOWER_SECONDS: f64 = 300.0;

/// What is known about the work of one metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Drain {
    last: Option<Last>,
    /// What a replica does in a second; `None` until work has piled up once.
    rate: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Last {
    measured_at: Timestamp,
    waiting: f64,
    arrival: f64,
    is_busy: bool,
}

/// What a time target is computed from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure {
    /// What waits.
    pub waiting: f64,
    /// What arrives in a second.
    pub arrival: f64,
    /// What a replica does in a second; `None` if that is not known yet.
    pub rate: Option<f64>,
    /// Time in which all that waits should be done.
    pub seconds: f64,
}

impl Pressure {
    /// Replicas that are just enough, not rounded; `None` if the rate would have to be known for that.
    #[must_use]
    pub fn replicas(&self) -> Option<f64> {
        let work = self.waiting / self.seconds + self.arrival;
        if work > 0.0 { self.rate.map(|rate| work / rate) } else { Some(0.0) }
    }
}

impl Drain {
    /// Starts with a rate from before; one that is no amount is not known.
    pub(super) fn knowing(rate: f64) -> Self {
        Self { last: None, rate: Some(rate).filter(|rate| rate.is_finite() && *rate > 0.0) }
    }

    /// What a replica does in a second, if that is known.
    pub(super) const fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Learns from `reading`, and tells what it means for a target of `seconds`.
    ///
    /// # Errors
    /// [`Problem`] if the throughput is not known. Without replicas it is zero.
    pub(super) fn look(
        &mut self,
        reading: &Reading,
        seconds: f64,
        current: i32,
        ready: i32,
    ) -> Result<Pressure, Problem> {
        let throughput = reading.throughput.or_else(|| (current == 0).then_some(0.0));
        let unknown = "how much is done in a second could not be read";
        let throughput = throughput.ok_or_else(|| Problem::new(ProblemKind::Unreadable, unknown))?;
        let arrival = self.learn(reading, throughput, ready);
        Ok(Pressure { waiting: reading.value, arrival, rate: self.rate, seconds })
    }

    /// Takes `reading` in, and returns what arrives in a second.
    fn learn(&mut self, reading: &Reading, throughput: f64, ready: i32) -> f64 {
        let waiting = reading.value;
        let step =
            self.last.map(|last| (last, reading.measured_at.duration_since(last.measured_at).as_secs_f64()));
        let is_busy =
            ready > 0 && throughput > 0.0 && waiting >= f64::from(ready).max(throughput * BUSY_SECONDS);
        let arrival = match step {
            Some((last, step)) if (0.0..SHORTEST_STEP_SECONDS).contains(&step) => return last.arrival,
            Some((last, step)) if step > 0.0 => {
                if is_busy && last.is_busy {
                    self.believe(throughput / f64::from(ready), step);
                }
                (throughput + (waiting - last.waiting) / step).max(0.0)
            }
            _ => throughput,
        };
        self.last = Some(Last { measured_at: reading.measured_at, waiting, arrival, is_busy });
        arrival
    }

    fn believe(&mut self, seen: f64, step: f64) {
        let rate = self.rate.map_or(seen, |known| {
            let constant = if seen > known { FASTER_SECONDS } else { SLOWER_SECONDS };
            known + (seen - known) * (1.0 - (-step / constant).exp())
        });
        if rate.is_finite() && rate > 0.0 {
            self.rate = Some(rate);
        }
    }

    /// The clock went back: what lies ahead of `now` was measured now.
    pub(super) fn cap(&mut self, now: Timestamp) {
        if let Some(last) = &mut self.last {
            last.measured_at = last.measured_at.min(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::replicas_up;
    use jiff::SignedDuration;

    fn look(drain: &mut Drain, second: i64, waiting: f64, throughput: f64, ready: i32) -> Pressure {
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        let reading = Reading { throughput: Some(throughput), ..Reading::new(waiting, at) };
        drain.look(&reading, 20.0, ready, ready).unwrap()
    }

    #[test]
    fn work_that_piles_up_tells_the_rate_of_a_replica() {
        let mut drain = Drain::default();
        assert_eq!(look(&mut drain, 0, 1000.0, 200.0, 2).replicas(), None, "one look tells no rate");
        let pressure = look(&mut drain, 10, 3000.0, 200.0, 2);
        assert_eq!(pressure.rate, Some(100.0));
        assert!((pressure.arrival - 400.0).abs() < 1e-9, "200 done and 200 more waiting: {pressure:?}");
        assert_eq!(pressure.replicas().map(replicas_up), Some(6), "3000 / 20 s + 400 at 100 a second is 5.5");
    }

    #[test]
    fn an_idle_group_does_not_look_like_a_slow_one() {
        let mut drain = Drain::default();
        look(&mut drain, 0, 1000.0, 200.0, 2);
        look(&mut drain, 10, 1000.0, 200.0, 2);
        for second in 2..200 {
            look(&mut drain, second * 10, 3.0, 10.0, 2);
        }
        assert_eq!(drain.rate, Some(100.0));
    }

    #[test]
    fn a_group_that_does_nothing_at_all_is_broken_and_not_slow() {
        let mut drain = Drain::default();
        look(&mut drain, 0, 1000.0, 200.0, 2);
        look(&mut drain, 10, 1000.0, 200.0, 2);
        for second in 2..200 {
            look(&mut drain, second * 10, 50_000.0, 0.0, 2);
        }
        assert_eq!(drain.rate, Some(100.0));
    }

    #[test]
    fn a_higher_rate_is_believed_sooner_than_a_lower_one() {
        let learned = |second_rate: f64| {
            let mut drain = Drain::default();
            look(&mut drain, 0, 1e6, 200.0, 2);
            look(&mut drain, 10, 1e6, 200.0, 2);
            look(&mut drain, 40, 1e6, second_rate, 2).rate.unwrap()
        };
        assert!((learned(400.0) - (100.0 + 100.0 * (1.0 - (-1f64).exp()))).abs() < 1e-9);
        assert!((learned(100.0) - (100.0 - 50.0 * (1.0 - (-0.1f64).exp()))).abs() < 1e-9);
    }

    #[test]
    fn nothing_waits_and_nothing_arrives_takes_no_replica_at_any_rate() {
        assert_eq!(look(&mut Drain::default(), 0, 0.0, 0.0, 3).replicas(), Some(0.0));
    }

    #[test]
    fn without_throughput_a_running_group_cannot_be_judged() {
        let reading = Reading::new(5.0, Timestamp::UNIX_EPOCH);
        assert!(Drain::default().look(&reading, 20.0, 2, 2).is_err());
        assert!(Drain::default().look(&reading, 20.0, 0, 0).is_ok(), "nobody does nothing");
    }
}
