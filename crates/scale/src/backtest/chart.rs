//! Outcomes over time, as one picture: replicas above, the value below.
//!
//! The picture is SVG without scripts or fonts of its own. Its colours follow the reader's light or dark
//! scheme; lines differ in dashes, too, so that no colour has to be told from another.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::outcome::{Outcome, Point};
use crate::number::{count, plain};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 24.0;
/// The picture shows at most so many values from left to right, each the largest of its share of the time.
const VALUES: usize = 800;
/// Labels on the axis of time.
const TIMES: i64 = 8;
/// Steps between labels on the axis of time, in seconds.
const TIME_STEPS: [i64; 16] = [
    10, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_419_200,
];
const STYLE: &str = "<style>
svg { color-scheme: light dark; background: #ffffff; font: 13px system-ui, sans-serif; }
text { fill: #24292f; } .muted { fill: #57606a; }
.grid { stroke: #d0d7de; stroke-width: 1; } .axis { stroke: #57606a; stroke-width: 1; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.first { stroke: #0550ae; } .second { stroke: #bc4c00; stroke-dasharray: 7 4; } .load { stroke: #57606a; }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117; } text { fill: #e6edf3; } .muted { fill: #9198a1; }
.grid { stroke: #30363d; } .axis { stroke: #9198a1; }
.first { stroke: #58a6ff; } .second { stroke: #f0883e; } .load { stroke: #9198a1; }
}
</style>
";

/// A part of the picture with axes of its own.
struct Panel {
    top: f64,
    height: f64,
    /// The value at the upper edge; the lower one is 0.
    most: f64,
    first: Timestamp,
    seconds: f64,
}

/// Draws up to two named outcomes of one series. `value` names what the first metric of their policies
/// measures.
#[must_use]
pub fn chart(outcomes: &[(&str, &Outcome)], value: &str) -> String {
    let times = outcomes.iter().flat_map(|(_, outcome)| &outcome.points).map(|point| point.at);
    let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
        return String::new();
    };
    let seconds = last.duration_since(first).as_secs_f64().max(1.0);
    let most = |of: fn(&Point) -> f64| {
        let points = outcomes.iter().flat_map(|(_, outcome)| &outcome.points);
        points.map(of).fold(1.0, f64::max)
    };
    let replicas =
        Panel { top: 64.0, height: 180.0, most: most(|point| f64::from(point.replicas)), first, seconds };
    let values =
        Panel { top: 300.0, height: 160.0, most: most(|point| point.value.unwrap_or(0.0)), first, seconds };

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Replicas and {0} over time\">\n<title>Replicas and {0} over time</title>\n{STYLE}",
        escape(value)
    );
    legend(&mut svg, outcomes);
    replicas.axes(&mut svg, "replicas", last);
    values.axes(&mut svg, value, last);
    let classes = ["first", "second"];
    for ((_, outcome), class) in outcomes.iter().zip(classes) {
        line(&mut svg, class, &replicas.steps(&outcome.points));
    }
    let reacts = outcomes.iter().any(|(_, outcome)| outcome.reacts);
    let shown = outcomes.iter().take(if reacts { classes.len() } else { 1 });
    for ((_, outcome), class) in shown.zip(classes) {
        line(&mut svg, if reacts { class } else { "load" }, &values.curve(&outcome.points));
    }
    svg + "</svg>\n"
}

impl Panel {
    fn x(&self, at: Timestamp) -> f64 {
        LEFT + at.duration_since(self.first).as_secs_f64() / self.seconds * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        self.top + self.height * (1.0 - value / self.most)
    }

    /// A path that goes to the right, and up or down where the replicas change.
    fn steps(&self, points: &[Point]) -> String {
        let mut path = String::new();
        let mut last = None;
        for point in points {
            let (x, y) = (self.x(point.at), self.y(f64::from(point.replicas)));
            if last.is_none() {
                put(&mut path, format_args!("M{x:.1} {y:.1}"));
            } else if last != Some(point.replicas) {
                put(&mut path, format_args!("H{x:.1}V{y:.1}"));
            }
            last = Some(point.replicas);
        }
        if let Some(point) = points.last() {
            put(&mut path, format_args!("H{:.1}", self.x(point.at)));
        }
        path
    }

    /// A path through the values, with gaps where there are none.
    fn curve(&self, points: &[Point]) -> String {
        let mut path = String::new();
        let mut pen = 'M';
        for share in points.chunks(points.len().div_ceil(VALUES).max(1)) {
            let values = share.iter().filter_map(|point| point.value);
            let Some(value) = values.filter(|value| value.is_finite()).reduce(f64::max) else {
                pen = 'M';
                continue;
            };
            put(&mut path, format_args!("{pen}{:.1} {:.1}", self.x(share[0].at), self.y(value)));
            pen = 'L';
        }
        path
    }

    fn axes(&self, svg: &mut String, label: &str, last: Timestamp) {
        let (right, bottom) = (WIDTH - RIGHT, self.top + self.height);
        put(svg, format_args!("<text x=\"{LEFT}\" y=\"{}\">{}</text>\n", self.top - 10.0, escape(label)));
        for value in rungs(self.most) {
            let y = self.y(value);
            put(svg, format_args!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>\n"));
            let text = format!(
                "<text class=\"muted\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">",
                LEFT - 8.0,
                y + 4.0
            );
            put(svg, format_args!("{text}{}</text>\n", plain(value)));
        }
        put(svg, format_args!("<path class=\"axis\" d=\"M{LEFT} {bottom}H{right}\"/>\n"));
        let (step, pattern) = time_step(last.duration_since(self.first));
        for at in ticks(self.first, last, step) {
            let x = self.x(at);
            put(svg, format_args!("<path class=\"axis\" d=\"M{x:.1} {bottom}v5\"/>\n"));
            let label = at.to_zoned(TimeZone::UTC).strftime(pattern).to_string();
            let y = bottom + 20.0;
            put(
                svg,
                format_args!(
                    "<text class=\"muted\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>\n"
                ),
            );
        }
        let y = bottom + 38.0;
        put(
            svg,
            format_args!(
                "<text class=\"muted\" x=\"{right}\" y=\"{y}\" text-anchor=\"end\">time (UTC)</text>\n"
            ),
        );
    }
}

fn legend(svg: &mut String, outcomes: &[(&str, &Outcome)]) {
    for ((index, (name, _)), class) in outcomes.iter().enumerate().zip(["first", "second"]) {
        let x = LEFT + 300.0 * count(index);
        put(svg, format_args!("<path class=\"line {class}\" d=\"M{x} 20h32\"/>\n"));
        put(svg, format_args!("<text x=\"{}\" y=\"24\">{}</text>\n", x + 40.0, escape(name)));
    }
}

fn line(svg: &mut String, class: &str, path: &str) {
    put(svg, format_args!("<path class=\"line {class}\" d=\"{path}\"/>\n"));
}

/// Round values up to `most`, four or five of them.
fn rungs(most: f64) -> Vec<f64> {
    let rough = most / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|round| round * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    (0..=4).map(|rung| f64::from(rung) * step).filter(|value| *value <= most).collect()
}

/// The time from one label to the next in `span`, in seconds, and how labels are written.
fn time_step(span: SignedDuration) -> (i64, &'static str) {
    let step = TIME_STEPS.into_iter().find(|step| span.as_secs() / step <= TIMES);
    let step = step.unwrap_or_else(|| span.as_secs() / TIMES);
    let pattern = match step {
        86_400.. => "%b %d",
        21_600.. => "%b %d %H:%M",
        60.. => "%H:%M",
        _ => "%H:%M:%S",
    };
    (step, pattern)
}

/// The round times between `first` and `last`.
fn ticks(first: Timestamp, last: Timestamp, step: i64) -> impl Iterator<Item = Timestamp> {
    let round = first.as_second().div_euclid(step) * step;
    let times =
        (0..).map(move |index| round + index * step).take_while(move |second| *second <= last.as_second());
    times.filter_map(|second| Timestamp::from_second(second).ok()).filter(move |at| *at >= first)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.push_str(&arguments.to_string());
}
