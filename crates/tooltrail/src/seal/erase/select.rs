//! Finds the lines and files that are to be erased.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::call::EntryId;
use crate::changes::Day;
use crate::clock::{Date, Timestamp, Zone};
use crate::disk::Disk;
use crate::home::{TRAIL_FOLDER, day_name, folder_of, outside_folder, user_folders};
use crate::query::{Filter, Line, Query};
use crate::seal::erase::files::day_files;
use crate::seal::erase::replacement::replacement;
use crate::seal::lines::each_line_at;
use crate::seal::tree::{Hash, leaf_hash};

/// What is to be erased.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EraseWhat {
    /// The entry with this id.
    Entry(EntryId),
    /// All files of a user, or the one of a day.
    User {
        /// The user's id.
        user: String,
        /// The day; `None` for all days, and then the user's name key goes too.
        day: Option<Date>,
    },
    /// The entries that a query matches. Our own events only if it names them.
    Query(Query, String),
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Selected {
    pub(super) lines: BTreeMap<Day, Vec<Chosen>>,
    pub(super) files: BTreeSet<Day>,
    /// The folders of which everything goes.
    pub(super) folders: BTreeSet<String>,
    /// The ids of entries in files that go as a whole.
    pub(super) ids: Vec<String>,
}

/// A line that is to be overwritten.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) number: u64,
    /// Where it begins in the file, and its length without the newline.
    pub(super) offset: u64,
    pub(super) len: usize,
    pub(super) old: Hash,
    pub(super) new: Hash,
    pub(super) id: Option<String>,
    pub(super) has_salt: bool,
}

/// Finds what is to be erased, with the reads of the trail whose queries name it.
pub(super) fn select(disk: &dyn Disk, what: &EraseWhat, now: Timestamp) -> io::Result<Selected> {
    let mut selected = Selected::default();
    let folders = user_folders(disk)?;
    let named = match what {
        EraseWhat::Entry(id) => id.encode(&mut [0; 36]).to_owned(),
        EraseWhat::User { user, .. } => user.clone(),
        EraseWhat::Query(_, text) => text.clone(),
    };
    let gone = match what {
        EraseWhat::User { user, day } => files_of(disk, &folders, user, *day, &mut selected)?,
        _ => BTreeSet::new(),
    };
    let wanted = Wanted::new(what, now);
    for folder in &folders {
        for date in day_files(disk, folder) {
            let day = (folder.clone(), date);
            if gone.contains(&day) {
                continue;
            }
            let may_hold = wanted.may_be_on(date);
            let mut chosen = Vec::new();
            let file = disk.open(&[folder, TRAIL_FOLDER, &day_name(date)])?;
            let Some(file) = file else { continue };
            each_line_at(&*file, |number, offset, line| {
                if (may_hold && wanted.matches(line)) || reads_it(line, &named) {
                    let new = replacement(line);
                    if new != line {
                        chosen.push(Chosen {
                            number,
                            offset,
                            len: line.len(),
                            old: leaf_hash(line),
                            new: leaf_hash(&new),
                            id: id_of(line),
                            has_salt: memchr::memmem::find(line, b"\"salt\":\"").is_some(),
                        });
                    }
                }
                Ok(())
            })?;
            if !chosen.is_empty() {
                selected.lines.insert(day, chosen);
            }
        }
    }
    Ok(selected)
}

/// Chooses the files of a user, and returns them.
fn files_of(
    disk: &dyn Disk,
    folders: &[String],
    user: &str,
    day: Option<Date>,
    selected: &mut Selected,
) -> io::Result<BTreeSet<Day>> {
    let names = folders_of(user);
    for folder in folders.iter().filter(|folder| names.contains(folder)) {
        for date in day_files(disk, folder).into_iter().filter(|date| day.is_none_or(|day| day == *date)) {
            if let Some(file) = disk.open(&[folder, TRAIL_FOLDER, &day_name(date)])? {
                each_line_at(&*file, |_, _, line| {
                    selected.ids.extend(id_of(line));
                    Ok(())
                })?;
            }
            selected.files.insert((folder.clone(), date));
        }
        if day.is_none() {
            selected.folders.insert(folder.clone());
        }
    }
    Ok(selected.files.clone())
}

/// Returns the folders that a user's entries may be in.
pub(super) fn folders_of(user: &str) -> [String; 3] {
    [folder_of(user), outside_folder(user), user.to_owned()]
}

/// Chooses lines by an id or by a query.
pub(super) struct Wanted<'a> {
    what: &'a EraseWhat,
    filter: Option<Filter<'a>>,
    window: (Option<Date>, Option<Date>),
    zone: Zone,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(what: &'a EraseWhat, now: Timestamp) -> Self {
        let query = if let EraseWhat::Query(query, _) = what { Some(query) } else { None };
        let window = query.map_or((None, None), |query| query.window(now));
        Self { what, filter: query.map(|query| Filter::new(query, now)), window, zone: Zone::system() }
    }

    /// Whether a line is chosen by its id or by the query.
    pub(super) fn matches(&self, line: &[u8]) -> bool {
        match (self.what, &self.filter) {
            (EraseWhat::Entry(id), _) => has_id(line, *id),
            (EraseWhat::Query(query, _), Some(filter)) => matches(line, filter, query.names_own_events(), &self.zone),
            _ => false,
        }
    }

    /// Whether a file of this date may have such a line.
    fn may_be_on(&self, date: Date) -> bool {
        let (from, until) = self.window;
        match self.what {
            EraseWhat::Entry(id) => id.time().date() == date,
            // A line may stand a day beside its time, because other programs write local times.
            EraseWhat::Query(..) => {
                from.is_none_or(|from| date >= from.plus_days(-1))
                    && until.is_none_or(|until| date <= until.plus_days(1))
            }
            EraseWhat::User { .. } => false,
        }
    }
}

fn has_id(line: &[u8], id: EntryId) -> bool {
    let id = id.encode(&mut [0; 36]).to_owned();
    memchr::memmem::find(line, id.as_bytes()).is_some() && id_of(line) == Some(id)
}

fn id_of(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?;
    memchr::memmem::find(line.as_bytes(), b"\"id\":\"")?;
    Some(Line::parse(line, &Zone::UTC)?.string("id")?.into_owned())
}

fn matches(line: &[u8], filter: &Filter<'_>, own: bool, zone: &Zone) -> bool {
    let parsed = || Line::parse(std::str::from_utf8(line).ok()?, zone);
    filter.may_match(line)
        && parsed().is_some_and(|line| {
            let is_own = line.string("tool").is_some_and(|tool| tool.starts_with("tooltrail."));
            (own || !is_own) && filter.matches(&line)
        })
}

/// Whether a line records that somebody read the trail with a query that names what is erased.
fn reads_it(line: &[u8], named: &str) -> bool {
    if named.is_empty() || memchr::memmem::find(line, b"\"tool\":\"tooltrail.read\"").is_none() {
        return false;
    }
    let query = || {
        let line = Line::parse(std::str::from_utf8(line).ok()?, &Zone::UTC)?;
        let args = line.members().find(|(name, _)| *name == "args")?.1;
        let members = crate::json::members(args).ok()?;
        let (_, query) = members.into_iter().find(|(name, _)| name == "query")?;
        Some(crate::json::string(query)?.into_owned())
    };
    query().is_some_and(|query| query.contains(named))
}
