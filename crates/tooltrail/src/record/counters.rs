//! The counters of a recorder since it was opened. They contain no names and no data of users.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::record::loss::LossReason;

/// The upper bounds of the time histograms, in microseconds: from the sync of a fast disk to that of a broken one.
const MICROS: &[u64] = &[
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
];

/// The upper bounds of the histogram of entries per batch. Only batches that no caller waits for can be larger.
const ENTRIES: &[u64] = &[1, 4, 16, 64, 256, 1_024, 4_096, 8_192];

/// The reasons for which the writer thread can lose an entry. The queue counts the entries that it sheds itself.
const LOST_BY_WRITER: [LossReason; 4] =
    [LossReason::Panicked, LossReason::Unwritten, LossReason::Unsynced, LossReason::Removed];

/// The counters of a recorder since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// The number of entries that wait for the writer thread now.
    pub queued_entries: u64,
    /// The number of bytes that wait for the writer thread now.
    pub queued_bytes: u64,
    /// The number of entries that the writer thread has taken from the queue and is writing now.
    pub writing_entries: u64,
    /// The number of lines appended to day files, including our own events.
    pub written_entries: u64,
    /// The number of bytes appended to day files.
    pub written_bytes: u64,
    /// The number of lost entries that no caller waited for, by reason. Gaps report the same entries.
    pub lost_entries: BTreeMap<LossReason, u64>,
    /// The number of lost entries that no gap reports yet.
    pub untold_entries: u64,
    /// The number of entries whose caller waited and got the error that they are not durable.
    pub refused_entries: u64,
    /// The number of failed syncs.
    pub failed_syncs: u64,
    /// The number of day files that a prune removed.
    pub pruned_files: u64,
    /// The number of entries in the removed files.
    pub pruned_entries: u64,
    /// The number of bytes in the removed files.
    pub pruned_bytes: u64,
    /// Whether the last batch could not be written.
    pub in_trouble: bool,
    /// The number of entries of each batch.
    pub batch_entries: Histogram,
    /// The time to write each batch, in microseconds.
    pub batch_micros: Histogram,
    /// The time of each sync, in microseconds.
    pub sync_micros: Histogram,
}

/// The distribution of values over ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Histogram {
    /// For each range its upper bound, which is included, and the number of values in the range. A range begins above
    /// the bound of the range before.
    pub buckets: Vec<(u64, u64)>,
    /// The number of values above the last bound.
    pub above: u64,
    /// The sum of all values.
    pub sum: u64,
}

impl Histogram {
    /// Returns the number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum::<u64>() + self.above
    }
}

/// The counters that the writer thread changes. A reader sees a valid value of each counter, but not all counters at
/// the same instant.
#[derive(Debug)]
pub(crate) struct Meters {
    writing_entries: AtomicU64,
    /// Since when the writer thread and the flush have been working, in microseconds; 0 means idle. Indexed by
    /// [`Work`].
    at_work: [AtomicU64; 2],
    written_entries: AtomicU64,
    written_bytes: AtomicU64,
    refused_entries: AtomicU64,
    failed_syncs: AtomicU64,
    untold_entries: AtomicU64,
    pruned_files: AtomicU64,
    pruned_entries: AtomicU64,
    pruned_bytes: AtomicU64,
    /// Indexed by [`LossReason`].
    lost_entries: [AtomicU64; LossReason::ALL.len()],
    batch_entries: Meter,
    batch_micros: Meter,
    sync_micros: Meter,
}

/// The kinds of work that wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The writer thread writes a batch.
    Batch,
    /// A flush syncs day files.
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
            untold_entries: AtomicU64::default(),
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
    /// Counts appended lines.
    pub(crate) fn written(&self, entries: usize, bytes: usize) {
        self.written_entries.fetch_add(entries as u64, Ordering::Relaxed);
        self.written_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts lost entries that no caller waited for.
    pub(crate) fn lost(&self, why: LossReason, entries: u64) {
        self.lost_entries[why as usize].fetch_add(entries, Ordering::Relaxed);
    }

    /// Counts an entry whose waiting caller got an error.
    pub(crate) fn refused(&self) {
        self.refused_entries.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that work begins at this time of the monotonic clock.
    pub(crate) fn begun(&self, work: Work, now: Duration) {
        // 0 means idle.
        self.at_work[work as usize].store(micros(now).max(1), Ordering::Relaxed);
    }

    /// Notes that work has ended.
    pub(crate) fn ended(&self, work: Work) {
        self.at_work[work as usize].store(0, Ordering::Relaxed);
    }

    /// Returns how long the work that began first has been running; zero if there is none.
    pub(crate) fn at_work(&self, now: Duration) -> Duration {
        let since = self.at_work.iter().map(|since| since.load(Ordering::Relaxed)).filter(|since| *since > 0).min();
        since.map_or(Duration::ZERO, |since| now.saturating_sub(Duration::from_micros(since)))
    }

    /// Notes that a batch of this many entries is being written.
    pub(crate) fn batch_begun(&self, entries: usize) {
        self.writing_entries.store(entries as u64, Ordering::Relaxed);
    }

    /// Notes that the batch was handled. `held` of its entries wait for the next batch.
    pub(crate) fn batch_ended(&self, entries: usize, held: usize, took: Duration) {
        self.writing_entries.store(held as u64, Ordering::Relaxed);
        if entries > 0 {
            self.batch_entries.push(entries as u64);
            self.batch_micros.push(micros(took));
        }
    }

    /// Counts a sync of a file, successful or not.
    pub(crate) fn sync(&self, ok: bool, took: Duration) {
        self.failed_syncs.fetch_add(u64::from(!ok), Ordering::Relaxed);
        self.sync_micros.push(micros(took));
    }

    /// Counts a day file that was removed.
    pub(crate) fn pruned(&self, entries: u64, bytes: u64) {
        self.pruned_files.fetch_add(1, Ordering::Relaxed);
        self.pruned_entries.fetch_add(entries, Ordering::Relaxed);
        self.pruned_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Sets the number of losses that no gap reports yet.
    pub(crate) fn untold(&self, entries: u64) {
        self.untold_entries.store(entries, Ordering::Relaxed);
    }

    /// Returns the current values. The counters of the queue are 0; the caller adds them.
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
            untold_entries: number(&self.untold_entries),
            batch_entries: self.batch_entries.read(),
            batch_micros: self.batch_micros.read(),
            sync_micros: self.sync_micros.read(),
            ..Counters::default()
        }
    }
}

/// A histogram that can be filled by several threads.
#[derive(Debug)]
struct Meter {
    bounds: &'static [u64],
    /// One count for each bound, and one for values above the last bound.
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
