//! What happens after a flush: the one place where later steps learn which parts of the day files are durable.
//!
//! A flush is complete when the day files are synced. Then the steps below run in order, on the writer thread. Each
//! step gets the same [`CompletedFlush`]. The journal is freed before the files are listed for sealing, so that sealing
//! never keeps the journal full.

use std::time::Duration;

use crate::day::Fragment;
use crate::journal::{Entry, Kind, SyncMode};
use crate::record::store::Store;
use crate::record::store::group::Day;

/// A flush whose day files are durable.
#[derive(Debug)]
pub(crate) struct CompletedFlush {
    /// The files that were synced.
    pub(crate) files: Vec<DurableFile>,
    /// The end of the journal when the flush began. All lines in the frames before it are durable in their day files.
    /// `None` if some of them are not; then the journal is not freed.
    pub(crate) journal_end: Option<(u64, u64)>,
    /// The number of the flush.
    pub(crate) epoch: u64,
}

/// A day file that was synced and is still the file that was written.
#[derive(Debug)]
pub(crate) struct DurableFile {
    pub(crate) day: Day,
    /// The length up to which it is durable, in bytes.
    pub(crate) len: u64,
    /// How many of its new lines the journal does not hold.
    pub(crate) unjournaled: u64,
}

impl Store {
    /// Runs the steps that follow a flush.
    pub(crate) fn after_flush(&mut self, flush: &CompletedFlush, now: Duration) {
        self.note_durable_lengths(flush);
        self.free_journal(flush, now);
        self.list_for_sealing(flush, now);
    }

    /// Lists the files as flushed, so that they are sealed and counted.
    fn list_for_sealing(&mut self, flush: &CompletedFlush, now: Duration) {
        let files = flush.files.iter().map(|file| (file.day.clone(), file.len)).collect::<Vec<_>>();
        self.upkeep.flushed(&files, now);
        if let Some(sealing) = self.seal_task.sealing().filter(|_| !flush.files.is_empty()) {
            sealing.flushed(&files);
            self.seal_task.is_due(now);
        }
    }

    /// Remembers the durable length of each file, which later records in the journal carry.
    fn note_durable_lengths(&mut self, flush: &CompletedFlush) {
        for file in &flush.files {
            self.flusher.set_durable_len(file.day.clone(), file.len);
        }
    }

    /// Frees the journal up to its end at the begin of the flush, and removes the notes of fragments whose incidents
    /// are durable.
    fn free_journal(&mut self, flush: &CompletedFlush, now: Duration) {
        let Some(end) = flush.journal_end else { return };
        match self.journal.flushed(end, now) {
            Ok(()) => {
                for name in self.unreported.flushed(flush.epoch) {
                    // If the note stays, the incident is reported once more at the next start.
                    let _ = Fragment::told(&**self.home.disk(), &name);
                }
                let unjournaled = flush.files.iter().filter(|file| file.unjournaled > 0);
                self.touch_again(flush.epoch, unjournaled.map(|file| file.day.clone()).collect());
            }
            Err(error) => self.trouble = Some(format!("could not free the journal: {error}")),
        }
    }

    /// Writes new touch records for day files that got lines no caller waits for. More such lines are likely, and their
    /// batch then does not have to wait for the record.
    fn touch_again(&mut self, epoch: u64, days: Vec<Day>) {
        self.touched.retain(|_, since| *since > epoch);
        let entries = days.iter().filter(|day| !self.touched.contains_key(*day)).map(|day| {
            let (folder, date) = day;
            Entry {
                kind: Kind::Touch,
                id: 0,
                durable_len: self.flusher.durable_len(day),
                folder,
                day: *date,
                line: b"",
            }
        });
        let entries = entries.collect::<Vec<_>>();
        if !entries.is_empty() && self.try_frames(&entries, SyncMode::Now).is_ok() {
            let epoch = self.epoch;
            for day in days {
                self.touched.entry(day).or_insert(epoch);
            }
        }
    }
}
