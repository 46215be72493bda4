//! A queue whose length follows from what arrives and from what replicas get done.

use jiff::{SignedDuration, Timestamp};

/// How arrivals become what waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Column of the series that holds what arrives in a second.
    pub arrivals: String,
    /// What a ready replica does in a second.
    pub rate: f64,
}

/// The queue at a time of the simulation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    pub(super) waiting: f64,
    /// What was done in a second, on average over the last step.
    pub(super) throughput: f64,
}

impl Waiting {
    /// `span` goes by in which `arrivals` come and `capacity` can go in a second.
    pub(super) fn pass(&mut self, span: SignedDuration, arrivals: f64, capacity: f64) {
        let seconds = span.as_secs_f64();
        if seconds > 0.0 {
            let work = self.waiting + arrivals * seconds;
            let done = work.min(capacity * seconds);
            self.waiting = work - done;
            self.throughput = done / seconds;
        }
    }
}

/// Simulated pods: those that are ready, and those that will be.
#[derive(Clone, Debug, Default)]
pub(super) struct Pods {
    pub(super) ready: i32,
    /// When how many become ready, the next ones first.
    starting: Vec<(Timestamp, i32)>,
}

impl Pods {
    pub(super) fn new(ready: i32) -> Self {
        Self { ready, starting: Vec::new() }
    }

    /// There shall be `replicas`: new ones are ready at `ready_at`; the youngest go first, and at once.
    pub(super) fn scale(&mut self, replicas: i32, ready_at: Timestamp) {
        let count = self.starting.iter().fold(self.ready, |sum, (_, pods)| sum.saturating_add(*pods));
        let mut surplus = count.saturating_sub(replicas);
        if surplus < 0 {
            self.starting.push((ready_at, -surplus));
        }
        while surplus > 0
            && let Some((_, pods)) = self.starting.last_mut()
        {
            let gone = surplus.min(*pods);
            *pods -= gone;
            surplus -= gone;
            if *pods == 0 {
                self.starting.pop();
            }
        }
        self.ready -= surplus.max(0);
    }

    /// When the next ones become ready.
    pub(super) fn next_ready(&self) -> Option<Timestamp> {
        self.starting.first().map(|(at, _)| *at)
    }

    /// Those that are to be ready by `now` are.
    pub(super) fn settle(&mut self, now: Timestamp) {
        self.starting.retain(|(at, pods)| {
            if *at <= now {
                self.ready = self.ready.saturating_add(*pods);
            }
            *at > now
        });
    }
}
