//! Passwords of provisioned backends.

use rustls::crypto::GetRandomFailed;

/// Letters and digits: nothing that a URL, a shell or a configuration file would read as its own.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// About 190 bits.
const LENGTH: usize = 32;

/// A new password.
pub(crate) fn draw() -> Result<String, GetRandomFailed> {
    let random = rustls::crypto::ring::default_provider().secure_random;
    let mut password = String::with_capacity(LENGTH);
    let mut bytes = [0_u8; LENGTH];
    while password.len() < LENGTH {
        random.fill(&mut bytes)?;
        // Bytes beyond the last whole alphabet are passed over, or its beginning would come up more often.
        let limit = u8::MAX - u8::MAX % 62;
        let letters =
            bytes.iter().filter(|byte| **byte < limit).map(|byte| ALPHABET[usize::from(*byte) % 62]);
        password.extend(letters.map(char::from).take(LENGTH - password.len()));
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_plain_and_never_the_same() {
        let (one, two) = (draw().unwrap(), draw().unwrap());
        assert_eq!(one.len(), LENGTH);
        assert!(one.chars().all(|letter| letter.is_ascii_alphanumeric()));
        assert_ne!(one, two);
    }
}
