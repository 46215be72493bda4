//! Short fingerprints of JSON.

use std::{fmt, str::FromStr};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Fingerprint of a JSON value, independent of the order of its object keys.
///
/// 64 bits of SHA-256: a ledger compares a child only with its own earlier self, so a collision
/// needs one child to be changed into a twin of the same fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(u64);

impl Digest {
    /// Fingerprint of `value`.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        let mut hasher = Sha256::new();
        feed(&mut hasher, value);
        let bytes = hasher.finalize();
        Self(bytes.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }
}

/// Every value starts with a tag and ends unambiguously, so that no two values feed the same bytes.
fn feed(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hasher.update(b"n"),
        Value::Bool(flag) => hasher.update(if *flag { b"t" } else { b"f" }),
        Value::Number(number) => {
            hasher.update(b"#");
            hasher.update(number.to_string());
            hasher.update(b";");
        }
        Value::String(text) => feed_text(hasher, text),
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                feed(hasher, item);
            }
            hasher.update(b"]");
        }
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_unstable();
            hasher.update(b"{");
            for name in names {
                feed_text(hasher, name);
                feed(hasher, &fields[name]);
            }
            hasher.update(b"}");
        }
    }
}

fn feed_text(hasher: &mut Sha256, text: &str) {
    hasher.update(b"\"");
    hasher.update(text.len().to_be_bytes());
    hasher.update(text);
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Digest {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn key_order_does_not_matter_and_list_order_does() {
        let one: Value = serde_json::from_str(r#"{"a":1,"b":[1,2]}"#).unwrap();
        let same: Value = serde_json::from_str(r#"{"b":[1,2],"a":1}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b":[2,1],"a":1}"#).unwrap();
        assert_eq!(Digest::of(&one), Digest::of(&same));
        assert_ne!(Digest::of(&one), Digest::of(&other));
    }

    #[test]
    fn neighbours_do_not_run_into_each_other() {
        assert_ne!(Digest::of(&json!(["ab", "c"])), Digest::of(&json!(["a", "bc"])));
        assert_ne!(Digest::of(&json!([1, 2])), Digest::of(&json!([12])));
        assert_ne!(Digest::of(&json!([[1], 2])), Digest::of(&json!([[1, 2]])));
    }

    #[test]
    fn text_form_round_trips() {
        let digest = Digest::of(&json!({"a": null}));
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    }
}
