//! The list of day files that were flushed and are not sealed yet, in `.tooltrail/changed/`.
//!
//! Each flush adds a small file with the files it has synced and their lengths. Whoever seals takes them into account and
//! removes a file when all that it names is sealed; whoever follows the home looks at the files that they name. The list
//! is a hint: if a part of it is lost, the growth of the files is found when all sizes are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::clock::{Date, Timestamp};
use crate::disk::Disk;
use crate::home::OWN_FOLDER;
use crate::random::Random;

const CHANGED_FOLDER: &str = "changed";

/// The most files of the list that are read at once. If there are more, the rest is read next time.
const NOTES_MAX: usize = 4_096;

/// The most bytes of one file of the list: some thousand day files.
const NOTE_BYTES_MAX: usize = 1024 * 1024;

/// A day file, by its user's folder and its date.
pub(crate) type Day = (String, Date);

/// What the list says about a day file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The length up to which the file is durable.
    pub(crate) len: u64,
    /// When the oldest unsealed part of it was flushed, in milliseconds since 1970.
    pub(crate) since_ms: i64,
}

/// The list as it was read.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) days: BTreeMap<Day, Change>,
    /// The files of the list, each with the day files and lengths that it names.
    notes: Vec<(String, Vec<(Day, u64)>)>,
}

/// Adds flushed files to the list.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn note(disk: &dyn Disk, random: &dyn Random, now: Timestamp, files: &[(Day, u64)]) -> io::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let mut bits = [0; 8];
    random.fill(&mut bits);
    let name = format!("{}-{:016x}", now.as_millis(), u64::from_be_bytes(bits));
    let text = files.iter().map(|((folder, date), len)| format!("{folder} {date} {len}\n")).collect::<String>();
    disk.create(&[OWN_FOLDER, CHANGED_FOLDER, &name], text.as_bytes(), false).map(|_| ())
}

/// Returns when the oldest file of the list was made, and how many files it has; `None` if it is empty.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn oldest(disk: &dyn Disk) -> io::Result<Option<(Timestamp, u64)>> {
    let listed = disk.list(&[OWN_FOLDER, CHANGED_FOLDER])?;
    let oldest = listed.iter().map(|listed| made_ms(&listed.name)).min();
    Ok(oldest.map(|ms| (Timestamp::from_millis(ms), listed.len() as u64)))
}

/// Returns when a file of the list was made, in milliseconds since 1970.
fn made_ms(name: &str) -> i64 {
    name.split_once('-').and_then(|(ms, _)| ms.parse().ok()).unwrap_or(0)
}

impl Changes {
    /// Reads the list.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn read(disk: &dyn Disk) -> io::Result<Self> {
        let mut changes = Self::default();
        let mut names = disk.list(&[OWN_FOLDER, CHANGED_FOLDER])?;
        names.sort();
        for listed in names.into_iter().filter(|listed| !listed.folder).take(NOTES_MAX) {
            let since_ms = made_ms(&listed.name);
            let days = read_note(disk, &listed.name)?;
            for (day, len) in &days {
                let change = changes.days.entry(day.clone()).or_insert(Change { len: *len, since_ms });
                change.len = change.len.max(*len);
                change.since_ms = change.since_ms.min(since_ms);
            }
            changes.notes.push((listed.name, days));
        }
        Ok(changes)
    }

    /// Removes the files of the list of which everything is sealed.
    pub(crate) fn remove(&self, disk: &dyn Disk, is_sealed: impl Fn(&Day, u64) -> bool) {
        for (name, days) in &self.notes {
            if days.iter().all(|(day, len)| is_sealed(day, *len)) {
                // If it stays, it is read once more and removed then.
                let _ = disk.remove(&[OWN_FOLDER, CHANGED_FOLDER, name]);
            }
        }
    }
}

/// Reads the files of the list that are not in `seen`, and returns the day files that they name. Afterwards, `seen` holds
/// the names of the files of the list.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn read_new(disk: &dyn Disk, seen: &mut BTreeSet<String>) -> io::Result<Vec<Day>> {
    let listed = disk.list(&[OWN_FOLDER, CHANGED_FOLDER])?.into_iter().filter(|listed| !listed.folder);
    let names = listed.map(|listed| listed.name).take(NOTES_MAX).collect::<BTreeSet<_>>();
    let mut days = Vec::new();
    for name in names.iter().filter(|name| !seen.contains(*name)) {
        days.extend(read_note(disk, name)?.into_iter().map(|(day, _)| day));
    }
    *seen = names;
    Ok(days)
}

fn read_note(disk: &dyn Disk, name: &str) -> io::Result<Vec<(Day, u64)>> {
    let Some(file) = disk.open(&[OWN_FOLDER, CHANGED_FOLDER, name])? else { return Ok(Vec::new()) };
    let len = usize::try_from(file.stat()?.len).unwrap_or(NOTE_BYTES_MAX).min(NOTE_BYTES_MAX);
    let mut bytes = vec![0; len];
    let read = file.read_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes[..read]).lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<(Day, u64)> {
    let mut fields = line.split(' ');
    let day = (fields.next()?.to_owned(), Date::parse(fields.next()?)?);
    Some((day, fields.next()?.parse().ok()?))
}
