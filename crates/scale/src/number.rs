//! Between numbers of replicas and numbers of everything else.

/// Differences that come from computing in binary, and that must not cost a replica: 1.1 / 0.1 is 11.
const ROUNDING_NOISE: f64 = 1e-9;

/// `number` rounded up to whole replicas; at the ends of the range if it is beyond them, 0 if it is not a
/// number.
pub(crate) fn replicas_up(number: f64) -> i32 {
    whole((number - noise(number)).ceil())
}

/// `number` rounded down to whole replicas, with the same edges.
pub(crate) fn replicas_down(number: f64) -> i32 {
    whole((number + noise(number)).floor())
}

fn noise(number: f64) -> f64 {
    if number.is_finite() { number.abs() * ROUNDING_NOISE } else { 0.0 }
}

#[allow(clippy::cast_possible_truncation, reason = "a cast to an integer stops at the ends of its range")]
fn whole(number: f64) -> i32 {
    number as i32
}

/// How many there are, as a number to compute with.
pub(crate) fn count(items: usize) -> f64 {
    u32::try_from(items).map_or(f64::from(u32::MAX), f64::from)
}

/// `number` as people write it: three decimals at most, and none that are zero.
pub(crate) fn plain(number: f64) -> String {
    if number != 0.0 && !(0.001..1e15).contains(&number.abs()) {
        return format!("{number:.3e}");
    }
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(6.0, 6)]
    #[case(6.01, 7)]
    #[case(1.1 / 0.1, 11)]
    #[case(0.0, 0)]
    #[case(1e-6, 1)]
    #[case(f64::INFINITY, i32::MAX)]
    #[case(f64::NEG_INFINITY, i32::MIN)]
    #[case(f64::NAN, 0)]
    fn load_is_rounded_up_to_whole_replicas(#[case] number: f64, #[case] expected: i32) {
        assert_eq!(replicas_up(number), expected);
    }

    #[rstest]
    #[case(6912.0, "6912")]
    #[case(0.25, "0.25")]
    #[case(0.0, "0")]
    #[case(1.0 / 3.0, "0.333")]
    #[case(2e20, "2.000e20")]
    fn numbers_read_as_people_write_them(#[case] number: f64, #[case] expected: &str) {
        assert_eq!(plain(number), expected);
    }
}
