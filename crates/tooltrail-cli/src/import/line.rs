//! A received line: the call it is, the id it gets, and whether it is still the same.

use std::hash::{DefaultHasher, Hasher as _};

use sha2::{Digest as _, Sha256};
use tooltrail::entry::receive;
use tooltrail::{Call, EntryId, Zone};

use crate::import::order::Note;

/// Reads a line that may be anything.
pub(super) fn read_line(line: &[u8], zone: &Zone) -> Result<Call, String> {
    let text = std::str::from_utf8(line).map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
    receive(text.trim_ascii(), zone).map_err(|error| match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    })
}

/// Returns the id of an imported line.
pub(super) fn id(content: &[u8; 32], note: &Note, run: u32) -> EntryId {
    let mut hash = Sha256::new();
    hash.update(content);
    hash.update(note.number.to_be_bytes());
    hash.update(run.to_be_bytes());
    let bits = hash.finalize()[..10].try_into().expect("ten of 32 bytes");
    EntryId::new(note.ts(), bits)
}

/// Returns a short hash of a line's bytes.
pub(super) fn check(line: &[u8]) -> u64 {
    let mut hash = DefaultHasher::new();
    hash.write(line);
    hash.finish()
}
