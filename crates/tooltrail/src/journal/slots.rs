//! The numbered slots of a home for segments. A process takes a slot by locking it; the lock is released when the
//! process ends, also after a crash.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use crate::clock::Date;
use crate::disk::{Disk, DiskFile, Lock, is_trouble};
use crate::home::OWN_FOLDER;
use crate::journal::frame::{Kind, SALT_BYTES};
use crate::journal::segment::{Header, Scan, Segment, empty, is_unowned};

/// The slots of a home: enough for 128 proxies that record at the same time, two slots each. A writer uses a second slot
/// only while the first is full, and an idle writer gives its slot back. A process that finds no free slot syncs the day
/// files instead.
pub(crate) const SLOTS_MAX: u32 = 256;

pub(super) fn name(slot: u32) -> String {
    format!("{slot:02}.segment")
}

/// Takes the lock of a slot; `None` if another process holds it.
pub(super) fn try_lock(disk: &dyn Disk, slot: u32) -> io::Result<Option<Box<dyn Lock>>> {
    match disk.lock(&[OWN_FOLDER, "journal", &format!("{slot:02}.lock")], Duration::ZERO) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
        other => other.map(Some),
    }
}

/// Starts a segment of at most `bytes_max` bytes in the first slot that is not locked and holds no frames; `None` if
/// there is no such slot.
///
/// It checks for frames before it takes the lock. If it locked a slot with frames, a recovery at this moment would
/// assume that the slot's owner is alive, and would leave the frames there. Skips slots that the process has no
/// permission to open.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn begin(disk: &dyn Disk, header: &Header, bytes_max: u64) -> io::Result<Option<Segment>> {
    let is_empty = |slot| match disk.open(&[OWN_FOLDER, "journal", &name(slot)]) {
        Ok(None) => Ok(true),
        // Not empty: the segment has an owner, or unreadable bytes, which recovery must handle first.
        Ok(Some(file)) => is_unowned(&*file),
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
        // Check again, because another process may have written to the slot before the lock was taken.
        if is_empty(slot)? {
            return Segment::begin(disk, &name(slot), lock, header.clone(), bytes_max).map(Some);
        }
    }
    Ok(None)
}

/// A segment whose process has ended. Its slot is locked.
#[derive(Debug)]
pub(crate) struct Orphan {
    pub(crate) slot: u32,
    pub(crate) scan: Scan,
    file: Box<dyn DiskFile>,
    _lock: Box<dyn Lock>,
}

impl Orphan {
    /// Empties the segment, syncs it and releases its slot.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn free(self, home: &str, salt: [u8; SALT_BYTES]) -> io::Result<()> {
        let none = Header { home: home.to_owned(), boot: String::new(), owner: 0, number: 0, salt };
        empty(&*self.file, &none, salt)
    }
}

/// Returns the day files that have lines in the journal of any writer which are not known to be durable in the day
/// file.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn waiting(disk: &dyn Disk, home: &str) -> io::Result<BTreeSet<(String, Date)>> {
    let mut days = BTreeSet::new();
    for file in disk.list(&[OWN_FOLDER, "journal"])?.iter().filter(|file| file.name.ends_with(".segment")) {
        let file = match disk.open(&[OWN_FOLDER, "journal", &file.name]) {
            // Not a file of ours, for example a FIFO.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => continue,
            file => file?,
        };
        let Some(file) = file else { continue };
        let scan = Scan::of(&*file)?;
        // Skip segments of another home, because recovery does not bring their lines into this home.
        if scan.header.as_ref().is_some_and(|header| header.home == home) {
            let lines = scan.unflushed(u64::MAX).filter(|record| record.kind == Kind::Line);
            days.extend(lines.map(|record| (record.folder.clone(), record.day)));
        }
    }
    Ok(days)
}

/// Locks and returns all slots that no process holds and that are not empty. Slots that cannot be read are skipped, and
/// their errors are returned.
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
