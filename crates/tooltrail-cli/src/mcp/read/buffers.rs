//! Bounded buffers for parts of a message: the first bytes are kept, and all characters are counted.

use sha2::{Digest as _, Sha256};

/// The longest arguments that are kept whole, in bytes. The recorder keeps no more of a call.
const ARGS_BYTES_MAX: usize = 1024 * 1024;

/// What is kept of longer arguments, in bytes. The recorder stores 500 characters of them and looks 4,096 characters
/// further for secrets; a character has at most four bytes.
const ARGS_BEGINNING_BYTES: usize = 32 * 1024;

/// What is kept of a result's text, in bytes: more than the recorder stores or looks at, as for arguments.
const RESULT_BYTES_MAX: usize = 32 * 1024;

/// A text of which the first bytes are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) bytes: Vec<u8>,
    /// The characters of the whole text. A byte that is not valid UTF-8 may count as one or none.
    pub(crate) chars: u64,
    /// Whether the text is longer than `bytes`.
    pub(crate) cut: bool,
}

impl Kept {
    /// Adds bytes, of which at most `bytes_max` in total are kept.
    pub(crate) fn push(&mut self, bytes: &[u8], bytes_max: usize) {
        self.chars += count_chars(bytes);
        let room = bytes_max.saturating_sub(self.bytes.len());
        let taken = if self.cut { 0 } else { bytes.len().min(room) };
        self.bytes.extend_from_slice(&bytes[..taken]);
        self.cut |= taken < bytes.len();
    }

    /// Returns what is kept, without a character that the cut divided. Invalid UTF-8 is replaced.
    pub(crate) fn text(&self) -> String {
        let mut bytes = &*self.bytes;
        if self.cut {
            let tail = bytes.iter().rev().take(3).position(|byte| *byte >= 0xC0);
            if let Some(back) = tail {
                let lead = bytes.len() - 1 - back;
                if std::str::from_utf8(&bytes[lead..]).is_err() {
                    bytes = &bytes[..lead];
                }
            }
        }
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Returns the whole text; `None` if it was cut.
    pub(crate) fn whole(&self) -> Option<String> {
        (!self.cut).then(|| self.text())
    }
}

/// Counts the characters of UTF-8 bytes: all bytes but those that continue a character.
fn count_chars(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| (**byte & 0xC0) != 0x80).count() as u64
}

/// The arguments of a call as JSON text.
#[derive(Clone, Debug, Default)]
pub(crate) struct ArgsText(Kept);

impl ArgsText {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes, ARGS_BYTES_MAX);
        if self.0.cut {
            self.shorten();
        }
    }

    /// Keeps only the beginning, because memory for open calls is short.
    pub(crate) fn shorten(&mut self) {
        if self.0.bytes.len() > ARGS_BEGINNING_BYTES {
            self.0.bytes.truncate(ARGS_BEGINNING_BYTES);
            self.0.bytes.shrink_to_fit();
            self.0.cut = true;
        }
    }

    /// Returns the text that is kept and, if it is only a beginning, the characters of the whole text.
    pub(crate) fn text(&self) -> (String, Option<u64>) {
        (self.0.text(), self.0.cut.then_some(self.0.chars))
    }

    /// Returns the bytes that are kept, and the characters of the whole text.
    pub(crate) fn parts(&self) -> (&[u8], u64) {
        (&self.0.bytes, self.0.chars)
    }

    /// Returns how many bytes are kept.
    pub(crate) fn len(&self) -> usize {
        self.0.bytes.len()
    }
}

/// A decoded text of any length of which a hash and the first bytes are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct HashedText(Sha256);

impl HashedText {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        self.0.clone().finalize().into()
    }
}

/// The text of a result: the text content joined by newlines, and other content by type and size.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResultText {
    kept: Kept,
    /// Whether there is text, so that structured content is not shown instead.
    pub(crate) has_text: bool,
    has_parts: bool,
}

impl ResultText {
    /// Adds the text of one content block. Of `text`, the first bytes are there and all characters are counted.
    pub(crate) fn add_text(&mut self, text: &Kept) {
        self.join();
        self.has_text = true;
        self.kept.push(&text.bytes, RESULT_BYTES_MAX);
        if text.cut {
            self.kept.chars += text.chars - count_chars(&text.bytes);
            self.kept.cut = true;
        }
    }

    /// Adds a content block that is no text: its type, and its size in bytes if it is known.
    pub(crate) fn add_other(&mut self, kind: &str, bytes: Option<u64>) {
        self.join();
        let size = bytes.map_or_else(String::new, |bytes| format!(", {}", size(bytes)));
        self.kept.push(format!("[{kind}{size}]").as_bytes(), RESULT_BYTES_MAX);
    }

    /// Adds structured content, which is shown only where there is no text.
    pub(crate) fn add_structured(&mut self, json: &Kept) {
        self.add_text(json);
    }

    fn join(&mut self) {
        if self.has_parts {
            self.kept.push(b"\n", RESULT_BYTES_MAX);
        }
        self.has_parts = true;
    }

    /// Whether there is any content.
    pub(crate) fn has_parts(&self) -> bool {
        self.has_parts
    }

    /// Returns the text that is kept, and the characters of the whole text if they are more.
    pub(crate) fn text(&self) -> (String, Option<u64>) {
        (self.kept.text(), self.kept.cut.then_some(self.kept.chars))
    }

    /// The most bytes of one content block's text that are worth keeping.
    pub(crate) const BLOCK_BYTES_MAX: usize = RESULT_BYTES_MAX;
}

/// Returns a size for people, in decimal units without decimals.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", (bytes + 500) / 1_000),
        1_000_000..1_000_000_000 => format!("{} MB", (bytes + 500_000) / 1_000_000),
        _ => format!("{} GB", (bytes + 500_000_000) / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_units() {
        let check = |bytes: u64, expected: &str| assert_eq!(size(bytes), expected);
        check(0, "0 B");
        check(999, "999 B");
        check(1_000, "1 kB");
        check(48_210, "48 kB");
        check(1_500_000, "2 MB");
        check(3_000_000_000, "3 GB");
    }

    #[test]
    fn a_cut_text_ends_between_characters_and_counts_all() {
        let mut kept = Kept::default();
        kept.push("ää".as_bytes(), 3);
        kept.push("ö".as_bytes(), 3);
        assert_eq!((kept.text(), kept.chars, kept.cut), ("ä".to_owned(), 3, true));
        let mut whole = Kept::default();
        whole.push("ää".as_bytes(), 4);
        assert_eq!((whole.text(), whole.whole(), whole.cut), ("ää".to_owned(), Some("ää".to_owned()), false));
    }

    #[test]
    fn long_arguments_keep_their_beginning() {
        let mut args = ArgsText::default();
        args.push(&vec![b'x'; ARGS_BYTES_MAX]);
        assert_eq!(args.text(), ("x".repeat(ARGS_BYTES_MAX), None));
        args.push(b"y");
        assert_eq!(args.text(), ("x".repeat(ARGS_BEGINNING_BYTES), Some(ARGS_BYTES_MAX as u64 + 1)));
    }
}
