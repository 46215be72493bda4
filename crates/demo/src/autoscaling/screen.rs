//! What the user sees while the load comes and goes, and what is left of it in the end.

use std::fmt::Write;
use std::time::Duration;

use crate::orders::Story;
use crate::queue::Count;

/// Most replicas that the bar has room for: those that the consumer may have.
pub(crate) const MOST_REPLICAS: i32 = 12;

/// Two looks at the queue, the first a second or so before the other.
pub(crate) struct Flow {
    /// The first.
    pub(crate) before: Count,
    /// The other.
    pub(crate) now: Count,
    /// Time between them.
    pub(crate) apart: Duration,
}

/// What is counted from the first message to the end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Most messages that waited at a time.
    pub(crate) most_waiting: usize,
    /// Time in which a message waited for longer than the target.
    pub(crate) over_target: Duration,
}

/// The line that is shown live: what waits, what comes and goes, and the replicas as a bar, those that are
/// not ready yet hollow.
pub(crate) fn line(flow: &Flow, ready: i32, desired: i32) -> String {
    let (came, went) = (flow.now.arrived - flow.before.arrived, flow.now.done - flow.before.done);
    let seconds = flow.apart.as_secs_f64();
    format!(
        "{:5} waiting  {:4.0}/s in  {:4.0}/s out  {} {ready} of {desired}",
        flow.now.waiting,
        per_second(came, seconds),
        per_second(went, seconds),
        bar(ready, desired),
    )
}

fn bar(ready: i32, desired: i32) -> String {
    let cell = |replica: i32| match replica {
        replica if replica < ready => '█',
        replica if replica < desired => '▒',
        _ => '·',
    };
    (0..MOST_REPLICAS).map(cell).collect()
}

/// The end of the story.
pub(crate) fn summary(story: &Story, tally: Tally, count: Count, took: Duration, target: Duration) -> String {
    let target = target.as_secs();
    let rows = [
        ("messages", format!("{} came, {} were done", count.arrived, count.done)),
        ("most that waited at a time", format!("{} messages", tally.most_waiting)),
        ("longest wait of a message", format!("{:.1} s", count.longest_wait.as_secs_f64())),
        (
            "over the target",
            format!(
                "{:.1} of {:.1} s, in which a message waited for more than {target} s",
                tally.over_target.as_secs_f64(),
                took.as_secs_f64()
            ),
        ),
        ("most replicas", format!("{} of {MOST_REPLICAS} allowed", story.most)),
        ("decisions", format!("{}, each in the status with its reason", story.decisions)),
        ("writes of the status", format!("{}, with a look at the metrics every second", story.writes)),
    ];
    let mut text = "\nWhat happened\n".to_owned();
    for (name, value) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:27} {value}");
    }
    text + "\ndocs/scaling.md tells by which rules, and what else can scale."
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred messages")]
fn per_second(messages: usize, seconds: f64) -> f64 {
    if seconds > 0.0 { messages as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_rates_and_shows_replicas_that_are_on_their_way() {
        let before = Count { arrived: 100, done: 80, ..Count::default() };
        let now = Count { waiting: 42, arrived: 130, done: 100, ..Count::default() };
        let flow = Flow { before, now, apart: Duration::from_secs(2) };
        assert_eq!(line(&flow, 2, 4), "   42 waiting    15/s in    10/s out  ██▒▒········ 2 of 4");
    }
}
