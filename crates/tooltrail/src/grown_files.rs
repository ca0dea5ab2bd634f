//! The day files to which this process has appended lately, for followers in the same process.
//!
//! A follower that polls a home of many users sees a new entry only after a while. The recorder of the same process knows
//! at once where it has appended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Date;

/// The most files that are remembered: more than one batch appends to. A follower that is further behind polls.
const FILES_MAX: usize = 8_192;

/// The files in the order in which they grew.
#[derive(Debug, Default)]
pub(crate) struct GrownFiles(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    files: VecDeque<(String, Date)>,
    /// The number of files that were dropped from the front.
    dropped: u64,
    followers: usize,
}

impl GrownFiles {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a file that has grown, if somebody follows.
    pub(crate) fn add(&self, folder: &str, day: Date) {
        let mut inner = self.inner();
        if inner.followers == 0 {
            return;
        }
        if inner.files.len() == FILES_MAX {
            inner.files.pop_front();
            inner.dropped += 1;
        }
        inner.files.push_back((folder.to_owned(), day));
    }

    /// Begins to follow: what grows from now on.
    pub(crate) fn follow(self: &Arc<Self>) -> GrownReader {
        let mut inner = self.inner();
        inner.followers += 1;
        GrownReader { files: Arc::clone(self), position: inner.dropped + inner.files.len() as u64 }
    }
}

/// The position of one follower.
#[derive(Debug)]
pub(crate) struct GrownReader {
    files: Arc<GrownFiles>,
    /// The number of files before it.
    position: u64,
}

impl GrownReader {
    /// Returns the files that have grown since the last call, as far as they are remembered.
    pub(crate) fn read(&mut self) -> Vec<(String, Date)> {
        let inner = self.files.inner();
        let from = usize::try_from(self.position.saturating_sub(inner.dropped)).unwrap_or(usize::MAX);
        self.position = inner.dropped + inner.files.len() as u64;
        inner.files.iter().skip(from).cloned().collect()
    }
}

impl Drop for GrownReader {
    fn drop(&mut self) {
        let mut inner = self.files.inner();
        inner.followers -= 1;
        if inner.followers == 0 {
            inner.dropped += inner.files.len() as u64;
            inner.files.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_follower_gets_what_grew_since() {
        let (grown, day) = (Arc::new(GrownFiles::default()), Date::parse("2026-11-23").unwrap());
        grown.add("nobody follows", day);
        let mut one = grown.follow();
        grown.add("a", day);
        let mut two = grown.follow();
        grown.add("b", day);
        let names = |found: Vec<(String, Date)>| found.into_iter().map(|(folder, _)| folder).collect::<Vec<_>>();
        assert_eq!(names(one.read()), ["a", "b"]);
        assert_eq!(names(two.read()), ["b"]);
        assert!(one.read().is_empty());
        (0..2 * FILES_MAX).for_each(|n| grown.add(&n.to_string(), day));
        assert_eq!(two.read().len(), FILES_MAX);
        drop((one, two));
        grown.add("nobody follows", day);
        assert!(grown.follow().read().is_empty());
    }
}
