//! Finds bytes of a day file that are not entries, keeps a copy of them as fragments, and replaces them with spaces.
//!
//! A day file never shrinks, because another program that does not use our lock may append to it at any moment. The
//! work has two steps: [`Damage::find`] searches, waits and keeps a copy, without a lock; [`Damage::mend`] changes the
//! file under the append lock.

use std::io;

use crate::clock::Date;
use crate::day::append::overwrite;
use crate::day::fragment::{Fragment, FragmentOrigin, KEPT_BYTES_MAX};
use crate::day::scan::{line_start, scan};
use crate::day::tail::{is_blank, last_newline, wait_until_still};
use crate::disk::{Disk, DiskFile, FileId};
use crate::home::{TRAIL_FOLDER, day_name};

/// The most damaged ranges of one file that are replaced at once. A file with more is probably not a day file of ours.
const PLACES_MAX: usize = 1_000;

/// The damage of one day file; a copy of it is in `fragments/`.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    /// The device and inode of the file that was searched.
    file_id: FileId,
    /// The file length at which the torn tail was found.
    torn_at: Option<u64>,
    parts: Vec<Part>,
}

/// Damaged bytes between two newlines, and the fragment that describes them.
#[derive(Debug)]
struct Part {
    offset: u64,
    bytes: Vec<u8>,
    fragment: Fragment,
}

impl Damage {
    /// Searches for a torn tail and, with `durable_len`, for lines at or after that offset that a power cut damaged.
    ///
    /// It waits until the tail has not grown for 50 ms, at most a second. Everything found is copied to `fragments/`
    /// and synced. The caller holds no lock.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn find(disk: &dyn Disk, folder: &str, date: Date, durable_len: Option<u64>) -> io::Result<Self> {
        let Some(file) = disk.open(&[folder, TRAIL_FOLDER, &day_name(date)])? else { return Ok(Self::default()) };
        let (len, is_whole) = wait_until_still(disk, &*file)?;
        let mut damage = Self::in_file(disk, folder, date, &*file, (len, is_whole))?;
        if let Some(durable_len) = durable_len {
            let mut places = Vec::<(u64, u64)>::new();
            let from = line_start(&*file, durable_len, len)?;
            scan(&*file, (from, len), |at, line| {
                if line.is_none_or(is_sound) {
                    return;
                }
                // Adjacent damaged lines count as one range.
                let last = places.last_mut().filter(|(from, to)| *to == at.start && at.end - *from <= KEPT_BYTES_MAX);
                if let Some((_, to)) = last {
                    *to = at.end;
                } else if places.len() < PLACES_MAX {
                    places.push((at.start, at.end));
                }
            })?;
            for (from, to) in places {
                damage.keep(disk, folder, date, &*file, ("damaged lines", from, to - 1))?;
            }
        }
        Ok(damage)
    }

    /// Returns the torn tail of a file whose length is still `len`, after a copy of it was kept. The caller holds no
    /// lock.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn of_tail(disk: &dyn Disk, folder: &str, date: Date, len: u64) -> io::Result<Self> {
        let Some(file) = disk.open(&[folder, TRAIL_FOLDER, &day_name(date)])? else { return Ok(Self::default()) };
        Self::in_file(disk, folder, date, &*file, (len, false))
    }

    fn in_file(
        disk: &dyn Disk,
        folder: &str,
        date: Date,
        file: &dyn DiskFile,
        (len, is_whole): (u64, bool),
    ) -> io::Result<Self> {
        let stat = file.stat()?;
        let mut damage = Self { file_id: stat.file_id(), torn_at: None, parts: Vec::new() };
        if !is_whole {
            damage.torn_at = Some(len);
            if let Some(from) = last_newline(file, len, KEPT_BYTES_MAX)?
                && !is_blank(file, len)?
            {
                damage.keep(disk, folder, date, file, ("torn tail", from, len))?;
            }
        }
        Ok(damage)
    }

    fn keep(
        &mut self,
        disk: &dyn Disk,
        folder: &str,
        date: Date,
        file: &dyn DiskFile,
        (what, from, to): (&str, u64, u64),
    ) -> io::Result<()> {
        let mut bytes = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
        let read = file.read_at(&mut bytes, from)?;
        bytes.truncate(read);
        let fragment = Fragment::of_day(what, folder, date, from, &bytes);
        fragment.keep(disk, &bytes)?;
        self.parts.push(Part { offset: from, bytes, fragment });
        Ok(())
    }

    /// Ends a torn tail with a newline and replaces damaged bytes with spaces; returns the fragments of the replaced
    /// bytes. The caller holds the home's append lock, and syncs the file afterwards.
    ///
    /// The newline is appended first. The tail is replaced only if the newline directly follows the bytes that were
    /// copied; otherwise the other writer was still active. Bytes that differ from the copy stay unchanged, and so do
    /// bytes below `durable_len`.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn mend(
        self,
        disk: &dyn Disk,
        (folder, date): (&str, Date),
        file: &dyn DiskFile,
        durable_len: u64,
    ) -> io::Result<Vec<Fragment>> {
        let stat = file.stat()?;
        let is_same = stat.file_id() == self.file_id;
        let mut newline_at = None;
        if self.torn_at.is_some() && is_same && !ends_whole(file, stat.len)? {
            newline_at = Some(file.append(b"\n")?.start());
        }
        let mut fragments = Vec::new();
        for Part { offset, bytes, fragment } in self.parts {
            let end = offset + bytes.len() as u64;
            let is_tail = self.torn_at == Some(end);
            let may_replace = is_same && (!is_tail || newline_at == Some(end));
            if may_replace && holds(file, offset, &bytes)? {
                let from = offset.max(durable_len);
                if from < end {
                    overwrite(disk, folder, date, self.file_id, (from, end))?;
                }
                fragments.push(fragment);
            } else {
                // It was no damage: its writer has continued, or another process has already repaired it.
                fragment.discard(disk)?;
            }
        }
        Ok(fragments)
    }

    /// Removes the fragments, because the bytes turned out not to be damaged.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn discard(self, disk: &dyn Disk) -> io::Result<()> {
        self.parts.iter().try_for_each(|part| part.fragment.discard(disk))
    }

    /// Whether there is nothing to repair.
    pub(crate) fn is_none(&self) -> bool {
        self.torn_at.is_none() && self.parts.is_empty()
    }
}

/// Replaces bytes with spaces that another process kept as a fragment before it died, without having replaced them. The
/// caller holds the home's append lock.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn finish(disk: &dyn Disk, fragment: &Fragment) -> io::Result<()> {
    let Some(FragmentOrigin { folder, day, offset, bytes }) = fragment.origin(disk)? else { return Ok(()) };
    let path = [&*folder, TRAIL_FOLDER, &day_name(day)];
    let Some(file) = disk.open(&path)? else { return Ok(()) };
    let stat = file.stat()?;
    let end = offset + bytes.len() as u64;
    // A tail without a newline may belong to a writer that is still active.
    if stat.len > end && bytes.iter().any(|byte| *byte != b' ') && holds(&*file, offset, &bytes)? {
        let mut next = [0];
        file.read_at(&mut next, end)?;
        if next == [b'\n'] {
            overwrite(disk, &folder, day, stat.file_id(), (offset, end))?;
            disk.append(&path)?.sync()?;
        }
    }
    Ok(())
}

fn ends_whole(file: &dyn DiskFile, len: u64) -> io::Result<bool> {
    super::append::ends_with_newline(file, len)
}

/// Whether a file contains these bytes at an offset. Some may already be spaces, because the process that replaced them
/// was killed in the middle.
fn holds(file: &dyn DiskFile, offset: u64, bytes: &[u8]) -> io::Result<bool> {
    let mut found = vec![0; bytes.len()];
    let read = file.read_at(&mut found, offset)?;
    Ok(read == bytes.len() && found.iter().zip(bytes).all(|(found, byte)| found == byte || *found == b' '))
}

/// Whether a whole line looks like an entry or is blank, and contains no NUL byte. Lines that a power cut damaged fail
/// this test.
fn is_sound(line: &[u8]) -> bool {
    let is_entry = line.starts_with(b"{") && line.ends_with(b"}\n") && std::str::from_utf8(line).is_ok();
    let is_sound = is_entry || line.iter().all(u8::is_ascii_whitespace);
    is_sound && memchr::memchr(0, line).is_none()
}
