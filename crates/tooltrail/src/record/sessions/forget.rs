//! Removes what is noted of the calls of users whose entries were erased.

use std::io;

use crate::disk::Disk;
use crate::home::OWN_FOLDER;
use crate::record::sessions::note::{CLAIMS_FOLDER, Note, OPEN_FOLDER};

/// Removes the files of calls that have begun and whose entries belong to the folders that `is_gone` chooses.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn forget_sessions(disk: &dyn Disk, is_gone: impl Fn(&str) -> bool) -> io::Result<()> {
    for folder in [OPEN_FOLDER, CLAIMS_FOLDER] {
        let mut has_removed = false;
        for listed in disk.list(&[OWN_FOLDER, folder])? {
            let path = [OWN_FOLDER, folder, &*listed.name];
            let note = disk.open(&path)?.map(|file| Note::read(&*file)).transpose()?.flatten();
            if note.is_some_and(|note| is_gone(&note.day.0)) {
                disk.remove(&path)?;
                has_removed = true;
            }
        }
        if has_removed {
            disk.sync_folder(&[OWN_FOLDER, folder])?;
        }
    }
    Ok(())
}
