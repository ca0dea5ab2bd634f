//! Where names, values and runs of bytes begin and end in a text.

/// Bytes of a name on either side of its trigger.
pub(in crate::redact) const NAME_MAX: usize = 64;
/// Bytes of an unquoted value that are judged; what follows in the same run is hidden with it.
pub(in crate::redact) const VALUE_MAX: usize = 256;
/// Bytes of a name after its vendor's word.
pub(in crate::redact) const VENDOR_NAME_MAX: usize = 24;

/// Whether a byte can stand in a name.
pub(in crate::redact) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The end of a run of bytes.
pub(in crate::redact) fn right(text: &str, from: usize, fits: impl Fn(u8) -> bool) -> usize {
    let from = from.min(text.len());
    text.as_bytes()[from..].iter().position(|byte| !fits(*byte)).map_or(text.len(), |length| from + length)
}

/// The greatest character boundary at or before a byte.
pub(in crate::redact) fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
