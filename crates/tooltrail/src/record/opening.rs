//! Calls that have begun and that the journal does not know yet.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::record::open_call_id::OpenCallId;
use crate::redact::BoundedCall;

/// How long a call must be open before the journal notes it without being asked: most calls are done by then.
///
/// Within 100 ms of its beginning a call is noted; this leaves the rest of them for what the writer is busy with.
const OPEN_AFTER: Duration = Duration::from_millis(25);

/// Calls that wait to be noted as open: as many as the queue holds. More are not noted.
const OPENING_MAX: usize = 65_536;

/// Bytes of calls that wait to be noted as open. More are not noted.
const OPENING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Calls that the journal does not know yet, with when they began.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    calls: BTreeMap<OpenCallId, (Duration, Box<BoundedCall>)>,
    bytes: usize,
}

impl Opening {
    /// Keeps a call until it is due, where there is room.
    pub(crate) fn insert(&mut self, id: OpenCallId, now: Duration, call: Box<BoundedCall>) {
        let bytes = self.bytes + call.bytes();
        if self.calls.len() < OPENING_MAX && bytes <= OPENING_BYTES_MAX {
            self.bytes = bytes;
            self.calls.insert(id, (now, call));
        }
    }

    /// Forgets a call: it has ended.
    pub(crate) fn remove(&mut self, id: OpenCallId) {
        if let Some((_, call)) = self.calls.remove(&id) {
            self.bytes -= call.bytes();
        }
    }

    /// Returns how long none is due; `None` for ever.
    pub(crate) fn patience(&self, now: Duration) -> Option<Duration> {
        // Ids grow with time, so that the first of the open ones is the oldest.
        self.calls.values().next().map(|(began, _)| (*began + OPEN_AFTER).saturating_sub(now))
    }

    /// Takes the calls that have been open for a while; with `all` none is left.
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
