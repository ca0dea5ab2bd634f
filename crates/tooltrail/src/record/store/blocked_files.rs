//! Day files that cannot be written, because something else has their name, for example a folder or a link. The health
//! check reports them until they can be written.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::clock::Date;
use crate::disk::Disk;
use crate::home::{TRAIL_FOLDER, day_name};
use crate::record::store::group::Day;

/// The most files that are reported one by one. The entries of further files are only counted as lost.
const FILES_MAX: usize = 1_024;

/// How often the writer thread checks whether the files can be written again.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The blocked files, each with the reason.
#[derive(Debug, Default)]
pub(crate) struct BlockedFiles {
    files: BTreeMap<Day, String>,
    look_at: Duration,
}

impl BlockedFiles {
    /// Whether no file is blocked.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Adds a file. Returns whether it is a new one that must be reported.
    pub(crate) fn add(&mut self, day: &Day, why: &str, now: Duration) -> bool {
        if self.files.contains_key(day) || self.files.len() >= FILES_MAX {
            return false;
        }
        self.files.insert(day.clone(), why.to_owned());
        self.look_at = now + LOOK_EVERY;
        true
    }

    /// Removes a file, because it can be written again.
    pub(crate) fn remove(&mut self, day: &Day) {
        self.files.remove(day);
    }

    /// Returns why a file is blocked; `None` if it is not.
    pub(crate) fn why_of(&self, day: &Day) -> Option<&str> {
        self.files.get(day).map(String::as_str)
    }

    /// Returns a message about the blocked files.
    pub(crate) fn why(&self) -> Option<String> {
        let first = self.files.values().next()?;
        Some(match self.files.len() {
            1 => first.clone(),
            more => format!("{more} day files take nothing, of which one: {first}"),
        })
    }

    /// Checks the files again if [`LOOK_EVERY`] has passed. Removes files that can be written, and files of past days.
    pub(crate) fn look(&mut self, disk: &dyn Disk, now: Duration, today: Date) {
        if self.files.is_empty() || now < self.look_at {
            return;
        }
        self.look_at = now + LOOK_EVERY;
        self.files.retain(|day, _| day.1 >= today && !could_take(disk, day).unwrap_or(false));
    }
}

/// Whether the name is free, or is a regular file with one hard link.
fn could_take(disk: &dyn Disk, (folder, day): &Day) -> io::Result<bool> {
    let Some(file) = disk.open(&[folder, TRAIL_FOLDER, &day_name(*day)])? else { return Ok(true) };
    Ok(file.stat()?.links == 1)
}
