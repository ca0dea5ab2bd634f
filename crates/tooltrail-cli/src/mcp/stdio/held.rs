//! A line that is held until it is known whether it may go on.

/// The bytes at the end of a long line that are held until the line has ended. Without them the line is not JSON, so
/// that its receiver does nothing.
const TAIL_BYTES: usize = 4 * 1024;

/// What is sent in place of the tail of a long line that turns out to be refused: its beginning is already sent, and
/// this makes the line invalid, whatever it was.
pub(super) const CUT_SHORT: &[u8] = b"]\n";

/// A line that is held.
#[derive(Debug, Default)]
pub(super) struct HeldLine {
    bytes: Vec<u8>,
    is_long: bool,
}

impl HeldLine {
    /// Adds bytes of the line.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the bytes that are held.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether a part of the line was already sent, because the line is too long to be held.
    pub(super) fn is_long(&self) -> bool {
        self.is_long
    }

    /// Returns the bytes of a long line that can be sent before it has ended; all but the last ones.
    pub(super) fn take_sendable(&mut self) -> Vec<u8> {
        self.is_long = true;
        let tail = self.bytes.split_off(self.bytes.len().saturating_sub(TAIL_BYTES));
        std::mem::replace(&mut self.bytes, tail)
    }

    /// Returns the rest of the line, and begins a new one.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.is_long = false;
        std::mem::take(&mut self.bytes)
    }
}
