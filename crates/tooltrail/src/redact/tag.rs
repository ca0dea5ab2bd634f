//! Builds the mark that replaces a secret, and its keyed tag, by which equal secrets can be recognised.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::hex::hex;

/// Hexadecimal digits of a tag.
const TAG_DIGITS: usize = 16;

/// The key for tags, and the number of the key in marks.
#[derive(Clone)]
pub struct RedactionKey {
    /// The number that marks contain, so that tags of different keys are not compared.
    pub number: u32,
    /// The secret key.
    pub bytes: [u8; 32],
}

impl RedactionKey {
    /// Returns the tag of a secret as marks hold it: the key's number, a dot, and 16 hexadecimal digits.
    #[must_use]
    pub fn tag(&self, secret: &str) -> String {
        format!("{}.{}", self.number, digest(Some(self), secret))
    }
}

impl fmt::Debug for RedactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactionKey").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Returns the mark for a secret. It has a tag if there is a key and `tagged` is true.
pub(in crate::redact) fn mark(key: Option<&RedactionKey>, rule: &str, tagged: bool, secret: &str) -> String {
    match key {
        Some(key) if tagged => format!("[redacted:{rule}:{}]", key.tag(secret)),
        _ => format!("[redacted:{rule}]"),
    }
}

/// Returns the first 64 bits of HMAC-SHA-256 in hexadecimal, or of plain SHA-256 if there is no key.
pub(in crate::redact) fn digest(key: Option<&RedactionKey>, text: &str) -> String {
    let bytes: [u8; 32] = match key.and_then(|key| Hmac::<Sha256>::new_from_slice(&key.bytes).ok()) {
        Some(mut mac) => {
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().into()
        }
        None => Sha256::digest(text.as_bytes()).into(),
    };
    hex(&bytes[..TAG_DIGITS / 2])
}
