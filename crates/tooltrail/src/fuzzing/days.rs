//! Fuzzing of day files: reading backwards and reading forwards give the same lines at the same offsets as splitting
//! the file at its newlines.

use std::sync::Arc;

use super::draw::Draw;
use super::memory::{INODE, Memory};
use crate::day::{Blocks, LineBefore, NextChunk, TailCursor};
use crate::disk::{Disk, DiskFile};

/// The maximum number of times the input bytes are repeated, so that a file has several blocks.
const TIMES_MAX: usize = 64;

/// Maximum bytes of a file: several times the largest block.
const FILE_BYTES_MAX: usize = 300 * 1024;

/// Tests any bytes as a day file. The file grows while it is read forwards.
pub(super) fn day(data: &[u8]) {
    let mut draw = Draw::new(data);
    let (times, at, steps) = (1 + draw.below(TIMES_MAX), draw.number(2), 1 + draw.below(5));
    let mut bytes = draw.rest().repeat(times);
    bytes.truncate(FILE_BYTES_MAX);
    let mut lines = Vec::new();
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', &bytes) {
        lines.push((start as u64, bytes[start..end].to_vec()));
        start = end + 1;
    }
    let torn = start < bytes.len();
    lines.retain(|(_, line)| !line.is_empty());
    comes_backwards(&bytes, &lines, torn, None);
    if !lines.is_empty() {
        // Reading may begin at the end of any line.
        let (from, line) = &lines[usize::try_from(at).unwrap_or(0) % lines.len()];
        let end = from + line.len() as u64 + 1;
        let before = lines.iter().filter(|(position, _)| *position < end).cloned().collect::<Vec<_>>();
        comes_backwards(&bytes, &before, torn && end == bytes.len() as u64, Some(end));
    }
    comes_forwards(&bytes, start, steps);
}

fn comes_backwards(bytes: &[u8], expected: &[(u64, Vec<u8>)], torn: bool, from: Option<u64>) {
    let disk: Arc<dyn Disk> = Arc::new(Memory::new(bytes.to_vec()));
    let mut blocks = Blocks::open(&disk, &["day"], from.map(|end| (end, INODE))).unwrap().unwrap();
    let (mut found, mut tail) = (Vec::new(), false);
    while let Some(next) = blocks.back().unwrap() {
        match next {
            LineBefore::Line(at, line) if !line.is_empty() => found.push((at, line.to_vec())),
            LineBefore::Line(..) => {}
            LineBefore::Torn => {
                assert!(found.is_empty() && !tail, "a torn end in the middle");
                tail = true;
            }
            LineBefore::TooLong => panic!("no line here is too long"),
        }
    }
    found.reverse();
    assert!(found == expected, "{} lines, {} expected, from {from:?}", found.len(), expected.len());
    assert_eq!(tail, torn);
}

/// Reads a file that grows in `steps` steps; checks that everything up to its last newline is read, each byte once.
fn comes_forwards(bytes: &[u8], whole: usize, steps: usize) {
    let file = Memory::default();
    let (mut position, mut found, mut buffer) = (TailCursor::default(), Vec::new(), Vec::new());
    for step in 1..=steps {
        let upto = bytes.len() * step / steps;
        *file.bytes() = bytes[..upto].to_vec();
        let stat = DiskFile::stat(&file).unwrap();
        assert_eq!(position.check(&file, stat).unwrap(), None, "a file that only grew");
        loop {
            match position.ahead(&file, stat.len, &mut buffer).unwrap().0 {
                NextChunk::Lines(from, lines) => {
                    assert_eq!(from, found.len() as u64);
                    found.extend_from_slice(lines);
                }
                NextChunk::Nothing => break,
                NextChunk::TooLong | NextChunk::Skipped => panic!("no line here is too long"),
            }
        }
    }
    assert!(found == bytes[..whole], "{} bytes of {whole}", found.len());
}
