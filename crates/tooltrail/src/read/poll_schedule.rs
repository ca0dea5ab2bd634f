//! Which day files a follower looks at, and when: those that grow each time, all others by and by.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use super::locate::{Owned, days, followed};
use super::page::Unreadable;
use crate::clock::Date;
use crate::day::TailCursor;
use crate::error::Error;
use crate::home::Home;

/// How long a file that grew is looked at in each round: writers pause, and yesterday's file grows after midnight.
const ACTIVE_FOR: Duration = Duration::from_secs(60);

/// Growing files of one round; what is beyond it waits for its turn among the others.
const ACTIVE_MAX: usize = 512;

/// Today's files of one round: a look costs about ten microseconds, so that a round stays in the tens of milliseconds.
const TODAY_MAX: usize = 1_024;

/// Other files of one round: late lines are rare, and a thousand users' week is through in half a minute.
const REST_MAX: usize = 128;

/// Folders of one round that are listed for day files nobody has seen yet.
const LISTED_MAX: usize = 64;

/// A day file: the user's folder and the date.
pub(super) type Key = (String, Date);

/// A day file as it is followed.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    pub(super) cursor: TailCursor,
    /// The file is not there, and that was told.
    pub(super) missing: bool,
    /// It could not be read when the follower began.
    pub(super) unread: bool,
    /// When it grew last, by the monotonic clock.
    grew_at: Option<Duration>,
}

/// One look at a file: up to where it is read, once that is known.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) key: Key,
    pub(super) upto: Option<u64>,
}

/// All files followed and the round under way.
///
/// Memory is proportional to the day files of the range: some 200 bytes each, and a kilobyte for one that grew.
#[derive(Debug, Default)]
pub(super) struct PollSchedule {
    pub(super) due: VecDeque<Look>,
    watched: BTreeMap<Key, Watched>,
    /// The files that grew lately.
    active: BTreeSet<Key>,
    /// Every folder seen, and whether its days were listed yet.
    folders: BTreeMap<String, bool>,
    today: Option<Date>,
    today_after: Option<String>,
    listed_after: Option<String>,
    rest_after: Option<Key>,
}

impl PollSchedule {
    /// Returns a file's state; a file nobody has seen yet is read from its beginning.
    pub(super) fn file(&mut self, key: &Key) -> &mut Watched {
        self.watched.entry(key.clone()).or_default()
    }

    /// Whether the file was seen before.
    pub(super) fn knows(&self, key: &Key) -> bool {
        self.watched.contains_key(key)
    }

    /// Notes that a folder's days are known.
    pub(super) fn listed(&mut self, folder: &str) {
        self.folders.insert(folder.to_owned(), true);
    }

    /// Notes that a file grew.
    pub(super) fn grew(&mut self, key: &Key, now: Duration) {
        self.file(key).grew_at = Some(now);
        self.active.insert(key.clone());
    }

    /// Begins a round: what is looked at next, from a date on.
    ///
    /// # Errors
    /// [`Error::Io`] where the system does not let us look.
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

/// Returns the next keys in turn, at most so many, and begins again after the last.
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
