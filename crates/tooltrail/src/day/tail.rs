//! The end of a day file: whole, still being written by somebody else, or torn.

use std::io;
use std::time::Duration;

use crate::disk::{Disk, DiskFile};

/// How long a tail must not have grown to count as torn: a foreign writer may be in the middle of its line.
const STILL: Duration = Duration::from_millis(50);

/// How often a growing tail is waited for: with [`STILL`] a second in all, then others have waited long enough.
const PATIENCE: usize = 20;

/// Bytes read at once when looking for the last newline.
const BLOCK: usize = 64 * 1024;

/// Bytes of a torn tail that are kept as a fragment: a thousand of the longest lines. More is no line's beginning.
const FRAGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A tail that was no whole line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    /// Where it began in the file.
    pub(crate) offset: u64,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

/// Returns the length of a file and its torn tail, if it has one that nobody is writing.
pub(crate) fn look(disk: &dyn Disk, file: &dyn DiskFile) -> io::Result<(u64, Option<Torn>)> {
    let mut len = file.stat()?.len;
    for _ in 0..PATIENCE {
        let mut last = [b'\n'];
        if len > 0 {
            file.read_at(&mut last, len - 1)?;
        }
        if last == [b'\n'] {
            return Ok((len, None));
        }
        disk.pause(STILL);
        let now = file.stat()?.len;
        if now == len {
            break;
        }
        len = now;
    }
    let offset = last_newline(file, len)?;
    let mut bytes = vec![0; usize::try_from((len - offset).min(FRAGMENT_BYTES_MAX)).unwrap_or(BLOCK)];
    let read = file.read_at(&mut bytes, offset)?;
    bytes.truncate(read);
    Ok((len, Some(Torn { offset, bytes })))
}

/// Returns the offset after the last newline below a length, 0 if there is none.
pub(super) fn last_newline(file: &dyn DiskFile, len: u64) -> io::Result<u64> {
    let mut block = vec![0; BLOCK];
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(BLOCK as u64);
        let part = &mut block[..usize::try_from(end - start).unwrap_or(BLOCK)];
        let read = file.read_at(part, start)?;
        if let Some(at) = memchr::memrchr(b'\n', &part[..read]) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
