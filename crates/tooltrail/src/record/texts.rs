//! Emptied texts of groups, kept for the next: memory that comes from the system anew is slow.

/// Bytes that are kept: as many as lines that are stored at once.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Texts that nobody needs now.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    kept: Vec<Vec<u8>>,
    bytes: usize,
}

impl Texts {
    /// Returns an empty text, where possible one that has room.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let text = self.kept.pop().unwrap_or_default();
        self.bytes -= text.capacity();
        text
    }

    /// Keeps a text without what it holds, if there are not too many.
    pub(crate) fn give(&mut self, mut text: Vec<u8>) {
        if self.bytes + text.capacity() <= KEPT_BYTES_MAX {
            text.clear();
            self.bytes += text.capacity();
            self.kept.push(text);
        }
    }

    /// Frees them all.
    pub(crate) fn free(&mut self) {
        *self = Self::default();
    }
}
