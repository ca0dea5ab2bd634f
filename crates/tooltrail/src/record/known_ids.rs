//! Finds entries that were delivered before.
//!
//! A sender that delivers what it has recorded sends an entry again if it did not see the answer. The entry keeps its
//! id, so the id is looked for in the entry's day file. Reading a whole file for each entry would be slow, so the ids of
//! the files that were looked into are remembered, and only what was appended since is read.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Mutex, PoisonError};

use crate::call::EntryId;
use crate::clock::Zone;
use crate::day::Forward;
use crate::disk::{Disk, DiskFile};
use crate::entry::StoredEntry;
use crate::erased_ids::ErasedIds;
use crate::error::Error;
use crate::home::{Home, TRAIL_FOLDER, day_name};
use crate::record::store::group::Day;

/// The most ids that are remembered, about 16 bytes each. With more, the file that was asked for longest ago is
/// forgotten, and the ids of a larger file are read each time.
const IDS_MAX: usize = 1_000_000;

/// The beginning of an id in a line that a recorder has written, and the length of the id.
const ID_MEMBER: &[u8] = b"\"id\":\"";
const ID_BYTES: usize = 36;

/// What is known about an entry that is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// It is new.
    New,
    /// Its day file has an entry with this id, which is returned.
    Before(String),
    /// It was erased.
    Erased,
}

/// The ids of the entries in some day files.
#[derive(Debug, Default)]
pub(crate) struct KnownIds(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    files: HashMap<Day, FileIds>,
    /// Counts the questions, to find the file that was asked for longest ago.
    asked: u64,
    erased: ErasedIds,
}

/// The ids of a file up to a length.
#[derive(Debug, Default)]
struct FileIds {
    inode: u64,
    covered: u64,
    ids: HashSet<u64>,
    asked: u64,
}

impl KnownIds {
    /// Returns what is known about entries of one day file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub(crate) fn find(&self, home: &Home, day: &Day, ids: &[EntryId]) -> Result<Vec<Delivered>, Error> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.find(&**home.disk(), day, ids).map_err(Error::io("read a day file of", home.root()))
    }
}

impl Known {
    fn find(&mut self, disk: &dyn Disk, day: &Day, ids: &[EntryId]) -> io::Result<Vec<Delivered>> {
        self.erased.refresh(disk)?;
        let mut found = HashMap::new();
        if let Some(file) = disk.open(&[&day.0, TRAIL_FOLDER, &day_name(day.1)])? {
            self.refresh(day, &*file)?;
            let of_file = self.files.get(day);
            let may_have = |id: &&EntryId| of_file.is_none_or(|known| known.ids.contains(&short(&id.to_string())));
            let wanted = ids.iter().filter(may_have).map(ToString::to_string).collect::<HashSet<_>>();
            if !wanted.is_empty() {
                found = lines_of(&*file, &wanted)?;
            }
        }
        self.forget();
        let state = |id: &EntryId| match found.get(&id.to_string()) {
            Some(line) => Delivered::Before(line.clone()),
            None if self.erased.hold(*id) => Delivered::Erased,
            None => Delivered::New,
        };
        Ok(ids.iter().map(state).collect())
    }

    /// Reads the ids of what was appended to a file.
    fn refresh(&mut self, day: &Day, file: &dyn DiskFile) -> io::Result<()> {
        self.asked += 1;
        let stat = file.stat()?;
        let known = self.files.entry(day.clone()).or_default();
        if known.inode != stat.inode || stat.len < known.covered {
            *known = FileIds { inode: stat.inode, ..FileIds::default() };
        }
        known.asked = self.asked;
        let mut forward = Forward::new(file, known.covered, stat.len);
        let ids = &mut known.ids;
        while forward.step(|_, line| ids.extend(ids_in(line.unwrap_or_default()).map(short)))? > 0 {}
        known.covered = forward.position();
        Ok(())
    }

    /// Forgets files until few enough ids are remembered.
    fn forget(&mut self) {
        while self.files.values().map(|file| file.ids.len()).sum::<usize>() > IDS_MAX {
            let Some(oldest) = self.files.iter().min_by_key(|(_, file)| file.asked).map(|(day, _)| day.clone()) else {
                return;
            };
            self.files.remove(&oldest);
        }
    }
}

/// Returns each text of a line that may be its id.
fn ids_in(line: &[u8]) -> impl Iterator<Item = &str> {
    memchr::memmem::find_iter(line, ID_MEMBER).filter_map(|at| {
        let begin = at + ID_MEMBER.len();
        std::str::from_utf8(line.get(begin..begin + ID_BYTES)?).ok()
    })
}

/// Returns a number for an id: its last 16 hex digits, which are random.
fn short(id: &str) -> u64 {
    let digits = id.bytes().rev().filter_map(|digit| char::from(digit).to_digit(16)).take(16);
    digits.fold(0, |number, digit| number << 4 | u64::from(digit))
}

/// Returns the lines of the entries with these ids.
fn lines_of(file: &dyn DiskFile, wanted: &HashSet<String>) -> io::Result<HashMap<String, String>> {
    let (mut found, mut forward) = (HashMap::new(), Forward::new(file, 0, file.stat()?.len));
    loop {
        let read = forward.step(|_, line| {
            let line = line.unwrap_or_default();
            if !ids_in(line).any(|id| wanted.contains(id)) {
                return;
            }
            let text = String::from_utf8_lossy(line);
            let id = StoredEntry::parse(&text, &Zone::UTC).ok().and_then(|entry| entry.id).map(|id| id.to_string());
            if let Some(id) = id.filter(|id| wanted.contains(id)) {
                found.entry(id).or_insert_with(|| text.into_owned());
            }
        })?;
        if read == 0 || found.len() == wanted.len() {
            return Ok(found);
        }
    }
}
