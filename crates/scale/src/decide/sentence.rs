//! A decision in one plain sentence, for whoever is on call.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use prism_api::scaling::HeldBy;

use super::{Decision, Held, Proposal, Wanted};
use crate::{number::plain, policy::Target};

impl Decision {
    /// Why there are so many replicas, in one sentence. Times are UTC.
    #[must_use]
    pub fn sentence(&self) -> String {
        let opening = format!("{}{}", replicas(self.desired), self.cause());
        let clauses = [self.hold(), self.unreadable()].into_iter().flatten();
        clauses.fold(opening, |sentence, clause| format!("{sentence}; {clause}"))
    }

    /// What decides: a hand, the metric that asks for most, or the lack of any.
    fn cause(&self) -> String {
        let by_metric = self.decided_by.map(|index| &self.proposals[index]);
        let metric = by_metric
            .and_then(|proposal| proposal.wanted.as_ref().ok().map(|wanted| takes(proposal, wanted)));
        let metric = metric.unwrap_or_else(|| "no metric can be read".to_owned());
        match (self.held.map(|held| held.by), self.wanted) {
            (Some(HeldBy::Paused), _) => format!(" stay: scaling is paused; {metric}"),
            (Some(HeldBy::Pinned), _) => format!(": the number is pinned; {metric}"),
            (_, Some(fallback)) if self.decided_by.is_none() => {
                format!(
                    ": no metric could be read {}, and the fallback is {fallback}",
                    times(self.failed_looks)
                )
            }
            (_, None) if self.desired == self.current => format!(" stay: {metric}"),
            _ => format!(": {metric}"),
        }
    }

    /// What is in the way.
    fn hold(&self) -> Option<String> {
        let Held { by, until, window } = self.held?;
        let is_up = self.wanted.is_some_and(|wanted| wanted > self.current);
        let direction = if is_up { "up" } else { "down" };
        let until = until.map(clock);
        Some(match by {
            HeldBy::MinReplicas => {
                format!("{} is the fewest allowed{}", self.in_force.limits.min, self.place())
            }
            HeldBy::MaxReplicas => {
                format!("{} is the most allowed{}", self.in_force.limits.max, self.place())
            }
            HeldBy::Tolerance => "that is too close to the target for a change".to_owned(),
            HeldBy::StabilizationWindow => {
                let (number, span) = window?;
                let what = if is_up { "was last enough" } else { "was last wanted" };
                let limits = self.in_force.limits;
                let wanted = self.wanted?.min(limits.max).max(limits.min);
                format!(
                    "scaling {direction} to {wanted} waits until {}, {} after {number} {what}",
                    until?,
                    words(span)
                )
            }
            HeldBy::ScaleUpPolicy | HeldBy::ScaleDownPolicy => match until {
                Some(until) => {
                    let change = if is_up { "come" } else { "go" };
                    format!("its policies let no more {change} until {until}")
                }
                None => format!("scaling {direction} is disabled"),
            },
            HeldBy::CooldownPeriod => {
                format!("the last one stays until {}, {} after the last load", until?, words(self.cooldown))
            }
            HeldBy::MissingMetrics if self.wanted.is_some() => {
                "nothing goes down until every metric can be read".to_owned()
            }
            HeldBy::MissingMetrics | HeldBy::Fallback | HeldBy::Paused | HeldBy::Pinned => return None,
        })
    }

    /// The metrics that could not be read.
    fn unreadable(&self) -> Option<String> {
        let failed = self.proposals.iter().filter_map(|proposal| {
            let problem = proposal.wanted.as_ref().err()?;
            Some(format!("{} cannot be read: {problem}", proposal.name))
        });
        let failed: Vec<_> = failed.collect();
        (!failed.is_empty()).then(|| failed.join("; "))
    }

    fn place(&self) -> String {
        self.in_force.window.as_ref().map_or_else(String::new, |window| format!(" in the window {window}"))
    }
}

/// What `proposal` read, what it aims at and what that takes.
fn takes(proposal: &Proposal, wanted: &Wanted) -> String {
    let name = &proposal.name;
    let value = plain(wanted.value);
    let average = if wanted.is_average { " on average" } else { "" };
    let count = wanted.replicas;
    match (proposal.target, wanted.pressure) {
        (Target::Value(target), _) => {
            format!("{name} is {value} with a target of {}, which takes {count}", plain(target))
        }
        (Target::AverageValue(target), _) if wanted.is_average => {
            format!("{name} is {value} on average with a target of {}, which takes {count}", plain(target))
        }
        (Target::AverageValue(target), _) => {
            format!("{name} is {value}, at {} for each replica that takes {count}", plain(target))
        }
        (Target::Utilization(target), _) => {
            let percent = plain(wanted.value * 100.0);
            format!(
                "{name} is {percent} %{average} with a target of {} %, which takes {count}",
                plain(target)
            )
        }
        (Target::DrainWithin { seconds }, pressure) => {
            let arrival = pressure.map_or(0.0, |pressure| pressure.arrival);
            let seconds = plain(seconds);
            let work = format!("{name} is {value}, and {} arrive in a second", plain(arrival));
            match pressure.and_then(|pressure| pressure.rate) {
                Some(rate) => format!(
                    "{work}: to be through in {seconds} s at {} a second for each replica takes {count}",
                    plain(rate)
                ),
                None if count == 0 => format!("{work}: nothing is to do"),
                None => format!(
                    "{work}: how much a replica does in a second is not known yet, so it stays at {count}"
                ),
            }
        }
    }
}

fn replicas(count: i32) -> String {
    if count == 1 { "1 replica".to_owned() } else { format!("{count} replicas") }
}

fn times(looks: u32) -> String {
    if looks == 1 { "at the last look".to_owned() } else { format!("at {looks} looks in a row") }
}

fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S UTC").to_string()
}

fn words(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    let (count, unit) = match seconds {
        _ if seconds != 0 && seconds % 3600 == 0 => (seconds / 3600, "hour"),
        _ if seconds != 0 && seconds % 60 == 0 => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
