//! Bytes as hexadecimal digits.

use std::fmt::Write as _;

/// Returns two lower-case hexadecimal digits for each byte.
///
/// ```
/// assert_eq!(tooltrail::hex(&[0, 171]), "00ab");
/// ```
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// Returns the bytes of 64 lower-case hexadecimal digits; `None` for any other text.
pub(crate) fn unhex(digits: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect::<Option<Vec<_>>>()?;
    bytes.try_into().ok().filter(|_| rest.is_empty())
}
