//! Reads a day file forwards, with the number, the place and the bytes of each line.

use std::io;

use crate::disk::DiskFile;

/// The bytes of a file that are read at once.
const BLOCK_BYTES: usize = 1024 * 1024;

/// Calls `found` with the number, the offset and the bytes of each whole line.
pub(super) fn each_line_at(
    file: &dyn DiskFile,
    mut found: impl FnMut(u64, u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let (mut buffer, mut read_to, mut number) = (Vec::new(), 0_u64, 0);
    loop {
        let kept = buffer.len();
        buffer.resize(kept + BLOCK_BYTES, 0);
        let read = file.read_at(&mut buffer[kept..], read_to)?;
        buffer.truncate(kept + read);
        if read == 0 {
            return Ok(());
        }
        read_to += read as u64;
        let base = read_to - buffer.len() as u64;
        let mut begin = 0;
        for newline in memchr::memchr_iter(b'\n', &buffer) {
            found(number, base + begin as u64, &buffer[begin..newline])?;
            (begin, number) = (newline + 1, number + 1);
        }
        buffer.drain(..begin);
    }
}
