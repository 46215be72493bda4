//! Numbers as the API writes them: quantities, durations, or plain.

use jiff::SignedDuration;

/// `text` as a number: a duration such as `5s`, `250ms` or `1h` in seconds, a quantity such as `1k` or `2Gi`
/// in ones, `100m` a tenth. `None` if it is neither.
///
/// The suffix `m` is a thousandth here, as in apimachinery's `resource.Quantity`; minutes are `60s`.
pub(super) fn number(text: &str) -> Option<f64> {
    let suffix = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '+');
    let digits = &text[..text.len() - suffix.len()];
    let scale = match suffix {
        "" | "s" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" | "ms" => 1e-3,
        "h" => 3600.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => f64::from(1u32 << 10),
        "Mi" => f64::from(1u32 << 20),
        "Gi" => f64::from(1u32 << 30),
        "Ti" => 2f64.powi(40),
        "Pi" => 2f64.powi(50),
        "Ei" => 2f64.powi(60),
        exponent if exponent.starts_with(['e', 'E']) => {
            return text.parse().ok().filter(|number: &f64| number.is_finite());
        }
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    Some(number * scale)
}

/// `text` as a span of time in the words of Go and Prometheus: `20s`, `1m30s`, `250ms`. `None` if it is none.
pub(crate) fn span(text: &str) -> Option<SignedDuration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..unit].parse().ok()?;
        rest = &rest[unit..];
        let (scale, length) = match rest {
            _ if rest.starts_with("ms") => (1e-3, 2),
            _ if rest.starts_with('s') => (1.0, 1),
            _ if rest.starts_with('m') => (60.0, 1),
            _ if rest.starts_with('h') => (3600.0, 1),
            _ => return None,
        };
        seconds += number * scale;
        rest = &rest[length..];
    }
    SignedDuration::try_from_secs_f64(seconds).ok().filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("1000", Some(1000.0))]
    #[case("5s", Some(5.0))]
    #[case("250ms", Some(0.25))]
    #[case("2h", Some(7200.0))]
    #[case("100m", Some(0.1))]
    #[case("1k", Some(1000.0))]
    #[case("1.5k", Some(1500.0))]
    #[case("2Gi", Some(2_147_483_648.0))]
    #[case("1e3", Some(1000.0))]
    #[case("2E", Some(2e18))]
    #[case("", None)]
    #[case("s", None)]
    #[case("five", None)]
    #[case("1Qi", None)]
    #[case("1e999", None)]
    fn an_amount_is_a_quantity_or_a_duration(#[case] text: &str, #[case] expected: Option<f64>) {
        assert_eq!(number(text), expected);
    }

    #[rstest]
    #[case("20s", Some(SignedDuration::from_secs(20)))]
    #[case("1m30s", Some(SignedDuration::from_secs(90)))]
    #[case("250ms", Some(SignedDuration::from_millis(250)))]
    #[case("1h", Some(SignedDuration::from_hours(1)))]
    #[case("20", None)]
    #[case("", None)]
    #[case("1d", None)]
    #[case("99999999999999999999h", None)]
    fn a_span_has_units(#[case] text: &str, #[case] expected: Option<SignedDuration>) {
        assert_eq!(span(text), expected);
    }
}
