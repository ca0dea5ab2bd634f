//! Marks of day files whose sync has failed. Nobody seals such a file until it was written again, because a later sync
//! may report success although the bytes are lost.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use crate::clock::Date;
use crate::disk::{Disk, Lock};
use crate::home::OWN_FOLDER;
use crate::record::store::group::Day;

const UNSYNCED_FOLDER: &str = "unsynced";

/// Marks a file. The mark's process holds its lock, so that others see whether the process is alive.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn mark(disk: &dyn Disk, day: &Day) -> io::Result<Box<dyn Lock>> {
    disk.lock(&[OWN_FOLDER, UNSYNCED_FOLDER, &name(day)], Duration::ZERO)
}

/// Removes the mark of a file that was written again.
pub(crate) fn clear(disk: &dyn Disk, day: &Day) {
    // If it stays, the file is not sealed until the next recovery of a home removes the mark.
    let _ = disk.remove(&[OWN_FOLDER, UNSYNCED_FOLDER, &name(day)]);
}

/// Removes the marks of dead processes, after a recovery has written their files again.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn clear_dead(disk: &dyn Disk) -> io::Result<()> {
    for listed in disk.list(&[OWN_FOLDER, UNSYNCED_FOLDER])? {
        let path = [OWN_FOLDER, UNSYNCED_FOLDER, &listed.name];
        if let Ok(_lock) = disk.lock(&path, Duration::ZERO) {
            disk.remove(&path)?;
        }
    }
    Ok(())
}

/// Returns the files that are marked.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn marked(disk: &dyn Disk) -> io::Result<BTreeSet<Day>> {
    let listed = disk.list(&[OWN_FOLDER, UNSYNCED_FOLDER])?;
    let day = |name: &str| {
        let (folder, date) = name.rsplit_once('+')?;
        Some((folder.to_owned(), Date::parse(date)?))
    };
    Ok(listed.iter().filter_map(|listed| day(&listed.name)).collect())
}

/// A folder's encoded name has no plus.
fn name((folder, date): &Day) -> String {
    format!("{folder}+{date}")
}
