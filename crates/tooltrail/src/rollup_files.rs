//! Where the rollups of day files are: `.tooltrail/rollup/`, a file for each date. What they hold is known in `stats`.

use std::io;
use std::time::Duration;

use crate::clock::Date;
use crate::disk::{Disk, Lock};
use crate::home::OWN_FOLDER;

const FOLDER: &str = "rollup";

/// How long to wait for a process that writes rollups: longer than one of its steps takes.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Calls `call` with the path of the rollups of a date.
pub(crate) fn with_path<T>(date: Date, call: impl FnOnce(&[&str]) -> T) -> T {
    call(&[OWN_FOLDER, FOLDER, &format!("{date}.1")])
}

/// Takes the lock of whoever writes rollups, if nobody holds it.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] if another process holds it.
pub(crate) fn try_lock(disk: &dyn Disk) -> io::Result<Box<dyn Lock>> {
    disk.lock(&[OWN_FOLDER, FOLDER, "lock"], Duration::ZERO)
}

/// Takes the lock of whoever writes rollups, so that none is made from what is about to be erased.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] if another process holds it for 5 s.
pub(crate) fn lock(disk: &dyn Disk) -> io::Result<Box<dyn Lock>> {
    disk.lock(&[OWN_FOLDER, FOLDER, "lock"], LOCK_WAIT)
}

/// Removes the rollups of a date, because its files are about to be changed or removed. A power cut brings them not back.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn remove(disk: &dyn Disk, date: Date) -> io::Result<()> {
    with_path(date, |path| disk.remove(path))?;
    remove_unfinished(disk)?;
    disk.sync_folder(&[OWN_FOLDER, FOLDER])
}

/// Removes what a process has left that was killed while it wrote a rollup: it may hold names that are erased now.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn remove_unfinished(disk: &dyn Disk) -> io::Result<()> {
    for file in disk.list(&[OWN_FOLDER, FOLDER])?.iter().filter(|file| file.name.ends_with(".new")) {
        disk.remove(&[OWN_FOLDER, FOLDER, &file.name])?;
    }
    Ok(())
}

/// Returns the dates that have rollups.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn dates(disk: &dyn Disk) -> io::Result<Vec<Date>> {
    let listed = disk.list(&[OWN_FOLDER, FOLDER])?;
    Ok(listed.iter().filter_map(|file| Date::parse(file.name.strip_suffix(".1")?)).collect())
}
