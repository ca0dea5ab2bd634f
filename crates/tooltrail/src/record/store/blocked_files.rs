//! Day files that can take no line, as something else stands in their place: told of until they can.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::clock::Date;
use crate::disk::Disk;
use crate::home::{TRAIL_FOLDER, day_name};
use crate::record::store::group::Day;

/// Files that are told of one by one; more of them are only counted as lost entries.
const FILES_MAX: usize = 1_024;

/// How often it is looked whether they can take lines again.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Files that were refused, each with the reason.
#[derive(Debug, Default)]
pub(crate) struct BlockedFiles {
    files: BTreeMap<Day, String>,
    look_at: Duration,
}

impl BlockedFiles {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Notes a file; returns whether that is news.
    pub(crate) fn add(&mut self, day: &Day, why: &str, now: Duration) -> bool {
        if self.files.contains_key(day) || self.files.len() >= FILES_MAX {
            return false;
        }
        self.files.insert(day.clone(), why.to_owned());
        self.look_at = now + LOOK_EVERY;
        true
    }

    /// Forgets a file: it has taken lines.
    pub(crate) fn remove(&mut self, day: &Day) {
        self.files.remove(day);
    }

    /// Says what is refused, in words.
    pub(crate) fn why(&self) -> Option<String> {
        let first = self.files.values().next()?;
        Some(match self.files.len() {
            1 => first.clone(),
            more => format!("{more} day files take nothing, of which one: {first}"),
        })
    }

    /// Looks again, where it is time: forgets files that could take lines, and those of days that are over.
    pub(crate) fn look(&mut self, disk: &dyn Disk, now: Duration, today: Date) {
        if self.files.is_empty() || now < self.look_at {
            return;
        }
        self.look_at = now + LOOK_EVERY;
        self.files.retain(|day, _| day.1 >= today && !could_take(disk, day).unwrap_or(false));
    }
}

/// Whether a plain file stands there, with one name, or nothing.
fn could_take(disk: &dyn Disk, (folder, day): &Day) -> io::Result<bool> {
    let Some(file) = disk.open(&[folder, TRAIL_FOLDER, &day_name(*day)])? else { return Ok(true) };
    Ok(file.stat()?.links == 1)
}
