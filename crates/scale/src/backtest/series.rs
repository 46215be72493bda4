//! A recorded series: values of some metrics over time.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// Why a file is no series.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// The file is no CSV.
    #[error("it is no CSV: {0}")]
    Csv(#[from] csv::Error),
    /// The file is no answer of Prometheus.
    #[error("it is no answer of a Prometheus query_range: {0}")]
    Json(#[from] serde_json::Error),
    /// Prometheus answered with something else than series.
    #[error("Prometheus answered with {0}: ask query_range, which answers with a matrix")]
    NoMatrix(String),
    /// A field is not what its column holds.
    #[error("line {line}: {text} is no {kind}")]
    Field {
        /// Line in the file, from 1.
        line: usize,
        /// What stands there.
        text: String,
        /// What should.
        kind: &'static str,
    },
    /// Times do not rise.
    #[error("line {line}: {at} is not after the time before it: sort the lines by time, each time once")]
    Order {
        /// Line in the file, from 1.
        line: usize,
        /// The time.
        at: Timestamp,
    },
    /// There are fewer than two times, or no column of values.
    #[error("there is nothing to replay: a series takes a column of values, and two times at least")]
    Empty,
}

/// Values of some metrics over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Names of the metrics.
    pub names: Vec<String>,
    /// The values, by rising time. There are at least two.
    pub samples: Vec<Sample>,
}

/// Values at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// When they were recorded.
    pub at: Timestamp,
    /// One value for each name; `None` where none was recorded.
    pub values: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    metric: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Series {
    /// Reads a series: JSON if `text` begins like an object, else CSV.
    ///
    /// # Errors
    /// [`SeriesError`], with the line.
    pub fn read(text: &str) -> Result<Self, SeriesError> {
        if text.trim_start().starts_with('{') { Self::from_prometheus(text) } else { Self::from_csv(text) }
    }

    /// Reads CSV with a header. The first column holds the time, as RFC 3339 or in seconds since 1970, each
    /// further one a metric. An empty field, or `NaN`, is a look at which that metric could not be read.
    ///
    /// # Errors
    /// [`SeriesError`], with the line.
    pub fn from_csv(text: &str) -> Result<Self, SeriesError> {
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
        let names = reader.headers()?.iter().skip(1).map(str::to_owned).collect();
        let mut samples = Vec::new();
        for record in reader.records() {
            let record = record?;
            let line = record
                .position()
                .map_or(0, |position| usize::try_from(position.line()).unwrap_or(usize::MAX));
            let wrong = |text: &str, kind| SeriesError::Field { line, text: text.to_owned(), kind };
            let mut fields = record.iter();
            let first = fields.next().unwrap_or_default();
            let at =
                time(first).ok_or_else(|| wrong(first, "time: write RFC 3339, or seconds since 1970"))?;
            let values = fields.map(|field| match field {
                "" => Ok(None),
                field => field.parse().map(Some).map_err(|_| wrong(field, "number")),
            });
            let values: Vec<Option<f64>> = values.collect::<Result<_, _>>()?;
            samples.push((line, Sample { at, values }));
        }
        Self::of(names, samples)
    }

    /// Reads the JSON answer of a Prometheus `query_range`. A series is named as its metric if it has a name
    /// and no other has the same, else by its labels.
    ///
    /// # Errors
    /// [`SeriesError`].
    pub fn from_prometheus(text: &str) -> Result<Self, SeriesError> {
        let Data { result_type, result } = serde_json::from_str::<Answer>(text)?.data;
        if result_type != "matrix" {
            return Err(SeriesError::NoMatrix(result_type));
        }
        let name = |line: &Line| line.metric.get("__name__").cloned();
        let names = result.iter().map(|line| match name(line) {
            Some(own) if result.iter().filter(|other| name(other).as_ref() == Some(&own)).count() == 1 => own,
            _ => labels(line),
        });
        let names: Vec<String> = names.collect();
        let mut rows = std::collections::BTreeMap::new();
        for (column, line) in result.iter().enumerate() {
            for (index, (seconds, value)) in line.values.iter().enumerate() {
                let wrong = |text: String, kind| SeriesError::Field { line: index + 1, text, kind };
                let at = instant(*seconds).ok_or_else(|| wrong(seconds.to_string(), "time"))?;
                let value: f64 = value.parse().map_err(|_| wrong(value.clone(), "number"))?;
                rows.entry(at).or_insert_with(|| vec![None; result.len()])[column] = Some(value);
            }
        }
        let samples = rows.into_iter().map(|(at, values)| Sample { at, values });
        Self::of(names, samples.enumerate().map(|(index, sample)| (index + 1, sample)).collect())
    }

    /// Place of the column `name`.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// The time between two samples: the median.
    #[must_use]
    pub fn spacing(&self) -> SignedDuration {
        let pairs = self.samples.windows(2);
        let mut steps: Vec<_> = pairs.map(|pair| pair[1].at.duration_since(pair[0].at)).collect();
        steps.sort_unstable();
        steps.get(steps.len() / 2).copied().unwrap_or(SignedDuration::ZERO)
    }

    fn of(names: Vec<String>, samples: Vec<(usize, Sample)>) -> Result<Self, SeriesError> {
        for pair in samples.windows(2) {
            if let [(_, before), (line, sample)] = pair
                && sample.at <= before.at
            {
                return Err(SeriesError::Order { line: *line, at: sample.at });
            }
        }
        if names.is_empty() || samples.len() < 2 {
            return Err(SeriesError::Empty);
        }
        Ok(Self { names, samples: samples.into_iter().map(|(_, sample)| sample).collect() })
    }
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| instant(text.parse().ok()?))
}

fn instant(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_duration(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}

fn labels(line: &Line) -> String {
    let labels = line.metric.iter().map(|(name, value)| format!("{name}={value}"));
    labels.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn both_spellings_of_a_time_and_a_gap_are_read() {
        let series = Series::read("time,lag,rate\n1970-01-01T00:00:10Z,5,1\n20,,NaN\n").unwrap();
        assert_eq!(series.names, ["lag", "rate"]);
        assert_eq!(series.samples[0].values, [Some(5.0), Some(1.0)]);
        assert_eq!(series.samples[1].at.as_second(), 20);
        assert_eq!(series.samples[1].values[0], None);
        assert!(
            series.samples[1].values[1].is_some_and(f64::is_nan),
            "the decision refuses it, not the file"
        );
        assert_eq!(series.spacing(), SignedDuration::from_secs(10));
    }

    #[test]
    fn the_answer_of_prometheus_is_read() {
        let text = r#"{"status": "success", "data": {"resultType": "matrix", "result": [
            {"metric": {"__name__": "lag", "pod": "a"}, "values": [[10, "5"], [20.5, "6"]]},
            {"metric": {"pod": "b"}, "values": [[20.5, "NaN"]]}]}}"#;
        let series = Series::read(text).unwrap();
        assert_eq!(series.names, ["lag", "pod=b"]);
        assert_eq!(series.samples.len(), 2);
        assert_eq!(series.samples[0].values, [Some(5.0), None]);
        assert_eq!(series.samples[1].at.as_millisecond(), 20_500);
    }

    #[rstest]
    #[case::time("time,lag\nnoon,5\n", "line 2: noon is no time")]
    #[case::number("time,lag\n10,many\n", "line 2: many is no number")]
    #[case::order("time,lag\n10,1\n5,1\n", "line 3: 1970-01-01T00:00:05Z is not after")]
    #[case::short("time,lag\n10,1\n", "nothing to replay")]
    #[case::vector(r#"{"data": {"resultType": "vector", "result": []}}"#, "ask query_range")]
    fn what_is_wrong_with_a_file_is_said_with_its_line(#[case] text: &str, #[case] expected: &str) {
        let error = Series::read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} should say {expected:?}");
    }
}
