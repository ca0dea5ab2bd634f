//! Limits of names and values, and helpers that find where names, values and runs of bytes end in a text.

/// Maximum bytes of a name before its trigger.
pub(in crate::redact) const NAME_MAX: usize = 64;
/// Bytes of an unquoted value that are evaluated. The rest of the same run is hidden with it.
pub(in crate::redact) const VALUE_MAX: usize = 256;
/// Maximum bytes of a name after its vendor name.
pub(in crate::redact) const VENDOR_NAME_MAX: usize = 24;

/// Returns whether a byte can be part of a name.
pub(in crate::redact) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Returns the end of the run of bytes from `from` for which `fits` is true.
pub(in crate::redact) fn right(text: &str, from: usize, fits: impl Fn(u8) -> bool) -> usize {
    let from = from.min(text.len());
    text.as_bytes()[from..].iter().position(|byte| !fits(*byte)).map_or(text.len(), |length| from + length)
}

/// Returns the greatest UTF-8 boundary at or before an offset.
pub(in crate::redact) fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
