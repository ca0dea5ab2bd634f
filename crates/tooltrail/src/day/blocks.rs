//! Reads a day file backwards in blocks, and returns its lines from the last to the first.

use std::io;
use std::sync::Arc;

use crate::disk::{Disk, FileId};

/// The size of the first block in bytes: enough for the newest few lines, because often no more of the file is needed.
const BLOCK_BYTES_FIRST: usize = 8 * 1024;

/// The size of the largest usual block in bytes. Above this size, the cost of a read grows with the number of bytes.
const BLOCK_BYTES: usize = 128 * 1024;

/// The longest line in bytes that is read: a thousand times what we write, and still easy to keep in memory.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The item before the current read position.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LineBefore<'a> {
    /// The offset of a line, and the line without its newline.
    Line(u64, &'a [u8]),
    /// A line of more than 64 MiB.
    TooLong,
    /// Bytes after the last newline.
    Torn,
}

/// A day file, with the length that it had when it was opened.
///
/// The file is opened again for each block, so that any number of files can be read at the same time. If the file was
/// cut in the meantime, the rest of it is read. If it was replaced, reading ends there.
#[derive(Debug)]
pub(crate) struct Blocks {
    disk: Arc<dyn Disk>,
    path: Vec<String>,
    /// The device and inode of the file that was opened first.
    file_id: FileId,
    /// The file offset of the start of the buffer.
    base: u64,
    buffer: Vec<u8>,
    /// The bytes of the buffer that were not returned yet. They end with a newline, except at the start and inside a
    /// long line.
    end: usize,
    /// Whether the last newline of the file was found.
    started: bool,
    /// Whether some of the bytes before `end` were dropped.
    dropped: bool,
    block_bytes: usize,
    bytes_read: u64,
    len: u64,
}

impl Blocks {
    /// Opens a file to read it backwards from its end; `None` if it is missing.
    ///
    /// `from` is an offset to start at instead of the end, and the inode of the file that it belongs to. It is used
    /// only if the inode is the same and a line still ends there.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: &[&str], from: Option<(u64, u64)>) -> io::Result<Option<Self>> {
        let Some(file) = disk.open(path)? else { return Ok(None) };
        let stat = file.stat()?;
        let mut base = stat.len;
        if let Some((end, _)) = from.filter(|(end, inode)| *inode == stat.inode && *end < stat.len) {
            let mut newline = [b'\n'];
            if end > 0 {
                file.read_at(&mut newline, end - 1)?;
            }
            if newline == [b'\n'] {
                base = end;
            }
        }
        Ok(Some(Self {
            disk: Arc::clone(disk),
            path: path.iter().map(|name| (*name).to_owned()).collect(),
            file_id: stat.file_id(),
            base,
            buffer: Vec::new(),
            end: 0,
            started: false,
            dropped: false,
            block_bytes: BLOCK_BYTES_FIRST,
            bytes_read: 0,
            len: stat.len,
        }))
    }

    /// Returns the offset of the end of the next line. At first this is the length of the file or the offset given to
    /// `open`.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.end as u64
    }

    /// Returns the length and inode that the file had when it was opened.
    pub(crate) fn opened(&self) -> (u64, u64) {
        (self.len, self.file_id.inode)
    }

    /// Returns the number of bytes read so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Frees the memory of returned lines. If more than `bytes_max` bytes are left, it frees the next lines too.
    ///
    /// These lines are read again when they are needed. This bounds the memory, because any number of files may be read
    /// at the same time.
    pub(crate) fn shrink(&mut self, bytes_max: usize) {
        if self.started && self.end > bytes_max && !self.dropped {
            self.base += self.end as u64;
            self.end = 0;
        }
        self.buffer.truncate(self.end);
        self.buffer.shrink_to_fit();
    }

    /// Returns the number of bytes of the buffer.
    pub(crate) fn held(&self) -> usize {
        self.buffer.capacity()
    }

    /// Whether the next line is in the buffer, so that no read is needed.
    pub(crate) fn is_buffered(&self) -> bool {
        self.started && self.end > 0 && memchr::memrchr(b'\n', &self.buffer[..self.end - 1]).is_some()
    }

    /// Returns the item before the current position, `None` at the beginning of the file.
    ///
    /// # Errors
    /// Any I/O error of the operating system. After an error, the buffer is not valid any more and nothing more is read.
    pub(crate) fn back(&mut self) -> io::Result<Option<LineBefore<'_>>> {
        // The search has not seen the bytes before this index of the buffer yet.
        let mut unseen = self.end.saturating_sub(usize::from(self.started));
        loop {
            if let Some(newline) = memchr::memrchr(b'\n', &self.buffer[..unseen]) {
                return Ok(Some(self.cut_at(newline + 1)));
            }
            if self.base == 0 {
                return Ok((self.end > 0 || self.dropped).then(|| self.cut_at(0)));
            }
            if !self.started || self.end > LINE_BYTES_MAX {
                // A torn tail or a line that is too long: its bytes are not needed, only the offset where it starts.
                self.dropped |= self.end > 0;
                self.buffer.clear();
                self.end = 0;
            }
            // The bytes that were freed end with the newline of the next line.
            let ends_line = self.started && self.end == 0 && !self.dropped;
            unseen = self.load()?;
            unseen = unseen.saturating_sub(usize::from(ends_line));
        }
    }

    /// Takes the item from an index of the buffer to its end.
    fn cut_at(&mut self, start: usize) -> LineBefore<'_> {
        let (end, dropped) = (self.end, std::mem::take(&mut self.dropped));
        self.end = start;
        if !std::mem::replace(&mut self.started, true) {
            // Without a torn tail, the last newline ends the last line.
            if end > start || dropped {
                return LineBefore::Torn;
            }
            return LineBefore::Line(self.base + start as u64, &[]);
        }
        if dropped || end - start > LINE_BYTES_MAX + 1 {
            return LineBefore::TooLong;
        }
        LineBefore::Line(self.base + start as u64, &self.buffer[start..end.saturating_sub(1)])
    }

    /// Reads the block before the buffer into it; returns its length, or 0 if the file has changed.
    fn load(&mut self) -> io::Result<usize> {
        // For a long line the block grows to the size of the buffer, so that moving the bytes costs no more than
        // reading them.
        let length = self.block_bytes.max(self.end).min(usize::try_from(self.base).unwrap_or(usize::MAX));
        self.block_bytes = (self.block_bytes * 4).min(BLOCK_BYTES);
        let path = self.path.iter().map(String::as_str).collect::<Vec<_>>();
        let at = self.base - length as u64;
        // The bytes that were not returned yet move behind the new block. What else is in the buffer is overwritten.
        if self.buffer.len() < length + self.end {
            self.buffer.resize(length + self.end, 0);
        }
        self.buffer.copy_within(..self.end, length);
        let block = &mut self.buffer;
        let mut whole = false;
        if let Some(file) = self.disk.open(&path)? {
            let stat = file.stat()?;
            let file_id = stat.file_id();
            whole = file_id == self.file_id && file.read_at(&mut block[..length], at)? == length;
            let untouched = self.bytes_read == 0 && file_id != self.file_id;
            if !whole && (untouched || (file_id == self.file_id && stat.len < self.base)) {
                // Continue with the current file: either it was cut (another writer may cut off a torn tail), or it is
                // a new file and nothing of the old one was returned yet.
                (self.file_id, self.len) = (file_id, self.len.min(stat.len));
                (self.base, self.end, self.started, self.dropped) = (stat.len, 0, false, false);
                self.buffer.clear();
                return Ok(0);
            }
        }
        if !whole {
            (self.base, self.end, self.dropped) = (0, 0, false);
            self.buffer.clear();
            return Ok(0);
        }
        self.bytes_read += length as u64;
        (self.base, self.end) = (at, length + self.end);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    fn check(text: &[u8], expected: &[(u64, &[u8])], torn: bool) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("f"), text).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path(), false).unwrap());
        let mut blocks = Blocks::open(&disk, &["f"], None).unwrap().unwrap();
        let (mut lines, mut tail) = (Vec::new(), false);
        while let Some(found) = blocks.back().unwrap() {
            match found {
                LineBefore::Line(_, []) => {}
                LineBefore::Line(at, line) => lines.push((at, line.to_vec())),
                LineBefore::Torn => tail = true,
                LineBefore::TooLong => panic!("no line here is too long"),
            }
            // Freeing the buffer changes nothing.
            blocks.shrink(if lines.len() % 2 == 0 { 0 } else { usize::MAX });
        }
        let expected: Vec<_> = expected.iter().rev().map(|(at, line)| (*at, line.to_vec())).collect();
        assert!(lines == expected && tail == torn, "{:?}", String::from_utf8_lossy(&text[..text.len().min(80)]));
    }

    #[test]
    fn lines_come_from_the_last_to_the_first() {
        check(b"", &[], false);
        check(b"a", &[], true);
        check(b"\n", &[], false);
        check(b"a\n", &[(0, b"a")], false);
        check(b"a\n\nbc\nd", &[(0, b"a"), (3, b"bc")], true);
        let long = [vec![b'x'; 1_000_000], b"\n".to_vec()].concat();
        check(&[b"a\n", &*long, b"b\n"].concat(), &[(0, b"a"), (2, &long[..1_000_000]), (1_000_003, b"b")], false);
        check(&[&*long, &long[..1_000_000]].concat(), &[(0, &long[..1_000_000])], true);
    }

    #[test]
    fn a_line_too_long_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let text = [b"a\n".to_vec(), vec![b'x'; LINE_BYTES_MAX + 1], b"\nb\n".to_vec()].concat();
        std::fs::write(folder.path().join("f"), text).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path(), false).unwrap());
        let mut blocks = Blocks::open(&disk, &["f"], None).unwrap().unwrap();
        assert!(matches!(blocks.back().unwrap(), Some(LineBefore::Line(_, []))));
        assert!(matches!(blocks.back().unwrap(), Some(LineBefore::Line(_, b"b"))));
        assert_eq!(blocks.back().unwrap(), Some(LineBefore::TooLong));
        assert_eq!(blocks.back().unwrap(), Some(LineBefore::Line(0, b"a")));
        assert_eq!(blocks.back().unwrap(), None);
    }

    /// Reads backwards and changes the file after `after` lines; returns the lines.
    fn changed(text: &[u8], after: usize, change: impl FnOnce(&std::path::Path)) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, text).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path(), false).unwrap());
        let mut blocks = Blocks::open(&disk, &["f"], None).unwrap().unwrap();
        let (mut lines, mut change) = (Vec::new(), Some(change));
        loop {
            if lines.len() == after
                && let Some(change) = change.take()
            {
                change(&path);
            }
            match blocks.back().unwrap() {
                None => return lines,
                Some(LineBefore::Line(_, line)) if !line.is_empty() => lines.push(String::from_utf8_lossy(line).into()),
                Some(_) => {}
            }
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_loses_no_line_that_stays() {
        let lines: Vec<_> = (0..10_000).map(|n| format!("line {n:05}")).collect();
        let text = lines.join("\n") + "\n";
        let cut = |len: usize| {
            move |path: &std::path::Path| {
                std::fs::File::options().write(true).open(path).unwrap().set_len(len as u64).unwrap();
            }
        };
        let back = |lines: &[String]| lines.iter().rev().cloned().collect::<Vec<_>>();
        // A torn tail of any length is cut off before the first read.
        let torn = format!("{text}{}", "x".repeat(20_000));
        assert_eq!(changed(torn.as_bytes(), 0, cut(text.len())), back(&lines));
        // A part that was not read yet is cut off too: the rest is read.
        let found = changed(text.as_bytes(), 10, cut(11 * 3_000));
        assert!(found.ends_with(&back(&lines[..3_000])) && found.len() < 5_000);
        // Lines appended in the meantime are not seen; reading ends if the file is removed or emptied.
        let grow = |path: &std::path::Path| {
            let mut file = std::fs::File::options().append(true).open(path).unwrap();
            std::io::Write::write_all(&mut file, b"new\n").unwrap();
        };
        assert_eq!(changed(text.as_bytes(), 10, grow), back(&lines));
        assert!(changed(text.as_bytes(), 10, cut(0)).len() < 1_000);
        assert!(changed(text.as_bytes(), 10, |path| std::fs::remove_file(path).unwrap()).len() < 1_000);
        let replace = |path: &std::path::Path| {
            std::fs::write(path.with_extension("new"), "a\nb\n").unwrap();
            std::fs::rename(path.with_extension("new"), path).unwrap();
        };
        assert_eq!(changed(text.as_bytes(), 0, replace), ["b", "a"]);
        let found = changed(text.as_bytes(), 10, replace);
        assert!(found.len() < 1_000 && found == back(&lines)[..found.len()]);
    }
}
