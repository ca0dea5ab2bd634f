//! Decides which day files a follower checks and when: files that grow in each round, all others in turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use super::locate::{Owned, days, followed};
use super::page::Unreadable;
use crate::changes;
use crate::clock::Date;
use crate::day::TailCursor;
use crate::disk::Stat;
use crate::error::Error;
use crate::grown_files::GrownReader;
use crate::home::Home;

/// How long a file is checked in each round after it grew. Writers pause, and yesterday's file may grow after midnight.
const ACTIVE_FOR: Duration = Duration::from_secs(60);

/// The most growing files of one round; further ones wait for their turn among the others.
const ACTIVE_MAX: usize = 512;

/// In how many rounds everything has its turn at the latest, where a home has very many users: today's files in thirty
/// seconds of five rounds each, folders that are listed for new day files and older files in five minutes.
const ROUNDS_TODAY: usize = 150;
const ROUNDS_REST: usize = 1_500;

/// The fewest files of today, of other days, and folders of one round, so that a small home is looked at wholly in each
/// round, or in a few.
const TODAY_MIN: usize = 128;
const REST_MIN: usize = 32;
const LISTED_MIN: usize = 8;

/// The most new folders of one round that are listed for their day files.
const NEW_FOLDERS_MAX: usize = 64;

/// The folders of the home for which one round more passes between two lists of all folders. A list costs some tenth of
/// a microsecond for each folder.
const FOLDERS_A_ROUND: usize = 200;

/// A day file: the user's folder and the date.
pub(super) type Key = (String, Date);

/// The state of a day file that is followed.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    pub(super) cursor: TailCursor,
    /// Whether the file is missing and this was reported.
    pub(super) missing: bool,
    /// What the system said of the file when all of it had been read.
    pub(super) checked: Option<Stat>,
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
    /// Every known folder.
    folders: BTreeSet<String>,
    /// The folders whose days were not listed yet.
    new_folders: BTreeSet<String>,
    today: Option<Date>,
    today_after: Option<String>,
    listed_after: Option<String>,
    rest_after: Option<Key>,
    /// The rounds until all folders are listed again.
    rounds_to_list: usize,
    /// The files of the list of flushed files that were read.
    seen_notes: BTreeSet<String>,
    /// What the recorder of this process has appended to; `None` before the first round.
    grown: Option<GrownReader>,
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
        self.folders.insert(folder.to_owned());
    }

    /// Begins to note what this process appends. To be called before the ends of the files are looked for.
    pub(super) fn follow(&mut self, home: &Home) {
        self.grown = Some(home.grown().follow());
        // What is listed now was flushed before.
        let _ = changes::read_new(&**home.disk(), &mut self.seen_notes);
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
        if self.rounds_to_list == 0 {
            for name in followed(home, owned)? {
                self.add_folder(&name);
            }
            self.rounds_to_list = self.folders.len() / FOLDERS_A_ROUND;
        } else {
            self.rounds_to_list -= 1;
        }
        let mut keys = self.reported(home, owned, from);
        let watched = &self.watched;
        let lately =
            |key: &Key| watched.get(key).and_then(|file| file.grew_at).is_some_and(|at| now <= at + ACTIVE_FOR);
        self.active.retain(lately);
        keys.extend(self.active.iter().take(ACTIVE_MAX).cloned());
        let today_max = TODAY_MIN.max(self.folders.len().div_ceil(ROUNDS_TODAY));
        let mut rest = Vec::new();
        for folder in turn(|from| self.folders.range::<String, _>(from), &mut self.today_after, today_max) {
            let key = (folder, today);
            if !keys.contains(&key) {
                rest.push(key);
            }
        }
        let rest_max = REST_MIN.max(self.watched.len().div_ceil(ROUNDS_REST));
        for key in turn(|from| self.watched.range(from).map(|(key, _)| key), &mut self.rest_after, rest_max) {
            if key.1 != today && !keys.contains(&key) {
                rest.push(key);
            }
        }
        let mut listed = self.new_folders.iter().take(NEW_FOLDERS_MAX).cloned().collect::<Vec<_>>();
        let listed_max = LISTED_MIN.max(self.folders.len().div_ceil(ROUNDS_REST));
        let old = turn(|from| self.folders.range::<String, _>(from), &mut self.listed_after, listed_max);
        listed.extend(old.into_iter().filter(|folder| !self.new_folders.contains(folder)));
        for folder in listed {
            let dates = days(home, &folder, unreadable);
            let new = dates.into_iter().filter(|day| *day >= from && *day != today).map(|day| (folder.clone(), day));
            rest.extend(new.filter(|key| !self.watched.contains_key(key) && !keys.contains(key)));
            self.new_folders.remove(&folder);
        }
        let keys = keys.into_iter().chain(rest);
        self.due.extend(keys.map(|key| Look { key, upto: None }));
        Ok(())
    }

    fn add_folder(&mut self, folder: &str) {
        if !self.folders.contains(folder) {
            self.folders.insert(folder.to_owned());
            self.new_folders.insert(folder.to_owned());
        }
    }

    /// Returns the files that somebody has reported as grown: the recorder of this process, or a flush of any process.
    fn reported(&mut self, home: &Home, owned: Option<&Owned>, from: Date) -> BTreeSet<Key> {
        let own = self.grown.as_mut().map(GrownReader::read).unwrap_or_default();
        // If the list cannot be read, the files are found in their turn.
        let flushed = changes::read_new(&**home.disk(), &mut self.seen_notes).unwrap_or_default();
        let reported = own
            .into_iter()
            .chain(flushed)
            .filter(|(folder, day)| *day >= from && owned.is_none_or(|owned| owned.may_hold(folder)));
        let reported = reported.collect::<BTreeSet<_>>();
        for (folder, _) in &reported {
            self.add_folder(folder);
        }
        reported
    }
}

/// Returns the next keys of a range in order, at most `most`, and starts again after the last key.
fn turn<'a, K: Clone + 'a, I: Iterator<Item = &'a K>>(
    range: impl FnOnce((Bound<K>, Bound<K>)) -> I,
    after: &mut Option<K>,
    most: usize,
) -> Vec<K> {
    let start = after.take().map_or(Bound::Unbounded, Bound::Excluded);
    let found = range((start, Bound::Unbounded)).take(most).cloned().collect::<Vec<_>>();
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
        let all = (0..10).collect::<BTreeSet<_>>();
        let mut after = None;
        let mut next = |most| turn(|from| all.range(from), &mut after, most);
        assert_eq!(next(4), [0, 1, 2, 3]);
        assert_eq!(next(4), [4, 5, 6, 7]);
        assert_eq!(next(4), [8, 9]);
        assert_eq!(next(4), [0, 1, 2, 3]);
        let none = BTreeSet::<u8>::new();
        assert!(turn(|from| none.range(from), &mut None, 3).is_empty());
    }
}
