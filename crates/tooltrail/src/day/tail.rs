//! The end of a day file: a whole line, a line that another writer is still writing, or a torn tail.

use std::io;
use std::time::Duration;

use crate::day::append::ends_with_newline;
use crate::day::fragment::KEPT_BYTES_MAX;
use crate::disk::{Disk, DiskFile};

/// How long a tail must not grow to count as torn. Until then, another writer may be in the middle of its line.
pub(crate) const STILL: Duration = Duration::from_millis(50);

/// The most waits for a growing tail, [`STILL`] each: one second in total, because other writers must not wait longer.
pub(crate) const LOOKS_MAX: usize = 20;

/// The bytes of the first and of the largest read in the search for the last newline: most lines fit into the first.
const FIRST_BLOCK: usize = 4 * 1024;
const BLOCK: usize = 64 * 1024;

/// Waits until a file ends with a newline or has not grown for [`STILL`], at most a second. Returns its length then,
/// and whether it ends with a newline. The caller holds no lock, so that others can append.
///
/// # Errors
/// Any I/O error of the operating system.
pub(super) fn wait_until_still(disk: &dyn Disk, file: &dyn DiskFile) -> io::Result<(u64, bool)> {
    let mut len = file.stat()?.len;
    for _ in 0..LOOKS_MAX {
        if ends_with_newline(file, len)? {
            return Ok((len, true));
        }
        disk.pause(STILL);
        let now = file.stat()?.len;
        if now == len {
            break;
        }
        len = now;
    }
    Ok((len, ends_with_newline(file, len)?))
}

/// Returns the offset after the last newline below `len`, or 0 if there is none. Returns `None` if that offset is more
/// than `bytes_max` bytes before `len`.
pub(super) fn last_newline(file: &dyn DiskFile, len: u64, bytes_max: u64) -> io::Result<Option<u64>> {
    let mut block = vec![0; usize::try_from(bytes_max).unwrap_or(FIRST_BLOCK).min(FIRST_BLOCK)];
    let mut end = len;
    let least = len.saturating_sub(bytes_max);
    while end > least {
        let start = end.saturating_sub(block.len() as u64).max(least);
        let part = &mut block[..usize::try_from(end - start).unwrap_or(BLOCK)];
        let read = file.read_at(part, start)?;
        if let Some(at) = memchr::memrchr(b'\n', &part[..read]) {
            return Ok(Some(start + at as u64 + 1));
        }
        end = start;
        block.resize(BLOCK, 0);
    }
    Ok((end == 0).then_some(0))
}

/// Returns the start of the last line of a file of this length, or the length itself if that start is more than 16 MiB
/// before it.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn last_line(file: &dyn DiskFile, len: u64) -> io::Result<u64> {
    Ok(last_newline(file, len, KEPT_BYTES_MAX)?.unwrap_or(len))
}

/// Whether only spaces follow the last newline. It looks at the last 64 KiB only.
pub(super) fn is_blank(file: &dyn DiskFile, len: u64) -> io::Result<bool> {
    let start = len.saturating_sub(BLOCK as u64);
    let mut block = vec![0; usize::try_from(len - start).unwrap_or(BLOCK)];
    let read = file.read_at(&mut block, start)?;
    let line = memchr::memrchr(b'\n', &block[..read]).map_or(0, |at| at + 1);
    Ok((line > 0 || start == 0) && block[line..read].iter().all(|byte| *byte == b' '))
}
