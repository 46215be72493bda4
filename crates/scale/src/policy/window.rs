//! Times with limits of their own.
//!
//! Schedules are five cron fields in a time zone. Where the clock goes forward, a schedule inside the gap
//! fires right after it; where it goes back, a fixed time fires once, the first time round (Open Cron Pattern
//! Specification, as `croner` follows it).

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, tz::TimeZone};
use prism_api::scaling::ScalingWindow;

use super::Limits;
use crate::invalid::{Invalid, below};

/// A time with limits of its own.
#[derive(Clone, Debug)]
pub struct Window {
    /// Its name, as decisions show it.
    pub name: String,
    /// When it opens.
    start: Cron,
    /// When it closes.
    end: Cron,
    zone: TimeZone,
    min: Option<i32>,
    max: Option<i32>,
}

/// Limits that hold at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The limits.
    pub limits: Limits,
    /// Name of the window they come from; `None` outside of all windows.
    pub window: Option<String>,
    /// When they may be others; `None` if no window opens or closes any more.
    pub next_change: Option<Timestamp>,
}

/// The limits at `at`: those of the first open window, or else `base`.
///
/// A window is open when its last start is after its last end. Windows that leave a limit out keep that of
/// `base`.
#[must_use]
pub fn limits_at(windows: &[Window], base: Limits, at: Timestamp) -> InForce {
    let mut next_change: Option<Timestamp> = None;
    let mut sooner = |time: Option<Timestamp>| {
        next_change = [next_change, time].into_iter().flatten().min();
    };
    for window in windows {
        if window.is_open(at) {
            sooner(window.next(&window.end, at));
            let limits = window.limits(base);
            return InForce { limits, window: Some(window.name.clone()), next_change };
        }
        sooner(window.next(&window.start, at));
    }
    InForce { limits: base, window: None, next_change }
}

impl Window {
    /// Reads `window`, which stands at `field`, for a workload whose limits are `base` otherwise.
    ///
    /// # Errors
    /// [`Invalid`] if a schedule or the time zone is none, or if its limits contradict each other.
    pub fn of(window: &ScalingWindow, base: Limits, field: &str) -> Result<Self, Invalid> {
        let name = window.time_zone.as_deref().unwrap_or("UTC");
        let zone = TimeZone::get(name).map_err(|_| {
            Invalid::new(
                below(field, "timeZone"),
                format!(
                    "{name} is not a time zone: use a name such as Europe/Berlin, or leave it out for UTC"
                ),
            )
        })?;
        let read = Self {
            name: window.name.clone(),
            start: schedule(&window.start, &below(field, "start"))?,
            end: schedule(&window.end, &below(field, "end"))?,
            zone,
            min: window.min_replicas,
            max: window.max_replicas,
        };
        let min = read.min.unwrap_or(base.min);
        let max = read.max.unwrap_or(base.max);
        if min > max {
            let advice = format!(
                "this window would run at least {min} and at most {max} replicas: set both of its limits, minReplicas no larger than maxReplicas"
            );
            return Err(Invalid::new(below(field, "minReplicas"), advice));
        }
        Ok(read)
    }

    fn limits(&self, base: Limits) -> Limits {
        Limits { min: self.min.unwrap_or(base.min), max: self.max.unwrap_or(base.max) }
    }

    fn is_open(&self, at: Timestamp) -> bool {
        match (self.last(&self.start, at), self.last(&self.end, at)) {
            (Some(start), Some(end)) => start > end,
            (start, None) => start.is_some(),
            (None, Some(_)) => false,
        }
    }

    /// The last time at or before `at` when `schedule` fired.
    fn last(&self, schedule: &Cron, at: Timestamp) -> Option<Timestamp> {
        let found = schedule.find_previous_occurrence(&at.to_zoned(self.zone.clone()), true);
        found.ok().map(|time| time.timestamp())
    }

    /// The first time after `at` when `schedule` fires.
    fn next(&self, schedule: &Cron, at: Timestamp) -> Option<Timestamp> {
        let found = schedule.find_next_occurrence(&at.to_zoned(self.zone.clone()), false);
        found.ok().map(|time| time.timestamp())
    }
}

fn schedule(text: &str, field: &str) -> Result<Cron, Invalid> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let cron = parser.parse(text).map_err(|error| {
        let advice = format!(
            "is not a cron schedule ({error}): write minute, hour, day of month, month and day of week, such as 0 8 * * 1-5"
        );
        Invalid::new(field, advice)
    })?;
    // From any day on: a calendar that has the 30th of February is not expected.
    let never = cron.find_next_occurrence(&Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC), true).is_err();
    if never {
        return Err(Invalid::new(field, "never fires: choose a day that the month has"));
    }
    Ok(cron)
}
