//! Overwrites what segments still hold of lines that were erased: each process its own, and anybody those without a
//! process.

use std::io;

use crate::disk::Disk;
use crate::home::OWN_FOLDER;
use crate::journal::segment::{is_unowned, zero_frames};
use crate::journal::slots::{SLOTS_MAX, name, try_lock};

/// The file whose change asks all processes to overwrite their journals.
const REQUEST: [&str; 2] = [OWN_FOLDER, "zero"];

/// Asks all processes at work to overwrite what they do not need of their journals.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn request_zeros(disk: &dyn Disk) -> io::Result<()> {
    let number = requested(disk).unwrap_or(0) + 1;
    disk.replace(&REQUEST, " ".repeat(usize::try_from(number % 1_000).unwrap_or(0)).as_bytes())
}

/// Returns a number that changes with each request; `None` if there was none.
pub(crate) fn requested(disk: &dyn Disk) -> Option<u64> {
    let stat = disk.stat(&REQUEST).ok()??;
    // The inode is that of the newest replacement, and may be used again; the length changes each time.
    Some(stat.len)
}

/// Overwrites the segments that no process uses and that hold no frames.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn zero_unowned(disk: &dyn Disk) -> io::Result<()> {
    let listed = disk.list(&[OWN_FOLDER, "journal"])?;
    for slot in (0..SLOTS_MAX).filter(|slot| listed.iter().any(|file| file.name == name(*slot))) {
        let Some(_lock) = try_lock(disk, slot)? else { continue };
        let file = disk.write(&[OWN_FOLDER, "journal", &name(slot)])?;
        if is_unowned(&*file)? {
            zero_frames(&*file)?;
        }
    }
    Ok(())
}

/// Returns the names of the segments whose bytes `holds` accepts.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn segments_with(disk: &dyn Disk, holds: impl Fn(&[u8]) -> bool) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for listed in disk.list(&[OWN_FOLDER, "journal"])?.iter().filter(|file| file.name.ends_with(".segment")) {
        let Some(file) = disk.open(&[OWN_FOLDER, "journal", &listed.name])? else { continue };
        let mut bytes = vec![0; usize::try_from(file.stat()?.len).map_err(io::Error::other)?];
        let read = file.read_at(&mut bytes, 0)?;
        if holds(&bytes[..read]) {
            found.push(listed.name.clone());
        }
    }
    Ok(found)
}
