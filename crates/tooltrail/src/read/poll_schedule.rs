//! Decides which day files a follower checks and when: files that grow in each round, all others in turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use super::locate::{Owned, days, followed};
use super::page::Unreadable;
use crate::clock::Date;
use crate::day::TailCursor;
use crate::error::Error;
use crate::home::Home;

/// How long a file is checked in each round after it grew. Writers pause, and yesterday's file may grow after midnight.
const ACTIVE_FOR: Duration = Duration::from_secs(60);

/// The most growing files of one round; further ones wait for their turn among the others.
const ACTIVE_MAX: usize = 512;

/// The most files of today in one round. One check takes about ten microseconds, so a round takes some tens of
/// milliseconds.
const TODAY_MAX: usize = 1_024;

/// The most other files of one round. Late lines are rare, and all files of a thousand users' week are checked within
/// half a minute.
const REST_MAX: usize = 128;

/// The most folders of one round that are listed for new day files.
const LISTED_MAX: usize = 64;

/// A day file: the user's folder and the date.
pub(super) type Key = (String, Date);

/// The state of a day file that is followed.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    pub(super) cursor: TailCursor,
    /// Whether the file is missing and this was reported.
    pub(super) missing: bool,
    /// Whether it could not be read when the follower started.
    pub(super) unread: bool,
    /// When it last grew, by the monotonic clock.
    grew_at: Option<Duration>,
}

/// One check of a file, and the length up to which it is read, once known.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) key: Key,
    pub(super) upto: Option<u64>,
}

/// All files that are followed, and the current round.
///
/// Memory is proportional to the day files of the range: about 200 bytes each, and a kilobyte for one that grew.
#[derive(Debug, Default)]
pub(super) struct PollSchedule {
    pub(super) due: VecDeque<Look>,
    watched: BTreeMap<Key, Watched>,
    /// The files that grew recently.
    active: BTreeSet<Key>,
    /// Every known folder, and whether its days were listed.
    folders: BTreeMap<String, bool>,
    today: Option<Date>,
    today_after: Option<String>,
    listed_after: Option<String>,
    rest_after: Option<Key>,
}

impl PollSchedule {
    /// Returns a file's state; a new file is read from its start.
    pub(super) fn file(&mut self, key: &Key) -> &mut Watched {
        self.watched.entry(key.clone()).or_default()
    }

    /// Whether the file is known.
    pub(super) fn knows(&self, key: &Key) -> bool {
        self.watched.contains_key(key)
    }

    /// Records that a folder's days were listed.
    pub(super) fn listed(&mut self, folder: &str) {
        self.folders.insert(folder.to_owned(), true);
    }

    /// Records that a file grew.
    pub(super) fn grew(&mut self, key: &Key, now: Duration) {
        self.file(key).grew_at = Some(now);
        self.active.insert(key.clone());
    }

    /// Starts a round: chooses the files to check next, from a date on.
    ///
    /// # Errors
    /// [`Error::Io`] if the home cannot be listed.
    pub(super) fn begin(
        &mut self,
        home: &Home,
        owned: Option<&Owned>,
        (from, today): (Date, Date),
        now: Duration,
        unreadable: &mut Unreadable,
    ) -> Result<(), Error> {
        if self.today.replace(today).is_some_and(|before| before != today) {
            self.watched.retain(|(_, day), _| *day >= from);
        }
        for name in followed(home, owned)? {
            self.folders.entry(name).or_insert(false);
        }
        let watched = &self.watched;
        let lately =
            |key: &Key| watched.get(key).and_then(|file| file.grew_at).is_some_and(|at| now <= at + ACTIVE_FOR);
        self.active.retain(lately);
        let mut keys = self.active.iter().take(ACTIVE_MAX).cloned().collect::<Vec<_>>();
        let active = keys.len();
        let fresh = |keys: &[Key], key: &Key| keys[..active].binary_search(key).is_err();
        for folder in turn(&self.folders, &mut self.today_after, TODAY_MAX, |_| true) {
            let key = (folder, today);
            if fresh(&keys, &key) {
                keys.push(key);
            }
        }
        for key in turn(&self.watched, &mut self.rest_after, REST_MAX, |_| true) {
            if key.1 != today && fresh(&keys, &key) {
                keys.push(key);
            }
        }
        let mut listed = turn(&self.folders, &mut None, LISTED_MAX, |listed| !listed);
        listed.extend(turn(&self.folders, &mut self.listed_after, LISTED_MAX, |listed| *listed));
        for folder in listed {
            let dates = days(home, &folder, unreadable);
            let new = dates.into_iter().filter(|day| *day >= from && *day != today).map(|day| (folder.clone(), day));
            keys.extend(new.filter(|key| !self.watched.contains_key(key)));
            self.folders.insert(folder, true);
        }
        self.due.extend(keys.into_iter().map(|key| Look { key, upto: None }));
        Ok(())
    }
}

/// Returns the next keys in order, at most `most`, and starts again after the last key.
fn turn<K: Ord + Clone, V>(
    map: &BTreeMap<K, V>,
    after: &mut Option<K>,
    most: usize,
    which: impl Fn(&V) -> bool,
) -> Vec<K> {
    let start = after.take().map_or(Bound::Unbounded, Bound::Excluded);
    let found = map.range((start, Bound::Unbounded)).filter(|(_, value)| which(value)).take(most);
    let found = found.map(|(key, _)| key.clone()).collect::<Vec<_>>();
    if found.len() == most {
        *after = found.last().cloned();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn() {
        let map = (0..10).map(|n| (n, n % 2 == 0)).collect::<BTreeMap<_, _>>();
        let mut after = None;
        let mut next = |most| turn(&map, &mut after, most, |_| true);
        assert_eq!(next(4), [0, 1, 2, 3]);
        assert_eq!(next(4), [4, 5, 6, 7]);
        assert_eq!(next(4), [8, 9]);
        assert_eq!(next(4), [0, 1, 2, 3]);
        assert_eq!(turn(&map, &mut None, 3, |even| *even), [0, 2, 4]);
        assert!(turn(&BTreeMap::<u8, bool>::new(), &mut None, 3, |_| true).is_empty());
    }
}
