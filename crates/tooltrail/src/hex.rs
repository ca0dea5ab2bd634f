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
