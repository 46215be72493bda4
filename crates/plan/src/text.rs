//! Names and label values that Kubernetes accepts.

pub use prism_scale::without_credentials;
use sha2::{Digest, Sha256};

/// Hexadecimal digits of the hash that keeps shortened names apart.
const HASH_LENGTH: usize = 8;

/// The first `digits` hexadecimal digits of the SHA-256 of `text`.
#[must_use]
pub fn hash(text: &[u8], digits: usize) -> String {
    let sum = Sha256::digest(text);
    let nibbles = sum.iter().flat_map(|byte| [byte >> 4, byte & 0xf]).take(digits);
    nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
}

/// A hash of `value`, the same for equal values.
#[must_use]
pub fn hash_of(value: &impl serde::Serialize) -> String {
    hash(&serde_json::to_vec(value).unwrap_or_default(), 16)
}

/// `name` if it has at most `limit` characters, otherwise its beginning and a hash of the whole.
#[must_use]
pub fn bounded(name: &str, limit: usize) -> String {
    if name.len() <= limit {
        return name.to_owned();
    }
    let head: String = name.chars().take(limit - HASH_LENGTH - 1).collect();
    format!("{}-{}", head.trim_end_matches(['-', '.']), hash(name.as_bytes(), HASH_LENGTH))
}

/// `text` as a label value: at most 63 characters, others than letters, digits, `-`, `_` and `.`
/// replaced, and a letter or digit at both ends.
#[must_use]
pub fn label_value(text: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let replaced: String = text.chars().map(|c| if is_allowed(c) { c } else { '_' }).collect();
    bounded(replaced.trim_matches(|c: char| !c.is_ascii_alphanumeric()), 63)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_names_stay_and_long_ones_keep_apart() {
        let (one, two) = (format!("{}-one", "x".repeat(60)), format!("{}-two", "x".repeat(60)));
        assert_eq!(bounded("web", 63), "web");
        assert_eq!(bounded(&one, 63).len(), 63);
        assert_ne!(bounded(&one, 63), bounded(&two, 63));
    }

    proptest! {
        #[test]
        fn every_text_becomes_a_valid_label_value(text in ".{0,100}") {
            let value = label_value(&text);
            prop_assert!(value.len() <= 63);
            prop_assert!(value.is_empty() || value.starts_with(|c: char| c.is_ascii_alphanumeric()));
            prop_assert!(value.is_empty() || value.ends_with(|c: char| c.is_ascii_alphanumeric()));
            prop_assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)));
        }
    }
}
