//! Reads a day file forwards, with the number, the place and the bytes of each line.

use std::io;

use crate::disk::DiskFile;

/// The bytes of a file that are read at once.
const BLOCK_BYTES: usize = 1024 * 1024;

/// The begin of a line: how many lines and how many bytes are before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LineStart {
    pub(super) number: u64,
    pub(super) offset: u64,
}

/// Calls `found` with the number, the offset and the bytes of each whole line.
///
/// # Errors
/// Any I/O error of the operating system, and what `found` returns.
pub(super) fn each_line_at(
    file: &dyn DiskFile,
    mut found: impl FnMut(u64, u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    lines_from(file, LineStart::default(), u64::MAX, |at, line| found(at.number, at.offset, line)).map(|_| ())
}

/// Calls `found` with whole lines from a line on, until `bytes_max` bytes or a little more were read. Returns where the
/// next line begins; `None` at the end of the file.
///
/// # Errors
/// Any I/O error of the operating system, and what `found` returns.
pub(super) fn lines_from(
    file: &dyn DiskFile,
    start: LineStart,
    bytes_max: u64,
    mut found: impl FnMut(LineStart, &[u8]) -> io::Result<()>,
) -> io::Result<Option<LineStart>> {
    let (mut buffer, mut next) = (Vec::new(), start);
    loop {
        let kept = buffer.len();
        buffer.resize(kept + BLOCK_BYTES, 0);
        let read = file.read_at(&mut buffer[kept..], next.offset + kept as u64)?;
        buffer.truncate(kept + read);
        if read == 0 {
            return Ok(None);
        }
        let mut begin = 0;
        for newline in memchr::memchr_iter(b'\n', &buffer) {
            let line = &buffer[begin..newline];
            found(next, line)?;
            next = LineStart { number: next.number + 1, offset: next.offset + line.len() as u64 + 1 };
            begin = newline + 1;
        }
        buffer.drain(..begin);
        if next.offset - start.offset >= bytes_max {
            return Ok(Some(next));
        }
    }
}
