//! The sessions of a day file, each with its calls.

use std::collections::BTreeMap;

use super::sightings::Sighting;
use crate::call::Status;

/// The sessions by the number of their user's name, and by their own names.
pub(crate) type SessionRows = BTreeMap<(u32, Box<str>), SessionRow>;

/// What is known about a session. Begin, end and client are those of all its entries; the counts are of its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionRow {
    pub(crate) client: Option<Box<str>>,
    pub(crate) begin_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) calls: u64,
    pub(crate) errors: u64,
    pub(crate) denied: u64,
}

impl Default for SessionRow {
    fn default() -> Self {
        Self { client: None, begin_ms: i64::MAX, end_ms: i64::MIN, calls: 0, errors: 0, denied: 0 }
    }
}

impl SessionRow {
    /// Adds an entry of the session, of which it is not known whether it counts.
    pub(crate) fn see(&mut self, began_ms: i64, ended_ms: i64, client: Option<&str>) {
        self.begin_ms = self.begin_ms.min(began_ms);
        self.end_ms = self.end_ms.max(ended_ms);
        // A sub-agent's calls may name the program without its version: the longest name counts, in any order.
        let knows_more =
            |client: &&str| self.client.as_ref().is_none_or(|known| (client.len(), &**known) > (known.len(), client));
        if let Some(client) = client.filter(|client| !client.is_empty()).filter(knows_more) {
            self.client = Some(client.into());
        }
    }

    /// The same for a sighting.
    pub(crate) fn see_sighting(&mut self, call: &Sighting) {
        self.see(call.began_ms(), call.ended_ms, call.client.as_deref());
    }

    /// Counts a call.
    pub(crate) fn count(&mut self, status: Status) {
        self.calls += 1;
        self.errors += u64::from(status == Status::Error);
        self.denied += u64::from(status == Status::Denied);
    }

    /// Takes a call away that was counted.
    pub(super) fn uncount(&mut self, status: Status) {
        self.calls = self.calls.saturating_sub(1);
        self.errors = self.errors.saturating_sub(u64::from(status == Status::Error));
        self.denied = self.denied.saturating_sub(u64::from(status == Status::Denied));
    }

    /// Adds the same session of another file.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.see(other.begin_ms, other.end_ms, other.client.as_deref());
        self.calls += other.calls;
        self.errors += other.errors;
        self.denied += other.denied;
    }
}
