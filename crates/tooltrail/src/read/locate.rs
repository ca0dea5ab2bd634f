//! Finds the folders and day files that can contain an answer.

use super::page::Unreadable;
use crate::clock::{Date, Timestamp, Zone};
use crate::day::LATE_MS;
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER, SYSTEM_USER, TRAIL_FOLDER, day_name, day_of, folder_of, user_folders, user_of};
use crate::query::spellings;

/// A user's folder and its day files, newest first.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) days: Vec<Date>,
}

/// One day file, and the range of times by which its lines are ordered.
#[derive(Clone, Debug)]
pub(crate) struct DayFile {
    pub(crate) folder: String,
    pub(crate) day: Date,
    /// The first and last millisecond: the UTC day and the day in the zone together, with [`LATE_MS`] added on both
    /// sides.
    pub(crate) window: (i64, i64),
}

impl DayFile {
    pub(crate) fn new(folder: &str, day: Date, zone: &Zone) -> Self {
        Self { folder: folder.to_owned(), day, window: window(day, zone) }
    }

    /// Calls `call` with the path of the file below the home.
    pub(crate) fn with_path<T>(&self, call: impl FnOnce(&[&str]) -> T) -> T {
        call(&[&self.folder, TRAIL_FOLDER, &day_name(self.day)])
    }
}

/// Returns the first and last millisecond by which lines in the files of a date are ordered.
pub(crate) fn window(day: Date, zone: &Zone) -> (i64, i64) {
    let local = |date: Date| Timestamp::parse(&format!("{date}T00:00:00"), zone).unwrap_or(date.start()).as_millis();
    let (from, to) = (day.start().as_millis(), day.plus_days(1).start().as_millis());
    (from.min(local(day)) - LATE_MS, to.max(local(day.plus_days(1))) + LATE_MS)
}

/// The names of the folders that belong to one user.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    user: String,
    names: Vec<String>,
    /// For an id that contained a secret, only the redacted text is known: the prefix of its folders.
    redacted: Option<String>,
    /// For an id that is too long for a line, only the clipped text is known: the prefix of its folders, and perhaps of
    /// other users' folders.
    cut: Option<String>,
}

impl Owned {
    /// Returns the folders of a user. `exact` leaves out folders whose name does not contain the id, because they could
    /// belong to another user.
    pub(crate) fn by(user: &str, exact: bool) -> Self {
        let mut names = Vec::new();
        // For a search, composed and decomposed letters are the same name. If the id is a permission, it must be exact.
        let spellings = if exact { vec![user.to_owned()] } else { spellings(user) };
        for user in spellings {
            names.push(folder_of(&user));
            // In seed data a folder has the plain id as its name. A name that is the encoding of another user's id
            // belongs to that user.
            if user_of(&user).is_none() || user == SYSTEM_USER {
                names.push(user);
            }
        }
        names.retain(|name| name != OWN_FOLDER && !name.is_empty());
        names.sort();
        names.dedup();
        Self {
            user: user.to_owned(),
            names,
            redacted: (!exact && user.contains('[')).then(|| format!("{}.", folder_of(user))),
            cut: (!exact && user.ends_with(" chars total]")).then(|| cut_prefix(user)).flatten(),
        }
    }

    /// Returns the id of the question, if it is too long for a line.
    pub(crate) fn clipped(&self) -> Option<&str> {
        self.cut.as_ref().map(|_| &*self.user)
    }

    /// Whether a line in this folder with this user belongs to the user.
    pub(crate) fn holds(&self, folder: &str, user: Option<&str>) -> bool {
        self.is_named(folder) || (self.may_be_cut(folder) && user == Some(&*self.user))
    }

    /// Whether a folder may have lines of this user.
    pub(crate) fn may_hold(&self, folder: &str) -> bool {
        self.is_named(folder) || self.may_be_cut(folder)
    }

    fn is_named(&self, folder: &str) -> bool {
        let begins = self.redacted.as_ref().is_some_and(|redacted| folder.starts_with(redacted));
        begins || self.names.iter().any(|name| name == folder)
    }

    fn may_be_cut(&self, folder: &str) -> bool {
        self.cut.as_ref().is_some_and(|cut| folder.starts_with(cut) && is_hashed(folder))
    }
}

/// Returns the names of the folders that may contain this user's lines, or of all folders. They need not exist.
///
/// # Errors
/// [`Error::Io`] if the home itself cannot be listed.
pub(crate) fn followed(home: &Home, owned: Option<&Owned>) -> Result<Vec<String>, Error> {
    let Some(owned) = owned else { return folder_names(home) };
    let mut names = Vec::new();
    if owned.redacted.is_some() || owned.cut.is_some() {
        names = folder_names(home)?;
        names.retain(|name| owned.is_named(name) || owned.may_be_cut(name));
    }
    names.extend(owned.names.iter().cloned());
    names.sort();
    names.dedup();
    Ok(names)
}

/// Returns the dates of a folder's day files, newest first.
pub(crate) fn days(home: &Home, name: &str, unreadable: &mut Unreadable) -> Vec<Date> {
    let listed = home.disk().list(&[name, TRAIL_FOLDER]);
    let files = unreadable.or_none(&[name], listed).unwrap_or_default();
    let mut days = files.iter().filter(|file| !file.folder).filter_map(|file| day_of(&file.name)).collect::<Vec<_>>();
    days.sort_unstable_by(|a, b| b.cmp(a));
    days
}

/// Returns the folders of one user, or of all, that contain day files.
///
/// # Errors
/// As [`followed`].
pub(crate) fn folders(home: &Home, owned: Option<&Owned>, unreadable: &mut Unreadable) -> Result<Vec<Folder>, Error> {
    let mut names = followed(home, owned)?;
    if let Some(owned) = owned {
        names.retain(|name| owned.is_named(name));
    }
    Ok(with_days(home, names, unreadable))
}

/// Returns the folders that may belong to a user whose id is too long for a line, so that only its clipped text is
/// known.
///
/// # Errors
/// As [`folders`].
pub(crate) fn cut_folders(home: &Home, clipped: &str, unreadable: &mut Unreadable) -> Result<Vec<Folder>, Error> {
    let Some(prefix) = cut_prefix(clipped) else { return Ok(Vec::new()) };
    let mut names = folder_names(home)?;
    names.retain(|name| name.starts_with(&prefix) && is_hashed(name));
    Ok(with_days(home, names, unreadable))
}

/// Returns the prefix of the folders of users whose id is too long for a line and has this clipped text.
fn cut_prefix(clipped: &str) -> Option<String> {
    let encoded = folder_of(clipped);
    let (readable, _) = encoded.rsplit_once('.').filter(|_| is_hashed(&encoded))?;
    Some(format!("{readable}."))
}

fn with_days(home: &Home, names: Vec<String>, unreadable: &mut Unreadable) -> Vec<Folder> {
    let folder = |name: String| Folder { days: days(home, &name, unreadable), name };
    names.into_iter().map(folder).filter(|folder| !folder.days.is_empty()).collect()
}

/// Whether a folder's name does not contain its user's id, because it was cut or redacted.
pub(crate) fn is_hashed(folder: &str) -> bool {
    folder.rsplit_once('.').is_some_and(|(_, hash)| {
        matches!(hash.len(), 16 | 64) && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn folder_names(home: &Home) -> Result<Vec<String>, Error> {
    let mut names = user_folders(&**home.disk()).map_err(Error::io("list", home.root()))?;
    names.sort_unstable();
    Ok(names)
}
