//! What the recorder tells whoever seals its day files, and what it hears back. The recorder does not know how a seal is
//! made.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::disk::Lock;
use crate::error::Error;
use crate::record::event::Event;
use crate::record::store::group::Day;

/// Seals day files after they were flushed.
pub(crate) trait Sealing: Send + Sync + fmt::Debug {
    /// Notes which files were flushed, and up to which length.
    fn flushed(&self, files: &[(Day, u64)]);

    /// Seals what is due. It works on a thread of its own and may take as long as the disk needs.
    fn seal(&self, when: SealWhen) -> SealRound;

    /// Returns the lengths up to which files were sealed, of those that are known. Bytes before them are never changed.
    fn sealed_lens(&self, days: &[Day]) -> BTreeMap<Day, u64>;

    /// Records in the log that these files are about to be removed. Nobody seals until the lock is dropped.
    ///
    /// # Errors
    /// Any error that prevents it. The files must stay then.
    fn pruning(&self, files: &[Day], by: &str, why: &str) -> Result<Box<dyn Lock>, Error>;

    /// Returns what was sealed last.
    fn status(&self) -> SealStatus;
}

/// Which lines are due to be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealWhen {
    /// Files with at least eight new lines, or with a line that has waited for ten seconds. Does nothing if another
    /// process is sealing.
    Due,
    /// Everything, because the recorder closes. Waits a while for another process.
    Closing,
}

/// The result of one round.
#[derive(Debug, Default)]
pub(crate) struct SealRound {
    /// What is to be recorded.
    pub(crate) events: Vec<Event>,
    /// When the next round is useful; `None` if nothing waits.
    pub(crate) again: Option<Duration>,
}

/// What is sealed at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealStatus {
    /// Whether this recorder seals at all. It does not if it was opened without a folder of keys.
    pub enabled: bool,
    /// The number of entries of the log at the newest checkpoint that this process has signed or seen.
    pub size: u64,
    /// When this process last found that everything due is sealed.
    pub sealed_at: Option<Timestamp>,
    /// Since when lines wait to be sealed.
    pub waiting_since: Option<Timestamp>,
    /// Why nothing can be sealed, if that is so.
    pub trouble: Option<String>,
}
