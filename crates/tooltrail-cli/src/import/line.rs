//! What import computes for one line: the parsed call, the id of its entry, and a hash that detects a changed line.

use std::hash::{DefaultHasher, Hasher as _};

use sha2::{Digest as _, Sha256};
use tooltrail::entry::receive;
use tooltrail::{Call, EntryId, Zone};

use crate::import::order::Note;

/// Parses a line from an untrusted file as a call. The error says what is wrong, with a hint if there is one.
pub(super) fn read_line(line: &[u8], zone: &Zone) -> Result<Call, String> {
    let text = std::str::from_utf8(line).map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
    receive(text.trim_ascii(), zone).map_err(|error| error.to_string())
}

/// Returns the id of the entry of an imported line.
///
/// The id depends only on the content, the line number, the time and the run, so that a continued import computes the
/// same id again.
pub(super) fn id(content: &[u8; 32], note: &Note, run: u32) -> EntryId {
    let mut hash = Sha256::new();
    hash.update(content);
    hash.update(note.number.to_be_bytes());
    hash.update(run.to_be_bytes());
    let bits = hash.finalize()[..10].try_into().expect("ten of 32 bytes");
    EntryId::new(note.ts(), bits)
}

/// Returns a short hash of the bytes of a line, to notice a change between the two passes.
pub(super) fn check(line: &[u8]) -> u64 {
    let mut hash = DefaultHasher::new();
    hash.write(line);
    hash.finish()
}
