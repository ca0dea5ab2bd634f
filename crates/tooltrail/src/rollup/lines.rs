//! Reads the lines of a day file as sightings of calls.

use super::sightings::{Seen, SightedCall, Sighting, Sightings};
use crate::call::{EntryId, Via};
use crate::clock::{Date, Zone};
use crate::query::{Line, instant};

/// How near to midnight two sightings in the files of neighbouring days end, if they may be one call. Captures see the
/// end of a call within a second, so a minute is enough.
const MIDNIGHT_MS: u64 = 60_000;

/// Counts of lines that are no entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Lines with NUL bytes.
    pub(crate) nul: u64,
    /// Other lines that are no entries.
    pub(crate) invalid_json: u64,
    /// Lines over 64 MiB.
    pub(crate) too_long: u64,
}

impl Broken {
    /// Counts a line that is no entry.
    pub(crate) fn line(&mut self, line: &[u8]) {
        if memchr::memchr(0, line).is_some() {
            self.nul += 1;
        } else {
            self.invalid_json += 1;
        }
    }
}

/// What a line of a day file is.
#[derive(Debug)]
pub(crate) enum FileLine<'a> {
    /// An empty line, or spaces in place of damage.
    Blank,
    /// No entry.
    Broken,
    Entry(Line<'a>),
}

impl<'a> FileLine<'a> {
    /// Reads a line without its newline.
    pub(crate) fn read(offset: u64, line: &'a [u8], zone: &Zone) -> Self {
        let line = trimmed(offset, line);
        if line.iter().all(u8::is_ascii_whitespace) {
            return Self::Blank;
        }
        let text = std::str::from_utf8(line).ok();
        text.and_then(|text| Line::parse(text, zone)).map_or(Self::Broken, Self::Entry)
    }

    /// Like [`FileLine::read`], but a line whose bytes show that it is of no interest is not read; `None` for these.
    pub(crate) fn read_if(offset: u64, line: &'a [u8], zone: &Zone, may_match: impl Fn(&[u8]) -> bool) -> Option<Self> {
        let bytes = trimmed(offset, line);
        if !may_match(bytes) && (bytes.iter().all(u8::is_ascii_whitespace) || instant(bytes, zone).is_some()) {
            return None;
        }
        Some(Self::read(offset, line, zone))
    }
}

/// Returns a line without the carriage return and the byte order mark that other programs write.
fn trimmed(offset: u64, line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if offset == 0 { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) } else { line }
}

/// Whether a call in the file of a date ended so near to the begin or the end of the day that the file of the day before
/// or after may have another sighting of it.
pub(super) fn is_near_midnight(day: Date, ended_ms: i64) -> bool {
    midnight_near(day, ended_ms).is_some()
}

/// Returns the begin or the end of a day that is near to this time, as the date of the day that begins then.
fn midnight_near(day: Date, ended_ms: i64) -> Option<Date> {
    let is_near = |day: &Date| day.start().as_millis().abs_diff(ended_ms) < MIDNIGHT_MS;
    [day, day.plus_days(1)].into_iter().find(is_near)
}

/// Returns the midnight on whose other side there may be further sightings of a call in the file of a date, as the date
/// of the day that begins then. If it has sightings near both, that of the sighting that counts.
pub(crate) fn midnight_of(call: &SightedCall, day: Date) -> Option<Date> {
    let mut all = std::iter::once(&call.best).chain(&call.others);
    all.find_map(|seen| midnight_near(day, seen.sighting.ended_ms))
}

/// Whether an entry is one of our own events.
pub(crate) fn is_own(entry: &Line<'_>) -> bool {
    entry.string("via").as_deref() == Some(Via::Tooltrail.as_str())
}

/// Returns the id of an entry.
pub(crate) fn id_of(entry: &Line<'_>) -> Option<u128> {
    entry.string("id").and_then(|id| EntryId::parse(&id)).map(EntryId::to_bits)
}

/// The calls of a day file, when all their sightings are known.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// The sightings that count.
    pub(crate) counted: Vec<Seen>,
    /// All sightings of calls that may have further ones in the file of the day before or after.
    pub(crate) edges: Vec<Seen>,
    /// All other sightings, which do not count.
    pub(crate) others: Vec<Seen>,
    /// The offsets of all sightings that do not count.
    pub(crate) absorbed: Vec<u64>,
}

impl Settled {
    /// Returns the calls of the file of a date.
    pub(crate) fn of(sightings: Sightings, day: Date) -> Self {
        let mut settled = Self::default();
        for call in sightings.into_calls() {
            settled.absorbed.extend(call.others.iter().map(|seen| seen.offset));
            if midnight_of(&call, day).is_some() {
                settled.edges.extend(call.into_all());
            } else {
                settled.counted.push(call.best);
                settled.others.extend(call.others);
            }
        }
        settled.edges.sort_by_key(|seen| seen.offset);
        settled.absorbed.sort_unstable();
        settled
    }
}

/// Returns the sighting of an entry at this place.
pub(crate) fn seen(entry: &Line<'_>, offset: u64, day: Date, is_asked: bool) -> Seen {
    Seen { sighting: Sighting::of(entry, day), offset, is_asked }
}
