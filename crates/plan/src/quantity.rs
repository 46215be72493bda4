//! Comparing Kubernetes quantities.

use std::cmp::Ordering;

/// Milli-units of a quantity such as `1.5Gi`, `500m` or `1e3`; `None` if it is not one.
///
/// The grammar is that of apimachinery's `resource.Quantity`.
#[must_use]
pub fn milli(text: &str) -> Option<i128> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (number, scale) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) if exponent.parse::<i32>().is_ok() => {
            (number, Scale::Decimal(exponent.parse().ok()?))
        }
        _ => (digits, Scale::of(&text[digits.len()..])?),
    };
    scale.apply(number)
}

/// How two quantities compare; `None` if one of them is not a quantity.
#[must_use]
pub fn compare(left: &str, right: &str) -> Option<Ordering> {
    Some(milli(left)?.cmp(&milli(right)?))
}

enum Scale {
    Decimal(i32),
    Binary(u32),
}

impl Scale {
    fn of(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "n" => Self::Decimal(-9),
            "u" => Self::Decimal(-6),
            "m" => Self::Decimal(-3),
            "" => Self::Decimal(0),
            "k" => Self::Decimal(3),
            "M" => Self::Decimal(6),
            "G" => Self::Decimal(9),
            "T" => Self::Decimal(12),
            "P" => Self::Decimal(15),
            "E" => Self::Decimal(18),
            "Ki" => Self::Binary(10),
            "Mi" => Self::Binary(20),
            "Gi" => Self::Binary(30),
            "Ti" => Self::Binary(40),
            "Pi" => Self::Binary(50),
            "Ei" => Self::Binary(60),
            _ => return None,
        })
    }

    fn apply(&self, number: &str) -> Option<i128> {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let places = i32::try_from(fraction.len()).ok()?;
        match self {
            Self::Decimal(exponent) => shift(digits, exponent.checked_add(3)?.checked_sub(places)?),
            Self::Binary(bits) => shift(digits.checked_mul(1 << bits)?, 3 - places),
        }
    }
}

/// `number` times ten to the `power`; fractions of a milli-unit round up, as in apimachinery.
fn shift(number: i128, power: i32) -> Option<i128> {
    let factor = 10i128.checked_pow(power.unsigned_abs())?;
    if power >= 0 {
        number.checked_mul(factor)
    } else {
        Some(number / factor + i128::from(number % factor > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("1Gi", "1024Mi", Ordering::Equal)]
    #[case("1G", "1Gi", Ordering::Less)]
    #[case("1.5Gi", "1536Mi", Ordering::Equal)]
    #[case("0.5", "500m", Ordering::Equal)]
    #[case("1e3", "1k", Ordering::Equal)]
    #[case("2E", "1E", Ordering::Greater)]
    #[case("10Gi", "9Gi", Ordering::Greater)]
    fn quantities_compare_by_value(#[case] left: &str, #[case] right: &str, #[case] expected: Ordering) {
        assert_eq!(compare(left, right), Some(expected));
    }

    #[rstest]
    #[case("")]
    #[case("Gi")]
    #[case("1Qi")]
    #[case("one")]
    fn what_is_no_quantity_does_not_compare(#[case] text: &str) {
        assert_eq!(milli(text), None);
    }
}
