//! Which folders and day files can hold an answer.

use std::io;

use crate::clock::{Date, Timestamp, Zone};
use crate::day::LATE_MS;
use crate::disk::{Listed, is_trouble};
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER, TRAIL_FOLDER, day_name, day_of, folder_of, outside_folder, user_of};

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

/// Returns the folders of one user, or of all, that hold day files.
///
/// # Errors
/// [`Error::Io`] where the system does not let us look.
pub(crate) fn folders(home: &Home, user: Option<&str>) -> Result<Vec<Folder>, Error> {
    let names = match user {
        None => folder_names(home)?,
        Some(user) => {
            let mut names = vec![folder_of(user), outside_folder(user)];
            // The seed's folders are the bare ids; one that is another user's encoding is that user's.
            if user_of(user).is_none() {
                names.push(user.to_owned());
            }
            if user == crate::home::SYSTEM_USER {
                names.push(user.to_owned());
            }
            // An id that held a secret is known by its redacted text alone.
            if user.contains('[') {
                let prefix = format!("{}.", folder_of(user));
                names.extend(folder_names(home)?.into_iter().filter(|name| name.starts_with(&prefix)));
            }
            names.retain(|name| name != OWN_FOLDER && !name.is_empty());
            names.sort();
            names.dedup();
            names
        }
    };
    with_days(home, names)
}

/// Returns the folders that may be a user's whose id is too long for a line: its clipped text is all that is known.
///
/// # Errors
/// As [`folders`].
pub(crate) fn cut_folders(home: &Home, clipped: &str) -> Result<Vec<Folder>, Error> {
    let encoded = folder_of(clipped);
    let Some((readable, _)) = encoded.rsplit_once('.').filter(|_| is_hashed(&encoded)) else { return Ok(Vec::new()) };
    let prefix = format!("{readable}.");
    let mut names = folder_names(home)?;
    names.retain(|name| name.starts_with(&prefix) && is_hashed(name));
    with_days(home, names)
}

fn with_days(home: &Home, names: Vec<String>) -> Result<Vec<Folder>, Error> {
    let mut found = Vec::new();
    for name in names {
        let files = quiet(home, home.disk().list(&[&name, TRAIL_FOLDER]))?.unwrap_or_default();
        let mut days =
            files.iter().filter(|file| !file.folder).filter_map(|file| day_of(&file.name)).collect::<Vec<_>>();
        days.sort_unstable_by(|a, b| b.cmp(a));
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
        Err(error) if is_trouble(&error) => Err(Error::io("read", home.root())(error)),
        Err(_) => Ok(None),
    }
}
