//! Writes lines into the journal, with one write and one sync for all callers of a batch.
//!
//! A line goes into the journal if a caller waits for it, or if it ends a call that is open in the journal. The other
//! lines are only in their day files. For a day file that gets only such lines, the journal gets a `Touch` record, once
//! per flush. It tells recovery that a crash may have damaged this file behind its durable length, which every record
//! carries.
//!
//! [`Store::write_journal`] marks the lines, builds the frames of all day files and writes them with one call and one
//! sync. If the write or the sync fails, the journal gives that segment up and tries another one. If all segments are
//! full, a flush of the day files may free some, and the write is tried once more. If that fails too, no line stays
//! marked, and the day files of lines that a caller waits for are synced instead.
//!
//! Lines are not acknowledged here but after they are appended to their day files, so that a reader finds what was
//! acknowledged. Only that a call begins is acknowledged here, because such a record has no line in a day file.

use std::collections::BTreeMap;
use std::io;

use crate::journal::{Entry, Kind, SyncMode};
use crate::record::open_call_id::{OpenCallId, number};
use crate::record::store::Store;
use crate::record::store::appending::PENDING_BYTES_MAX;
use crate::record::store::group::{Begun, Day, Group, Row, Waiting};

impl Store {
    /// Notes calls that begin. If a caller waits for one of them, the journal is synced before the promises are kept.
    ///
    /// If a caller waits, and the day file takes nothing at the moment, the note is refused: the call should not be made,
    /// because its end could not be recorded either.
    pub(crate) fn begin(&mut self, calls: Vec<Begun>) {
        let (refused, calls) = calls
            .into_iter()
            .partition::<Vec<_>, _>(|call| call.promise.is_some() && self.blocked.why_of(&call.day).is_some());
        for Begun { day, promise, .. } in refused {
            let why = self.blocked.why_of(&day).unwrap_or_default();
            promise.into_iter().for_each(|promise| promise.fail(1, why));
        }
        let entries = calls.iter().map(|call| {
            let (folder, day) = (&*call.day.0, call.day.1);
            Entry {
                kind: Kind::Intent,
                id: call.id.get(),
                durable_len: self.flusher.durable_len(&call.day),
                folder,
                day,
                line: &call.line,
            }
        });
        let entries = entries.collect::<Vec<_>>();
        let is_awaited = calls.iter().any(|call| call.promise.is_some());
        let sync = if is_awaited { SyncMode::Now } else { SyncMode::Later };
        let written = self.write_frames(&entries, sync);
        for promise in calls.into_iter().filter_map(|call| call.promise) {
            match &written {
                Ok(()) => promise.keep(),
                Err(error) => promise.fail(1, &format!("could not note in the journal that it begins: {error}")),
            }
        }
    }

    /// Writes pending lines that are not in the journal into it, so that the next process appends them to their day
    /// files.
    pub(crate) fn journal_pending(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let waiting = pending.iter().filter(|(_, pending)| pending.unjournaled > 0);
        let entries = waiting.flat_map(|(day, pending)| {
            let durable_len = pending.from;
            let entry = move |line| Entry { kind: Kind::Line, id: 0, durable_len, folder: &day.0, day: day.1, line };
            pending.lines.iter().map(move |line| entry(line.as_slice()))
        });
        let entries = entries.collect::<Vec<_>>();
        let is_written = !entries.is_empty() && self.try_frames(&entries, SyncMode::Now).is_ok();
        self.pending = pending;
        if is_written {
            self.pending.values_mut().for_each(|pending| pending.unjournaled = 0);
        }
    }

    /// Notes that calls have ended although no entry says so. The journal is not synced.
    pub(crate) fn end(&mut self, ids: &[OpenCallId]) {
        self.note_ended(ids, SyncMode::Later);
    }

    /// Notes durably that calls have ended whose lines are in their day files but not in the journal. Otherwise the
    /// next process would also record them as interrupted.
    pub(super) fn end_stored(&mut self, lines: &[Row]) {
        let ended = lines.iter().filter(|line| !line.journaled && self.journal.has_open(number(line.ends)));
        let ids = ended.filter_map(|line| line.ends).collect::<Vec<_>>();
        self.note_ended(&ids, SyncMode::Now);
    }

    fn note_ended(&mut self, ids: &[OpenCallId], sync: SyncMode) {
        let day = self.clock.now().date();
        let ended =
            |id: &OpenCallId| Entry { kind: Kind::Ended, id: id.get(), durable_len: 0, folder: "", day, line: b"" };
        let entries = ids.iter().filter(|id| self.journal.has_open(id.get())).map(ended).collect::<Vec<_>>();
        if !entries.is_empty() {
            // If this fails, the next process records these calls as interrupted.
            let _ = self.journal.write(&entries, sync, self.clock.monotonic());
        }
    }

    /// Writes the lines that must survive a crash into the journal and marks them as journaled. If this fails, no line
    /// is marked, and [`Store::commit`] syncs the day files of lines that a caller waits for.
    pub(super) fn write_journal(&mut self, groups: &mut BTreeMap<Day, Group>) {
        for line in groups.values_mut().flat_map(|group| &mut group.lines) {
            // A caller waits for the line, or its call is open in the journal.
            line.journaled = matches!(line.waiting, Waiting::Promise(_)) || self.journal.has_open(number(line.ends));
        }
        if !self.try_journal(groups) {
            groups.values_mut().flat_map(|group| &mut group.lines).for_each(|line| line.journaled = false);
        }
    }

    fn try_journal(&mut self, groups: &BTreeMap<Day, Group>) -> bool {
        let mut entries = Vec::new();
        let mut touched = Vec::new();
        for (day, group) in groups {
            let durable_len = self.flusher.durable_len(day);
            let entry = |kind, id, line| Entry { kind, id, durable_len, folder: &day.0, day: day.1, line };
            let before = entries.len();
            for (text, line) in group.rows().filter(|(_, line)| line.journaled) {
                let id = if self.journal.has_open(number(line.ends)) { number(line.ends) } else { 0 };
                entries.push(entry(Kind::Line, id, text));
            }
            if self.touched.contains_key(day) || group.lines.is_empty() {
                continue;
            }
            touched.push(day.clone());
            if entries.len() == before {
                entries.push(entry(Kind::Touch, 0, b""));
            }
        }
        if entries.is_empty() {
            return true;
        }
        if entries.iter().any(|entry| entry.kind == Kind::Line)
            && self.pending.values().map(|pending| pending.bytes).sum::<usize>() > PENDING_BYTES_MAX
        {
            return false;
        }
        let written = self.write_frames(&entries, SyncMode::Now).is_ok();
        if written {
            self.touched.extend(touched.into_iter().map(|day| (day, self.epoch)));
        }
        written
    }

    /// Writes frames. If the journal has no room, flushes the day files to free segments, and tries once more. The
    /// flush need not cover the lines of these frames, because they are not in a day file yet.
    fn write_frames(&mut self, entries: &[Entry<'_>], sync: SyncMode) -> io::Result<()> {
        let written = self.try_frames(entries, sync);
        if written.is_ok() || !self.journal.is_begun() {
            return written;
        }
        self.flush();
        self.try_frames(entries, sync)
    }

    pub(super) fn try_frames(&mut self, entries: &[Entry<'_>], sync: SyncMode) -> io::Result<()> {
        let began = self.clock.monotonic();
        let written = self.journal.write(entries, sync, began);
        if sync == SyncMode::Now {
            self.meters.sync(written.is_ok(), self.clock.monotonic().saturating_sub(began));
        }
        written
    }
}
