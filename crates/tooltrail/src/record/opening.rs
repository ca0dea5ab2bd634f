//! Calls that have begun and are not noted in the journal yet.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::record::open_call_id::OpenCallId;
use crate::redact::BoundedCall;

/// How long a call must be open before it is noted in the journal, if no caller waits for that. Most calls have ended
/// by then.
///
/// A call is noted within 100 ms after it began. The rest of that time is for other work of the writer thread.
const OPEN_AFTER: Duration = Duration::from_millis(25);

/// The most calls that wait to be noted: as many as the queue holds. Further calls are not noted.
const OPENING_MAX: usize = 65_536;

/// The most bytes of calls that wait to be noted. Further calls are not noted.
const OPENING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The calls that are not noted in the journal yet, each with the time when it began.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    calls: BTreeMap<OpenCallId, (Duration, Box<BoundedCall>)>,
    bytes: usize,
}

impl Opening {
    /// Adds a call, if there is room.
    pub(crate) fn insert(&mut self, id: OpenCallId, now: Duration, call: Box<BoundedCall>) {
        let bytes = self.bytes + call.bytes();
        if self.calls.len() < OPENING_MAX && bytes <= OPENING_BYTES_MAX {
            self.bytes = bytes;
            self.calls.insert(id, (now, call));
        }
    }

    /// Removes a call that has ended.
    pub(crate) fn remove(&mut self, id: OpenCallId) {
        if let Some((_, call)) = self.calls.remove(&id) {
            self.bytes -= call.bytes();
        }
    }

    /// Returns the time until the next call must be noted; `None` if there are no calls.
    pub(crate) fn patience(&self, now: Duration) -> Option<Duration> {
        // Ids grow with time, so the first call is the oldest.
        self.calls.values().next().map(|(began, _)| (*began + OPEN_AFTER).saturating_sub(now))
    }

    /// Takes the calls that have been open for [`OPEN_AFTER`]; with `all`, takes every call.
    pub(crate) fn due(&mut self, now: Duration, all: bool) -> Vec<(OpenCallId, Box<BoundedCall>)> {
        let mut due = Vec::new();
        while let Some(first) = self.calls.first_entry() {
            if !all && first.get().0 + OPEN_AFTER > now {
                break;
            }
            let (id, (_, call)) = first.remove_entry();
            self.bytes -= call.bytes();
            due.push((id, call));
        }
        due
    }
}
