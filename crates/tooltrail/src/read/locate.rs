//! Which folders and day files can hold an answer.

use std::io;

use crate::clock::{Date, Timestamp, Zone};
use crate::disk::Listed;
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER, SYSTEM_USER, TRAIL_FOLDER, day_name, day_of, folder_of, outside_folder, user_of};

/// How far a line may lie from its place: below an earlier line, or outside its file's day.
///
/// Entries that arrive together are written in the order of their queue, not of their instants; a minute is far more
/// than a queue holds.
pub(crate) const LATE_MS: i64 = 60_000;

/// A user's folder and its day files, newest first.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) days: Vec<Date>,
}

/// One day file and the instants that its lines are ordered by.
#[derive(Clone, Debug)]
pub(crate) struct DayFile {
    pub(crate) folder: String,
    pub(crate) day: Date,
    /// First and last millisecond: of the UTC date and of the zone's, with [`LATE_MS`] on both sides.
    pub(crate) window: (i64, i64),
}

impl DayFile {
    pub(crate) fn new(folder: &str, day: Date, zone: &Zone) -> Self {
        let local =
            |date: Date| Timestamp::parse(&format!("{date}T00:00:00"), zone).unwrap_or(date.start()).as_millis();
        let (from, to) = (day.start().as_millis(), day.plus_days(1).start().as_millis());
        let window = (from.min(local(day)) - LATE_MS, to.max(local(day.plus_days(1))) + LATE_MS);
        Self { folder: folder.to_owned(), day, window }
    }

    /// Calls with the path of the file below the home.
    pub(crate) fn with_path<T>(&self, call: impl FnOnce(&[&str]) -> T) -> T {
        call(&[&self.folder, TRAIL_FOLDER, &day_name(self.day)])
    }
}

/// The folders that are one user's, by their names.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    names: Vec<String>,
    /// An id that held a secret is known by its redacted text alone: how its folders begin.
    prefix: Option<String>,
}

impl Owned {
    pub(crate) fn by(user: &str) -> Self {
        let mut names = vec![folder_of(user), outside_folder(user)];
        // The seed's folders are the bare ids; one that is another user's encoding is that user's.
        if user_of(user).is_none() || user == SYSTEM_USER {
            names.push(user.to_owned());
        }
        names.retain(|name| name != OWN_FOLDER && !name.is_empty());
        names.sort();
        names.dedup();
        Self { names, prefix: user.contains('[').then(|| format!("{}.", folder_of(user))) }
    }

    /// Whether a folder is the user's.
    pub(crate) fn holds(&self, folder: &str) -> bool {
        let begins = self.prefix.as_ref().is_some_and(|prefix| folder.starts_with(prefix));
        begins || self.names.iter().any(|name| name == folder)
    }
}

/// Returns the names of the folders of one user, which need not exist, or of all.
///
/// # Errors
/// [`Error::Io`] where the system does not let us look.
pub(crate) fn names(home: &Home, user: Option<&str>) -> Result<Vec<String>, Error> {
    let Some(user) = user else { return folder_names(home) };
    let owned = Owned::by(user);
    if owned.prefix.is_none() {
        return Ok(owned.names);
    }
    let mut names = folder_names(home)?;
    names.retain(|name| owned.holds(name));
    names.extend(owned.names);
    names.sort();
    names.dedup();
    Ok(names)
}

/// Returns the dates of a folder's day files, newest first.
///
/// # Errors
/// [`Error::Io`] where the system does not let us look.
pub(crate) fn days(home: &Home, name: &str) -> Result<Vec<Date>, Error> {
    let files = quiet(home, home.disk().list(&[name, TRAIL_FOLDER]))?.unwrap_or_default();
    let mut days = files.iter().filter(|file| !file.folder).filter_map(|file| day_of(&file.name)).collect::<Vec<_>>();
    days.sort_unstable_by(|a, b| b.cmp(a));
    Ok(days)
}

/// Returns the folders of one user, or of all, that hold day files.
///
/// # Errors
/// [`Error::Io`] where the system does not let us look.
pub(crate) fn folders(home: &Home, user: Option<&str>) -> Result<Vec<Folder>, Error> {
    let mut found = Vec::new();
    for name in names(home, user)? {
        let days = days(home, &name)?;
        if !days.is_empty() {
            found.push(Folder { name, days });
        }
    }
    Ok(found)
}

/// Whether a folder's name is one that does not hold its user's id: cut, or redacted.
pub(crate) fn is_hashed(folder: &str) -> bool {
    folder.rsplit_once('.').is_some_and(|(_, hash)| {
        matches!(hash.len(), 16 | 64) && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn folder_names(home: &Home) -> Result<Vec<String>, Error> {
    let listed = home.disk().list(&[]).map_err(Error::io("list", home.root()))?;
    let plain = |entry: &Listed| entry.folder && entry.name != OWN_FOLDER;
    let mut names = listed.into_iter().filter(plain).map(|entry| entry.name).collect::<Vec<_>>();
    names.sort_unstable();
    Ok(names)
}

/// Turns "there is no plain file or folder of that name" into `None`: a link, a FIFO or a device is nobody's trail.
pub(crate) fn quiet<T>(home: &Home, result: io::Result<T>) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        // Not being allowed to look, or having no descriptor left, must not pass for an empty trail.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::OutOfMemory)
                || matches!(error.raw_os_error(), Some(5 | 23 | 24)) =>
        {
            Err(Error::io("read", home.root())(error))
        }
        Err(_) => Ok(None),
    }
}
