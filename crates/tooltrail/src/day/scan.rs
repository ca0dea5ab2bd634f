//! A part of a day file read forwards, line by line.

use std::io;

use crate::disk::DiskFile;

/// Bytes read at once when lines are looked for.
pub(super) const BLOCK: usize = 1024 * 1024;

/// Returns the place if a line begins there, else 0: the file is not what it was.
pub(super) fn line_start(file: &dyn DiskFile, at: u64, len: u64) -> io::Result<u64> {
    let mut newline = [0];
    if at == 0 || at > len || file.read_at(&mut newline, at - 1)? != 1 || newline != [b'\n'] {
        return Ok(0);
    }
    Ok(at)
}

/// Hands out the whole lines of a part of a file, each with its newline.
///
/// # Errors
/// What the system says.
pub(super) fn scan(file: &dyn DiskFile, (from, to): (u64, u64), found: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let (mut at, mut buffer) = (from, Vec::new());
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
        let (mut done, mut looked) = (0, kept);
        while let Some(newline) = memchr::memchr(b'\n', &buffer[looked..]) {
            let end = looked + newline + 1;
            found(&buffer[done..end]);
            (done, looked) = (end, end);
        }
        buffer.drain(..done);
    }
    Ok(())
}
