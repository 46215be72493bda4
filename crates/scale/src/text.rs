//! Texts that end up in a status, whoever wrote them.

/// Characters of a sentence; what is longer was not written for people.
const LONGEST: usize = 256;

/// `text` with credentials in addresses blotted out: `redis://user:password@host` has none any more. Rather
/// too much than too little: all before the last `@` of an address goes.
#[must_use]
pub fn without_credentials(text: &str) -> String {
    let mut parts = text.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("://");
        let end = part.find(|c: char| c.is_whitespace() || "\"'<>".contains(c)).unwrap_or(part.len());
        match part[..end].rfind('@') {
            Some(at) => {
                out.push_str("***");
                out.push_str(&part[at..]);
            }
            None => out.push_str(part),
        }
    }
    out
}

/// `text` as a sentence for a status: without credentials and control characters, and of at most 256 characters.
#[must_use]
pub(crate) fn presentable(text: &str) -> String {
    // Blotted out before anything is cut off: half of a credential looks like none.
    let clean = without_credentials(text);
    let mut shown: String =
        clean.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.chars().nth(LONGEST).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn credentials_in_addresses_are_blotted_out() {
        let text = "dial redis://user:p@ss@10.0.0.1:6379: refused; see https://docs.example/a";
        let clean = "dial redis://***@10.0.0.1:6379: refused; see https://docs.example/a";
        assert_eq!(without_credentials(text), clean);
    }

    #[test]
    fn credentials_that_are_cut_in_two_do_not_show() {
        let text = format!("dial redis://user:{}@host", "s3cret".repeat(400));
        let clean = presentable(&text);
        assert!(!clean.contains("s3cret"), "{clean}");
    }

    proptest! {
        #[test]
        fn a_sentence_is_short_and_in_one_line(text in "(?s).{0,2000}") {
            let clean = presentable(&text);
            prop_assert!(clean.chars().count() <= LONGEST);
            prop_assert!(!clean.chars().any(char::is_control));
        }
    }
}
