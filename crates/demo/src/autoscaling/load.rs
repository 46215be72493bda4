//! The load: calm, a rush, and calm again.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, interval};

use crate::queue::Queue;

/// Time from the first message until the rush has been over for a while.
pub(crate) const LENGTH: Duration = Duration::from_secs(50);
/// Seconds from the beginning, and messages in a second; in between, the rate changes evenly.
const COURSE: [(f64, f64); 5] = [(0.0, 4.0), (8.0, 4.0), (12.0, 80.0), (34.0, 80.0), (44.0, 4.0)];
/// Messages arrive in lots, this far apart.
const LOT_EVERY: Duration = Duration::from_millis(50);

/// Messages in a second at a time after the beginning. After the last point of the course it stays as it is.
fn rate(at: f64) -> f64 {
    let next = COURSE.iter().position(|(time, _)| *time > at);
    match next.map(|next| (COURSE[next.saturating_sub(1)], COURSE[next])) {
        None => COURSE[COURSE.len() - 1].1,
        Some(((from, before), (to, after))) if from < to => {
            before + (after - before) * (at - from) / (to - from)
        }
        Some(((_, before), _)) => before,
    }
}

/// Puts messages into the queue, without end.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few messages, never less than 0"
)]
pub(crate) async fn produce(queue: &Queue) -> Infallible {
    let begun = Instant::now();
    let mut lots = interval(LOT_EVERY);
    let (mut owed, mut last) = (0.0, begun);
    loop {
        let now = lots.tick().await;
        owed += rate((now - begun).as_secs_f64()) * (now - last).as_secs_f64();
        last = now;
        queue.put(owed as usize);
        owed = owed.fract();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rush_comes_and_goes() {
        let close = |at: f64, expected: f64| {
            assert!((rate(at) - expected).abs() < 1e-9, "{} after {at} s, not {expected}", rate(at));
        };
        close(0.0, 4.0);
        close(7.9, 4.0);
        close(10.0, 42.0);
        close(30.0, 80.0);
        close(39.0, 42.0);
        close(1000.0, 4.0);
        assert!(COURSE[COURSE.len() - 1].0 <= LENGTH.as_secs_f64(), "the load ends before its course does");
    }
}
