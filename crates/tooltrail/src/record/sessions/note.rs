//! The files of the calls of sessions: their names, and what is in them.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::clock::{Date, Timestamp};
use crate::hex::hex;
use crate::limits::LINE_BYTES_MAX;
use crate::record::store::group::Day;

/// The folders below `.tooltrail/`: calls that have begun, calls that are being recorded, and calls that are recorded,
/// by the day on which that happened.
pub(super) const OPEN_FOLDER: &str = "open";
pub(super) const CLAIMS_FOLDER: &str = "claims";
pub(super) const ENDED_FOLDER: &str = "ended";

/// How long a process waits for the append lock. Many hooks may run at once, and each holds it for a moment.
pub(super) const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The most bytes of a file: the longest line and the facts before it.
const NOTE_BYTES_MAX: usize = LINE_BYTES_MAX + 1_024;

/// The version of the files, so that a later one can change them.
const VERSION: &str = "1";

/// The bytes of a hash in a name: enough that no two sessions, and no two calls of one, have the same.
const SHORT_HASH_BYTES: usize = 8;
const CALL_HASH_BYTES: usize = 16;

/// What is in the file of a call: the line to record, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// When the file was written.
    pub(super) at: Timestamp,
    /// A hash of the agent that made the call; `None` for the main agent.
    pub(super) agent: Option<String>,
    /// Whether the line says how the call ended. Otherwise it says that nobody told.
    pub(super) is_finished: bool,
    /// The day file of the line.
    pub(super) day: Day,
    /// The length of the day file before the claim. If the line is in the file already, it is after this offset.
    pub(super) from: u64,
    /// The line with its newline.
    pub(super) line: Vec<u8>,
}

impl Note {
    /// Returns the content of the file: one line with the facts, and the entry's line.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { at, agent, is_finished, day, from, .. } = self;
        let (at, agent) = (at.as_millis(), agent.as_deref().unwrap_or("-"));
        let state = if *is_finished { "finished" } else { "open" };
        let facts = format!("{VERSION} {at} {agent} {state} {} {} {from}\n", day.0, day.1);
        let mut bytes = facts.into_bytes();
        bytes.extend_from_slice(&self.line);
        bytes
    }

    /// Reads the content of a file. Returns `None` if it is not whole, because its process was killed.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let newline = memchr::memchr(b'\n', bytes)?;
        let (facts, line) = (std::str::from_utf8(&bytes[..newline]).ok()?, &bytes[newline + 1..]);
        let mut facts = facts.split(' ');
        if facts.next()? != VERSION || !line.ends_with(b"\n") {
            return None;
        }
        Some(Self {
            at: Timestamp::from_millis(facts.next()?.parse().ok()?),
            agent: facts.next().filter(|agent| *agent != "-").map(str::to_owned),
            is_finished: facts.next()? == "finished",
            day: (facts.next()?.to_owned(), Date::parse(facts.next()?)?),
            from: facts.next()?.parse().ok()?,
            line: line.to_vec(),
        })
    }

    /// Reads a file.
    pub(super) fn read(file: &dyn crate::disk::DiskFile) -> std::io::Result<Option<Self>> {
        let mut bytes = vec![0; NOTE_BYTES_MAX];
        let read = file.read_at(&mut bytes, 0)?;
        Ok(Self::parse(&bytes[..read]))
    }
}

/// Returns the beginning of the names of a session's files.
pub(super) fn session_name(session: &str) -> String {
    short_hash("session", session)
}

/// Returns the name of a call's file in its session.
pub(super) fn call_name(session: &str, kind: &str, key: &str) -> String {
    format!("{}.{}", session_name(session), hash(kind, key, CALL_HASH_BYTES))
}

/// Returns the name by which the files know an agent.
pub(super) fn agent_name(agent: &str) -> String {
    short_hash("agent", agent)
}

/// Returns a short name for a text that may have any characters.
pub(super) fn short_hash(kind: &str, text: &str) -> String {
    hash(kind, text, SHORT_HASH_BYTES)
}

/// Names are hashes, because an id may have any characters and any length, and may be a secret.
fn hash(kind: &str, text: &str, bytes: usize) -> String {
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(text).finalize();
    hex(&digest[..bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_or_not_at_all() {
        let note = Note {
            at: Timestamp::from_millis(1_764_000_000_000),
            agent: Some(agent_name("a-1")),
            is_finished: true,
            day: ("alice".to_owned(), Date::parse("2026-11-23").unwrap()),
            from: 77,
            line: b"{\"ts\":1}\n".to_vec(),
        };
        let bytes = note.encode();
        assert_eq!(Note::parse(&bytes), Some(note.clone()));
        let main = Note { agent: None, is_finished: false, ..note };
        assert_eq!(Note::parse(&main.encode()), Some(main));
        for cut in 0..bytes.len() {
            assert_eq!(Note::parse(&bytes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(Note::parse(b"2 0 - open a 2026-11-23 0\n{}\n"), None);
    }
}
