//! Reads a part of a day file forwards, line by line.

use std::io;
use std::ops::Range;

use crate::day::append::ends_with_newline;
use crate::day::fragment::KEPT_BYTES_MAX;
use crate::day::tail::last_newline;
use crate::disk::DiskFile;

/// The bytes of one read.
pub(super) const BLOCK: usize = 1024 * 1024;

/// Returns the offset if a line starts there, otherwise 0, because the file has changed. If the offset is in the middle
/// of a line longer than 16 MiB, it returns the end of that line: that line is not ours, and none of our lines from
/// there on is before its end.
pub(super) fn line_start(file: &dyn DiskFile, at: u64, len: u64) -> io::Result<u64> {
    if at == 0 || at > len {
        return Ok(0);
    }
    if ends_with_newline(file, at)? {
        return Ok(at);
    }
    match last_newline(file, at, KEPT_BYTES_MAX)? {
        None if at > KEPT_BYTES_MAX => line_end(file, at, len),
        _ => Ok(0),
    }
}

/// Returns the offset after the first newline at or after `at`, or the length if there is none.
fn line_end(file: &dyn DiskFile, mut at: u64, len: u64) -> io::Result<u64> {
    let mut block = vec![0; BLOCK];
    while at < len {
        let part = usize::try_from(len - at).unwrap_or(BLOCK).min(BLOCK);
        let read = file.read_at(&mut block[..part], at)?;
        match memchr::memchr(b'\n', &block[..read]) {
            Some(newline) => return Ok(at + newline as u64 + 1),
            None if read == 0 => break,
            None => at += read as u64,
        }
    }
    Ok(len)
}

/// Calls `found` with each whole line of a part of a file: its range and its bytes with the newline. For a line longer
/// than 16 MiB, it passes only the range.
///
/// # Errors
/// Any I/O error of the operating system.
pub(super) fn scan(
    file: &dyn DiskFile,
    (from, to): (u64, u64),
    mut found: impl FnMut(Range<u64>, Option<&[u8]>),
) -> io::Result<()> {
    let (mut at, mut buffer) = (from, Vec::new());
    // The bytes of the current line that were dropped from the buffer, because the line is too long.
    let mut passed = 0;
    while at < to {
        let kept = buffer.len();
        let part = usize::try_from(to - at).unwrap_or(BLOCK).min(BLOCK);
        buffer.resize(kept + part, 0);
        let read = file.read_at(&mut buffer[kept..], at)?;
        buffer.truncate(kept + read);
        if read == 0 {
            break;
        }
        at += read as u64;
        let begin = at - buffer.len() as u64;
        let (mut done, mut looked) = (0, kept);
        while let Some(newline) = memchr::memchr(b'\n', &buffer[looked..]) {
            let end = looked + newline + 1;
            let position = begin + done as u64 - passed..begin + end as u64;
            found(position, (passed == 0).then_some(&buffer[done..end]));
            (done, looked, passed) = (end, end, 0);
        }
        buffer.drain(..done);
        if passed > 0 || buffer.len() as u64 > KEPT_BYTES_MAX {
            passed += buffer.len() as u64;
            buffer.clear();
        }
    }
    Ok(())
}
