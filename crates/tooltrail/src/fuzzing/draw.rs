//! Draws values from the input bytes of a target, so that a fuzzer can control the data that is built from them.

/// The remaining input bytes. When none remain, every drawn value is zero or empty.
#[derive(Debug)]
pub(super) struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the next bytes, at most `most`.
    pub(super) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Returns a big-endian number from the next `bytes` bytes.
    pub(super) fn number(&mut self, bytes: usize) -> u64 {
        self.bytes(bytes).iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
    }

    /// Returns a number below `bound`, which must be from 1 to 65,535.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number(2)).unwrap_or(0) % bound
    }

    /// Returns a text made from at most `most` bytes; the length is drawn first.
    pub(super) fn text(&mut self, most: usize) -> String {
        let length = self.below(most + 1);
        String::from_utf8_lossy(self.bytes(length)).into_owned()
    }

    /// Returns all remaining bytes.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
