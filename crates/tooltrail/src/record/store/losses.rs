//! The entries that are not in the trail, by reason. If a caller waits for an entry, it gets an error; otherwise the
//! entry is counted until a gap reports it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::counters::Meters;
use crate::record::loss::LossReason;
use crate::record::queue::promise::Promise;
use crate::record::store::group::Waiting;

/// The counts of entries that are not in the trail.
#[derive(Debug)]
pub(crate) struct Losses {
    unreported: BTreeMap<LossReason, u64>,
    since_flush: u64,
    /// Why the last of them is lost, as a message.
    last_why: String,
    meters: Arc<Meters>,
}

impl Losses {
    pub(crate) fn new(meters: Arc<Meters>) -> Self {
        Self { unreported: BTreeMap::new(), since_flush: 0, last_why: String::new(), meters }
    }

    /// Counts entries that never reached the writer thread. The meters do not count them, because the queue already
    /// has.
    pub(crate) fn shed(&mut self, why: LossReason, entries: u64) {
        self.add(why, entries, &format!("shed before they reached the writer: {}", why.as_str()));
    }

    /// Counts lost entries.
    pub(crate) fn count(&mut self, why: LossReason, entries: u64, in_words: &str) {
        self.add(why, entries, in_words);
        self.meters.lost(why, entries);
    }

    fn add(&mut self, why: LossReason, entries: u64, in_words: &str) {
        if entries > 0 {
            *self.unreported.entry(why).or_default() += entries;
            self.since_flush += entries;
            in_words.clone_into(&mut self.last_why);
        }
    }

    /// Reports that a line is not in the trail: to the caller if one waits for it, otherwise in the next gap.
    pub(crate) fn lose(&mut self, waiting: Waiting, reason: LossReason, why: &str) {
        match waiting {
            Waiting::Promise(promise) if !promise.is_unheard() => self.refuse(promise, why),
            Waiting::Promise(_) | Waiting::Nobody => self.count(reason, 1, why),
            // These were counted before, but are not reported yet.
            Waiting::Gap(lost) => {
                for (reason, count) in lost {
                    *self.unreported.entry(reason).or_default() += count;
                }
            }
        }
    }

    /// Reports to the waiting caller that a line is not durable.
    pub(crate) fn refuse(&self, promise: Promise, why: &str) {
        self.meters.refused();
        promise.fail(1, why);
    }

    /// Whether there are no losses to report in a gap.
    pub(crate) fn is_empty(&self) -> bool {
        self.unreported.is_empty()
    }

    /// Returns the number of losses that no gap reports yet.
    pub(crate) fn untold(&self) -> u64 {
        self.unreported.values().sum()
    }

    /// Takes the counts for a gap.
    pub(crate) fn take(&mut self) -> BTreeMap<LossReason, u64> {
        std::mem::take(&mut self.unreported)
    }

    /// Takes the number of losses since the last flush, and why the last of them is lost.
    pub(crate) fn take_since_flush(&mut self) -> (u64, String) {
        (std::mem::take(&mut self.since_flush), std::mem::take(&mut self.last_why))
    }
}
