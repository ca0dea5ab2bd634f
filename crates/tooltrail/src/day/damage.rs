//! Bytes of a day file that are no entries: found and kept as fragments, then replaced with spaces.
//!
//! A day file never shrinks, since a foreign writer without our lock may append to it at any moment. It takes two steps:
//! [`Damage::find`] looks, waits and keeps, with no lock held; [`Damage::mend`] changes the file under the append lock.

use std::io;

use crate::clock::Date;
use crate::day::append::overwrite;
use crate::day::fragment::{Fragment, FragmentOrigin, KEPT_BYTES_MAX};
use crate::day::scan::{line_start, scan};
use crate::day::tail::{is_blank, last_newline, wait_until_still};
use crate::disk::{Disk, DiskFile};
use crate::home::{TRAIL_FOLDER, day_name};

/// Damaged places of one file that are replaced at once: more is somebody else's file.
const PLACES_MAX: usize = 1_000;

/// The damage of one day file, kept in `fragments/`.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    /// Device and inode of the file that was looked at.
    file_id: (u64, u64),
    /// The length at which a tail was found torn.
    torn_at: Option<u64>,
    parts: Vec<Part>,
}

/// Damaged bytes between two newlines, and their fragment.
#[derive(Debug)]
struct Part {
    offset: u64,
    bytes: Vec<u8>,
    fragment: Fragment,
}

impl Damage {
    /// Looks for a torn tail, which is waited for until it has not grown for 50 ms, and with `durable_len` for lines at or
    /// after that length that a power cut damaged. All that is found is kept, durably. The caller holds no lock.
    ///
    /// # Errors
    /// What the system says.
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
                // Damaged lines one after another are one damage.
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

    /// Returns the torn tail of an open file that did not grow meanwhile, kept. The caller holds no lock.
    ///
    /// # Errors
    /// What the system says.
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
        let mut damage = Self { file_id: (stat.device, stat.inode), torn_at: None, parts: Vec::new() };
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

    /// Ends a torn tail with a newline and replaces damaged bytes with spaces; returns the fragments of what was
    /// replaced. The caller holds the home's append lock, and syncs the file afterwards.
    ///
    /// The newline comes first. Only if it landed at the length that was looked at is the tail replaced: else its
    /// writer was still at work. Bytes that are not what was kept, and bytes below `durable_len`, stay as they are.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn mend(
        self,
        disk: &dyn Disk,
        (folder, date): (&str, Date),
        file: &dyn DiskFile,
        durable_len: u64,
    ) -> io::Result<Vec<Fragment>> {
        let stat = file.stat()?;
        let is_same = (stat.device, stat.inode) == self.file_id;
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
                // It was no damage: its writer has gone on, or somebody else has mended it.
                fragment.discard(disk)?;
            }
        }
        Ok(fragments)
    }

    /// Forgets it: it turned out to be none.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn discard(self, disk: &dyn Disk) -> io::Result<()> {
        self.parts.iter().try_for_each(|part| part.fragment.discard(disk))
    }

    /// Whether there is nothing to mend.
    pub(crate) fn is_none(&self) -> bool {
        self.torn_at.is_none() && self.parts.is_empty()
    }
}

/// Replaces with spaces what was kept as a fragment by a process that died before it had replaced it. The caller holds
/// the home's append lock.
///
/// # Errors
/// What the system says.
pub(crate) fn finish(disk: &dyn Disk, fragment: &Fragment) -> io::Result<()> {
    let Some(FragmentOrigin { folder, day, offset, bytes }) = fragment.origin(disk)? else { return Ok(()) };
    let path = [&*folder, TRAIL_FOLDER, &day_name(day)];
    let Some(file) = disk.open(&path)? else { return Ok(()) };
    let stat = file.stat()?;
    let end = offset + bytes.len() as u64;
    // A tail that has no newline yet may still be somebody's.
    if stat.len > end && bytes.iter().any(|byte| *byte != b' ') && holds(&*file, offset, &bytes)? {
        let mut next = [0];
        file.read_at(&mut next, end)?;
        if next == [b'\n'] {
            overwrite(disk, &folder, day, (stat.device, stat.inode), (offset, end))?;
            disk.append(&path)?.sync()?;
        }
    }
    Ok(())
}

fn ends_whole(file: &dyn DiskFile, len: u64) -> io::Result<bool> {
    super::append::ends_with_newline(file, len)
}

/// Whether a file holds these bytes at an offset. Some of them may be spaces already: whoever replaced them was killed.
fn holds(file: &dyn DiskFile, offset: u64, bytes: &[u8]) -> io::Result<bool> {
    let mut found = vec![0; bytes.len()];
    let read = file.read_at(&mut found, offset)?;
    Ok(read == bytes.len() && found.iter().zip(bytes).all(|(found, byte)| found == byte || *found == b' '))
}

/// Whether a whole line looks like an entry, or is blank, and holds no NUL byte: what a power cut leaves does not.
fn is_sound(line: &[u8]) -> bool {
    let is_entry = line.starts_with(b"{") && line.ends_with(b"}\n") && std::str::from_utf8(line).is_ok();
    let is_sound = is_entry || line.iter().all(u8::is_ascii_whitespace);
    is_sound && memchr::memchr(0, line).is_none()
}
