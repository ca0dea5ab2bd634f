//! Removes what is noted of calls of sessions whose entries were erased.

use std::io;

use crate::disk::Disk;
use crate::home::OWN_FOLDER;
use crate::record::sessions::note::{CLAIMS_FOLDER, ENDED_FOLDER, Note, OPEN_FOLDER};
use crate::record::store::group::Day;

/// Removes the notes of the calls that `is_gone` chooses by their day file and their line. Returns how many of these calls
/// were not recorded yet.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn forget_sessions(disk: &dyn Disk, is_gone: impl Fn(&Day, &[u8]) -> bool) -> io::Result<u64> {
    let mut removed = 0;
    for folder in [OPEN_FOLDER, CLAIMS_FOLDER] {
        let before = removed;
        for listed in disk.list(&[OWN_FOLDER, folder])? {
            let path = [OWN_FOLDER, folder, &*listed.name];
            if read(disk, &path)?.is_some_and(|note| is_gone(&note.day, &note.line)) {
                disk.remove(&path)?;
                removed += 1;
            }
        }
        if removed > before {
            disk.sync_folder(&[OWN_FOLDER, folder])?;
        }
    }
    for day in disk.list(&[OWN_FOLDER, ENDED_FOLDER])?.into_iter().filter(|day| day.folder) {
        for listed in disk.list(&[OWN_FOLDER, ENDED_FOLDER, &day.name])? {
            let path = [OWN_FOLDER, ENDED_FOLDER, &*day.name, &*listed.name];
            if read(disk, &path)?.is_some_and(|note| is_gone(&note.day, &note.line)) {
                // The file itself stays, because it says that the call was recorded.
                disk.replace(&path, b"")?;
            }
        }
    }
    Ok(removed)
}

fn read(disk: &dyn Disk, path: &[&str]) -> io::Result<Option<Note>> {
    disk.open(path)?.map_or(Ok(None), |file| Note::read(&*file))
}
