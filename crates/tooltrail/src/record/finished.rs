//! Takes entries that another recorder has finished and somebody delivers, each once.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use crate::call::{Call, EntryId};
use crate::durability::{Durability, DurabilityPolicy};
use crate::error::Error;
use crate::record::known_ids::Delivered;
use crate::record::queue::item::Line;
use crate::record::recorder::{Prepared, Recorder};

/// The member of `extra` that says when an entry arrived. An entry that is delivered twice arrives at two times.
const RECEIVED: &str = "\"received\":\"";

/// What becomes of a finished entry that is delivered.
#[derive(Debug)]
#[non_exhaustive]
pub enum Finished {
    /// It is new and is to be recorded.
    New(Prepared),
    /// It is in the trail already.
    Before,
    /// The trail has another entry with its id. It is to be recorded under a new id.
    OtherId {
        /// The entry with its new id.
        entry: Prepared,
        /// The id that it was sent with.
        sent: EntryId,
    },
    /// It was erased, and must not come back.
    Erased,
    /// Its day is older than the retention. The text says what is kept.
    TooLate(String),
}

impl Recorder {
    /// Redacts and encodes entries that another recorder has finished, and looks for each in its day file. The entries
    /// that are new are then recorded with [`Recorder::record_prepared`].
    ///
    /// A caller that takes entries of one sender must not ask again before the entries of the last time are recorded:
    /// what is still on its way is not found.
    ///
    /// ```
    /// # let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    /// use tooltrail::{Call, DurabilityPolicy, Finished, Question, Recorder, Trail, Zone, entry::receive_finished};
    ///
    /// let sender = Recorder::open(from.path())?;
    /// sender.record(&Call::new("alice", "fs.read", "{}").ok("hello"));
    /// sender.close()?;
    /// let line = Trail::open(from.path())?.recent(&Question::new())?.lines.remove(0);
    ///
    /// let recorder = Recorder::open(to.path())?;
    /// let deliver = || recorder.prepare_finished(&DurabilityPolicy::default(), vec![receive_finished(&line, &Zone::UTC)?]);
    /// let Some(Finished::New(entry)) = deliver()?.pop() else { panic!("it is new") };
    /// recorder.record_prepared(vec![entry])?;
    /// recorder.flush()?;
    /// assert!(matches!(deliver()?[..], [Finished::Before]));
    /// # Ok::<(), tooltrail::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] if a day file cannot be read; [`Error::Input`] if one of the calls is not finished.
    pub fn prepare_finished(&self, durability: &DurabilityPolicy, calls: Vec<Call>) -> Result<Vec<Finished>, Error> {
        let mut prepared = Vec::new();
        for call in calls {
            let id = call.id.filter(|_| call.is_finished());
            let Some(id) = id else {
                return Err(Error::input("an entry is not finished", "record it as a call"));
            };
            let late = self.too_late(&call);
            let waits = durability.of(&call.tool) != Durability::Buffered;
            let line = self.encoder().finished(call.clone());
            prepared.push((call, id, late, Prepared::new(line, waits)));
        }
        let mut found = self.find(prepared.iter().map(|(_, id, _, entry)| (*id, entry.line())))?;
        let mut finished = Vec::new();
        for (call, id, late, entry) in prepared {
            let known = found.get(&id).cloned().unwrap_or(Delivered::New);
            finished.push(match (late, known) {
                (Some(why), _) => Finished::TooLate(why),
                (None, Delivered::Erased) => Finished::Erased,
                (None, Delivered::New) => {
                    found.insert(id, Delivered::Before(entry.line().text.clone()));
                    Finished::New(entry)
                }
                (None, Delivered::Before(before)) if is_same(&before, &entry.line().text) => Finished::Before,
                (None, Delivered::Before(_)) => self.with_other_id(call, id, entry)?,
            });
        }
        Ok(finished)
    }

    /// Returns what is known about entries.
    fn find<'a>(
        &self,
        entries: impl Iterator<Item = (EntryId, &'a Line)>,
    ) -> Result<HashMap<EntryId, Delivered>, Error> {
        let mut days = HashMap::<_, Vec<_>>::new();
        for (id, line) in entries {
            if let Some(day) = &line.day {
                days.entry(day).or_default().push(id);
            }
        }
        let mut found = HashMap::new();
        for (day, ids) in days {
            let states = self.known_ids().find(self.home(), day, &ids)?;
            found.extend(ids.into_iter().zip(states));
        }
        Ok(found)
    }

    /// Gives an entry another id, which depends on its bytes, so that it is found when it is delivered once more.
    fn with_other_id(&self, mut call: Call, sent: EntryId, entry: Prepared) -> Result<Finished, Error> {
        let mut bits = [0; 10];
        bits.copy_from_slice(&Sha256::digest(without_received(&entry.line().text))[..10]);
        let id = EntryId::new(sent.time(), bits);
        call.id = Some(id);
        let entry = Prepared::new(self.encoder().finished(call), entry.waits());
        let known = self.find(std::iter::once((id, entry.line())))?;
        Ok(match known.get(&id) {
            Some(Delivered::Before(_)) => Finished::Before,
            Some(Delivered::Erased) => Finished::Erased,
            _ => Finished::OtherId { entry, sent },
        })
    }
}

/// Whether two lines are the same but for the time at which they arrived.
fn is_same(a: &str, b: &str) -> bool {
    a.trim_end() == b.trim_end() || without_received(a) == without_received(b)
}

/// Returns a line without the time at which it arrived.
fn without_received(line: &str) -> String {
    let line = line.trim_end();
    let extra = line.find(",\"extra\":{").unwrap_or(line.len());
    let Some(at) = line[extra..].find(RECEIVED).map(|at| extra + at) else { return line.to_owned() };
    let value = at + RECEIVED.len();
    let Some(end) = line[value..].find('"').map(|end| value + end + 1) else { return line.to_owned() };
    let (before, after) = (line[..at].trim_end_matches(','), line[end..].trim_start_matches(','));
    let both = if before.ends_with('{') || after.starts_with('}') { "" } else { "," };
    format!("{before}{both}{after}").replace(",\"extra\":{}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_arrival_is_no_difference() {
        let check = |extra: &str, without: &str| {
            let line = |extra: &str| format!("{{\"tool\":\"t\"{extra},\"salt\":\"s\"}}\n");
            assert_eq!(without_received(&line(extra)), line(without).trim_end(), "{extra}");
        };
        check("", "");
        check(r#","extra":{"a":1}"#, r#","extra":{"a":1}"#);
        check(r#","extra":{"received":"2026"}"#, "");
        check(r#","extra":{"a":1,"received":"2026"}"#, r#","extra":{"a":1}"#);
        check(r#","extra":{"received":"2026","b":2}"#, r#","extra":{"b":2}"#);
        check(r#","extra":{"a":1,"received":"2026","b":2}"#, r#","extra":{"a":1,"b":2}"#);
    }
}
