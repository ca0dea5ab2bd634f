//! The numbered slots of a home's segments: taken by a lock, free when their process ends, however it ends.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use crate::clock::Date;
use crate::disk::{Disk, DiskFile, Lock, is_trouble};
use crate::home::OWN_FOLDER;
use crate::journal::frame::{Kind, SALT_BYTES};
use crate::journal::segment::{Header, Scan, Segment, empty};

/// Slots of a home: a few services and commands at once, two each. Who finds none syncs the day files instead.
pub(crate) const SLOTS_MAX: u32 = 16;

fn name(slot: u32) -> String {
    format!("{slot:02}.segment")
}

/// Takes a slot's lock if nobody has it.
fn try_lock(disk: &dyn Disk, slot: u32) -> io::Result<Option<Box<dyn Lock>>> {
    match disk.lock(&[OWN_FOLDER, "journal", &format!("{slot:02}.lock")], Duration::ZERO) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
        other => other.map(Some),
    }
}

/// Begins a segment of at most so many bytes in the first slot that nobody has and that holds no frames; `None` if there
/// is none.
///
/// A slot that holds frames is looked at without its lock: whoever recovers at this moment would take the lock for the
/// life of the slot's owner, and leave the frames where they are. Slots that may not be opened are passed over.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn begin(disk: &dyn Disk, header: &Header, bytes_max: u64) -> io::Result<Option<Segment>> {
    let is_empty = |slot| match disk.open(&[OWN_FOLDER, "journal", &name(slot)]) {
        Ok(None) => Ok(true),
        // Somebody's frames, or what nobody can read: recovery is to see to it first.
        Ok(Some(file)) => Scan::of(&*file).map(|scan| scan.records.is_empty() && scan.damage.is_empty()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(error),
    };
    for slot in 0..SLOTS_MAX {
        if !is_empty(slot)? {
            continue;
        }
        let lock = match try_lock(disk, slot) {
            Ok(Some(lock)) => lock,
            Ok(None) => continue,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
            Err(error) => return Err(error),
        };
        // Others may have written to it before the lock was taken.
        if is_empty(slot)? {
            return Segment::begin(disk, &name(slot), lock, header.clone(), bytes_max).map(Some);
        }
    }
    Ok(None)
}

/// A segment whose process has ended.
#[derive(Debug)]
pub(crate) struct Orphan {
    pub(crate) slot: u32,
    pub(crate) scan: Scan,
    file: Box<dyn DiskFile>,
    _lock: Box<dyn Lock>,
}

impl Orphan {
    /// Empties it, durably, and gives its slot back.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn free(self, home: &str, salt: [u8; SALT_BYTES]) -> io::Result<()> {
        let none = Header { home: home.to_owned(), boot: String::new(), owner: 0, number: 0, salt };
        empty(&*self.file, &none, salt)
    }
}

/// Returns the day files of which lines stand in a journal, whoever's, and are not known to be flushed.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn waiting(disk: &dyn Disk, home: &str) -> io::Result<BTreeSet<(String, Date)>> {
    let mut days = BTreeSet::new();
    for file in disk.list(&[OWN_FOLDER, "journal"])?.iter().filter(|file| file.name.ends_with(".segment")) {
        let file = match disk.open(&[OWN_FOLDER, "journal", &file.name]) {
            // No file of ours: a FIFO, say.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => continue,
            file => file?,
        };
        let Some(file) = file else { continue };
        let scan = Scan::of(&*file)?;
        // Nobody brings here what was written for another home.
        if scan.header.as_ref().is_some_and(|header| header.home == home) {
            let lines = scan.unflushed(u64::MAX).filter(|record| record.kind == Kind::Line);
            days.extend(lines.map(|record| (record.folder.clone(), record.day)));
        }
    }
    Ok(days)
}

/// Takes all slots that nobody has and that are not empty. Slots that cannot be read are left alone, with why.
pub(crate) fn orphans(disk: &dyn Disk) -> (Vec<Orphan>, Vec<io::Error>) {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    let listed = disk.list(&[OWN_FOLDER, "journal"]).unwrap_or_else(|error| {
        failed.push(error);
        Vec::new()
    });
    for slot in (0..SLOTS_MAX).filter(|slot| listed.iter().any(|file| file.name == name(*slot))) {
        let taken = try_lock(disk, slot).and_then(|lock| {
            let Some(lock) = lock else { return Ok(None) };
            let file = disk.write(&[OWN_FOLDER, "journal", &name(slot)])?;
            Ok(Some(Orphan { slot, scan: Scan::of(&*file)?, file, _lock: lock }))
        });
        match taken {
            Ok(Some(orphan)) if orphan.scan.header.as_ref().is_some_and(|header| header.owner == 0) => {}
            Ok(Some(orphan)) if orphan.scan.header.is_some() || !orphan.scan.damage.is_empty() => found.push(orphan),
            Ok(_) => {}
            Err(error) if !is_trouble(&error) => {}
            Err(error) => failed.push(error),
        }
    }
    (found, failed)
}
