//! What a recorder has done since it was opened, in numbers: nobody's names, nobody's data.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::record::loss::LossReason;

/// Upper bounds of the times counted, in microseconds: from a fast disk's sync to one that is broken.
const MICROS: &[u64] = &[
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
];

/// Upper bounds of the entries of a batch; the last is what a batch may hold.
const ENTRIES: &[u64] = &[1, 4, 16, 64, 256, 1_024, 4_096, 8_192];

/// Why the writer can lose an entry; the queue counts what it sheds itself.
const LOST_BY_WRITER: [LossReason; 4] =
    [LossReason::Panicked, LossReason::Unwritten, LossReason::Unsynced, LossReason::Removed];

/// What a recorder has done since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Entries that wait for the writer now.
    pub queued_entries: u64,
    /// Bytes that wait for the writer now.
    pub queued_bytes: u64,
    /// Entries that the writer has in hand: taken from the queue, and not yet known to be written or not.
    pub writing_entries: u64,
    /// Lines appended to day files, our own events too.
    pub written_entries: u64,
    /// Bytes appended to day files.
    pub written_bytes: u64,
    /// Entries that nobody waited for and that are not in the trail, by why; gaps tell of the same ones.
    pub lost_entries: BTreeMap<LossReason, u64>,
    /// Entries whose caller waited and was told that they are not durable.
    pub refused_entries: u64,
    /// Syncs that failed.
    pub failed_syncs: u64,
    /// Day files that a prune removed.
    pub pruned_files: u64,
    /// Their entries.
    pub pruned_entries: u64,
    /// Their bytes.
    pub pruned_bytes: u64,
    /// Whether the last batch could not be written.
    pub in_trouble: bool,
    /// Entries of each batch.
    pub batch_entries: Histogram,
    /// How long each batch took to write, in microseconds.
    pub batch_micros: Histogram,
    /// How long each sync took, in microseconds.
    pub sync_micros: Histogram,
}

/// How often values fell where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Histogram {
    /// Upper bounds, each included, and how many values lay at or below it and above the one before.
    pub buckets: Vec<(u64, u64)>,
    /// How many values lay above the last bound.
    pub above: u64,
    /// The sum of all values.
    pub sum: u64,
}

impl Histogram {
    /// Returns how many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum::<u64>() + self.above
    }
}

/// The counters as the writer's thread moves them; whoever reads them sees each number whole, not all at one instant.
#[derive(Debug)]
pub(crate) struct Meters {
    writing_entries: AtomicU64,
    /// Since when the writer, and a flush, have been at work.
    at_work: [AtomicU64; 2],
    written_entries: AtomicU64,
    written_bytes: AtomicU64,
    refused_entries: AtomicU64,
    failed_syncs: AtomicU64,
    pruned_files: AtomicU64,
    pruned_entries: AtomicU64,
    pruned_bytes: AtomicU64,
    /// By [`LossReason`].
    lost_entries: [AtomicU64; LossReason::ALL.len()],
    batch_entries: Meter,
    batch_micros: Meter,
    sync_micros: Meter,
}

/// Who waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The writer, with a batch.
    Batch,
    /// A flush of day files.
    Flush,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            writing_entries: AtomicU64::default(),
            at_work: Default::default(),
            written_entries: AtomicU64::default(),
            written_bytes: AtomicU64::default(),
            refused_entries: AtomicU64::default(),
            failed_syncs: AtomicU64::default(),
            pruned_files: AtomicU64::default(),
            pruned_entries: AtomicU64::default(),
            pruned_bytes: AtomicU64::default(),
            lost_entries: Default::default(),
            batch_entries: Meter::new(ENTRIES),
            batch_micros: Meter::new(MICROS),
            sync_micros: Meter::new(MICROS),
        }
    }
}

impl Meters {
    /// Lines were appended.
    pub(crate) fn written(&self, entries: usize, bytes: usize) {
        self.written_entries.fetch_add(entries as u64, Ordering::Relaxed);
        self.written_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Entries that nobody waited for are lost.
    pub(crate) fn lost(&self, why: LossReason, entries: u64) {
        self.lost_entries[why as usize].fetch_add(entries, Ordering::Relaxed);
    }

    /// Whoever waited for an entry was told that it is not durable.
    pub(crate) fn refused(&self) {
        self.refused_entries.fetch_add(1, Ordering::Relaxed);
    }

    /// Work begins at this time of the monotonic clock.
    pub(crate) fn begun(&self, work: Work, now: Duration) {
        // 0 says that nothing is under way.
        self.at_work[work as usize].store(micros(now).max(1), Ordering::Relaxed);
    }

    /// Work has ended.
    pub(crate) fn ended(&self, work: Work) {
        self.at_work[work as usize].store(0, Ordering::Relaxed);
    }

    /// Returns how long the longest work has been under way.
    pub(crate) fn at_work(&self, now: Duration) -> Duration {
        let since = self.at_work.iter().map(|since| since.load(Ordering::Relaxed)).filter(|since| *since > 0).min();
        since.map_or(Duration::ZERO, |since| now.saturating_sub(Duration::from_micros(since)))
    }

    /// A batch is being written.
    pub(crate) fn batch_begun(&self, entries: usize) {
        self.writing_entries.store(entries as u64, Ordering::Relaxed);
    }

    /// It was written, or not; some of its entries may be held for the next.
    pub(crate) fn batch_ended(&self, entries: usize, held: usize, took: Duration) {
        self.writing_entries.store(held as u64, Ordering::Relaxed);
        if entries > 0 {
            self.batch_entries.push(entries as u64);
            self.batch_micros.push(micros(took));
        }
    }

    /// A file was synced, or not.
    pub(crate) fn sync(&self, ok: bool, took: Duration) {
        self.failed_syncs.fetch_add(u64::from(!ok), Ordering::Relaxed);
        self.sync_micros.push(micros(took));
    }

    /// A day file was removed.
    pub(crate) fn pruned(&self, entries: u64, bytes: u64) {
        self.pruned_files.fetch_add(1, Ordering::Relaxed);
        self.pruned_entries.fetch_add(entries, Ordering::Relaxed);
        self.pruned_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns the numbers as they are; those of the queue are the queue's.
    pub(crate) fn read(&self) -> Counters {
        let number = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let lost = LOST_BY_WRITER.into_iter().map(|why| (why, number(&self.lost_entries[why as usize])));
        Counters {
            writing_entries: number(&self.writing_entries),
            written_entries: number(&self.written_entries),
            written_bytes: number(&self.written_bytes),
            refused_entries: number(&self.refused_entries),
            failed_syncs: number(&self.failed_syncs),
            pruned_files: number(&self.pruned_files),
            pruned_entries: number(&self.pruned_entries),
            pruned_bytes: number(&self.pruned_bytes),
            lost_entries: lost.collect(),
            batch_entries: self.batch_entries.read(),
            batch_micros: self.batch_micros.read(),
            sync_micros: self.sync_micros.read(),
            ..Counters::default()
        }
    }
}

/// A histogram that is being filled.
#[derive(Debug)]
struct Meter {
    bounds: &'static [u64],
    /// One for each bound, and one for what lies above.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Meter {
    fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::default()).collect();
        Self { bounds, counts, sum: AtomicU64::default() }
    }

    fn push(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn read(&self) -> Histogram {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
        Histogram {
            buckets: self.bounds.iter().copied().zip(counts.iter().copied()).collect(),
            above: counts.last().copied().unwrap_or_default(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Meter;

    #[test]
    fn a_value_falls_at_or_below_its_bound() {
        let check = |values: &[u64], expected: [u64; 3], sum: u64| {
            let meter = Meter::new(&[1, 10]);
            values.iter().for_each(|value| meter.push(*value));
            let read = meter.read();
            assert_eq!([read.buckets[0].1, read.buckets[1].1, read.above], expected, "{values:?}");
            assert_eq!((read.sum, read.count()), (sum, values.len() as u64), "{values:?}");
        };
        check(&[], [0, 0, 0], 0);
        check(&[0, 1], [2, 0, 0], 1);
        check(&[2, 10], [0, 2, 0], 12);
        check(&[11, 5, 1], [1, 1, 1], 17);
    }
}
