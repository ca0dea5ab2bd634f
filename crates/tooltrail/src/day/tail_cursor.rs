//! Reads a day file forwards while it grows. It returns each whole line once, also if the file is cut or replaced.

use std::io;

use crate::day::line_hashes::{Ends, LineHash};
use crate::day::tail::last_newline;
use crate::disk::{DiskFile, FileId, Stat};

/// The bytes of one read: hundreds of usual lines, and twice the longest line that we write.
const CHUNK_BYTES: usize = 128 * 1024;

/// The longest line in bytes that is read; the same limit as for reading backwards.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The bytes before the current offset that each read checks again. They include the salt of a line of ours.
const TAIL_BYTES: usize = 128;

/// The bytes at the start of a file by which its content is recognized. They include the first line's time, user and
/// tool.
const HEAD_BYTES: usize = 256;

/// The bytes at the end of a file in which its last lines are searched first.
const END_BYTES: u64 = 4 * 1024;

/// How a file changed other than by growing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is shorter than the part that was already read.
    Cut,
    /// Another file has its name, or its content is different.
    Replaced,
}

/// The data at the current offset.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextChunk<'a> {
    /// Whole lines with their newlines, and the offset of the first one.
    Lines(u64, &'a [u8]),
    /// A line of more than 64 MiB, which was skipped.
    TooLong,
    /// A part of such a line, which was skipped.
    Skipped,
    /// No complete line.
    Nothing,
}

/// A read position in a day file: every line before it was returned, and no line after it.
///
/// The content already read is recognized by a few hashes. The cursor does not keep the file open; the caller opens it
/// each time.
#[derive(Clone, Debug, Default)]
pub(crate) struct TailCursor {
    /// The device and inode of the file, once known.
    file_id: Option<FileId>,
    offset: u64,
    /// The hash of the bytes just before the offset.
    tail: LineHash,
    /// The hash of the first bytes of the file.
    head: LineHash,
    /// The ends of the last lines before the offset.
    ends: Ends,
    /// Whether the offset is inside a line that is too long; everything up to the next newline is skipped.
    skipping: bool,
    /// The length up to which no newline was found after a whole chunk without one. That part is not searched again
    /// until the file has grown.
    searched: u64,
}

impl TailCursor {
    /// Returns the cursor after the last whole line of a file.
    pub(crate) fn at_end(file: &dyn DiskFile, stat: Stat) -> io::Result<Self> {
        let mut cursor = Self { file_id: Some(stat.file_id()), ..Self::default() };
        cursor.go_to_end(file, stat.len)?;
        Ok(cursor)
    }

    /// Whether anything was read or skipped.
    pub(crate) fn has_begun(&self) -> bool {
        self.offset > 0
    }

    /// Whether a file of this length may contain more lines.
    pub(crate) fn is_below(&self, len: u64) -> bool {
        self.offset < len
    }

    /// Checks that the file is still the one that was read. If not, it moves the cursor to the matching position.
    ///
    /// If one of the last returned lines is still in its place, the cursor goes to its end, and no line is repeated or
    /// missed. If only the start of the file is the same, the file was cut deep, and the cursor goes to its end: lines
    /// that were appended between the cut and this check are missed. If neither matches, everything in the file is new.
    pub(crate) fn check(&mut self, file: &dyn DiskFile, stat: Stat) -> io::Result<Option<Broken>> {
        let file_id = stat.file_id();
        if !self.has_begun() {
            self.file_id = Some(file_id);
            return Ok(None);
        }
        let same = self.file_id == Some(file_id);
        let before = self.offset - self.tail.length() as u64;
        if same && stat.len >= self.offset && self.tail.stands(file, before)? {
            return Ok(None);
        }
        self.file_id = Some(file_id);
        let broken = if same && stat.len < self.offset { Broken::Cut } else { Broken::Replaced };
        self.find_position(file, stat.len)?;
        Ok(Some(broken))
    }

    /// Reads the data at the current offset, below `upto`, and moves the cursor behind it. Returns the data and the
    /// number of bytes read.
    pub(crate) fn ahead<'a>(
        &mut self,
        file: &dyn DiskFile,
        upto: u64,
        buffer: &'a mut Vec<u8>,
    ) -> io::Result<(NextChunk<'a>, u64)> {
        let room = upto.saturating_sub(self.offset);
        if room == 0 || (self.searched == upto && room > CHUNK_BYTES as u64) {
            return Ok((NextChunk::Nothing, 0));
        }
        let wanted = usize::try_from(room).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let before = self.tail.length();
        buffer.resize(before + wanted, 0);
        let read = file.read_at(buffer, self.offset - before as u64)?;
        buffer.truncate(read);
        if read < before || !self.tail.fits(&buffer[..before]) {
            // The file changed after the check; the next check corrects the position.
            return Ok((NextChunk::Nothing, read as u64));
        }
        if let Some(newline) = memchr::memrchr(b'\n', &buffer[before..]) {
            buffer.truncate(before + newline + 1);
            return Ok((self.pass(buffer, before), read as u64));
        }
        if read - before < CHUNK_BYTES {
            return Ok((NextChunk::Nothing, read as u64));
        }
        if self.skipping {
            self.offset += (read - before) as u64;
            self.tail = LineHash::of(&buffer[read - TAIL_BYTES.min(read)..]);
            return Ok((NextChunk::Skipped, read as u64));
        }
        self.long_line(file, upto, buffer)
    }

    /// Moves the cursor behind the lines at the end of the buffer.
    fn pass<'a>(&mut self, buffer: &'a [u8], before: usize) -> NextChunk<'a> {
        let (mut lines, mut from) = (&buffer[before..], self.offset);
        if std::mem::take(&mut self.skipping) {
            let junk = memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
            (lines, from) = (&lines[junk..], from + junk as u64);
        }
        self.offset += (buffer.len() - before) as u64;
        self.searched = 0;
        self.tail = LineHash::of(&buffer[buffer.len() - TAIL_BYTES.min(buffer.len())..]);
        if from == 0 {
            self.head = LineHash::of(&lines[..HEAD_BYTES.min(lines.len())]);
        }
        self.ends.remember(lines, from);
        if lines.is_empty() { NextChunk::Skipped } else { NextChunk::Lines(from, lines) }
    }

    /// Reads a line that is longer than a chunk. Skips a line that is too long, and returns nothing for one that has no
    /// newline yet.
    fn long_line<'a>(
        &mut self,
        file: &dyn DiskFile,
        upto: u64,
        buffer: &'a mut Vec<u8>,
    ) -> io::Result<(NextChunk<'a>, u64)> {
        let stop = upto.min(self.offset + LINE_BYTES_MAX);
        let mut at = self.offset + CHUNK_BYTES as u64;
        let mut end = None;
        while at < stop && end.is_none() {
            buffer.resize(CHUNK_BYTES.min(usize::try_from(stop - at).unwrap_or(CHUNK_BYTES)), 0);
            let read = file.read_at(buffer, at)?;
            end = memchr::memchr(b'\n', &buffer[..read]).map(|newline| at + newline as u64 + 1);
            at += read as u64;
            if read == 0 {
                break;
            }
        }
        let looked_at = at - self.offset;
        let Some(end) = end else {
            self.searched = upto;
            if stop == upto {
                return Ok((NextChunk::Nothing, looked_at));
            }
            (self.skipping, self.searched) = (true, 0);
            self.offset = stop;
            let mut tail = vec![0; TAIL_BYTES];
            let read = file.read_at(&mut tail, stop - TAIL_BYTES as u64)?;
            self.tail = LineHash::of(&tail[..read]);
            return Ok((NextChunk::TooLong, looked_at));
        };
        let length = usize::try_from(end - self.offset).map_err(io::Error::other)?;
        buffer.resize(length, 0);
        let read = file.read_at(buffer, self.offset)?;
        // If another process cuts and writes the file right now, the next check notices it.
        let whole = read == length && memchr::memchr(b'\n', buffer) == Some(length - 1);
        let ahead = if whole { self.pass(buffer, 0) } else { NextChunk::Nothing };
        Ok((ahead, looked_at + read as u64))
    }

    /// Finds the position in content that has changed.
    fn find_position(&mut self, file: &dyn DiskFile, len: u64) -> io::Result<()> {
        (self.skipping, self.searched) = (false, 0);
        if let Some(end) = self.ends.newest_standing(file, len)? {
            return self.go_to(file, end);
        }
        let known = self.head.length() > 0 && self.head.stands(file, 0)?;
        if known {
            return self.go_to_end(file, len);
        }
        *self = Self { file_id: self.file_id, ..Self::default() };
        Ok(())
    }

    /// Moves the cursor behind the last newline of a file.
    fn go_to_end(&mut self, file: &dyn DiskFile, len: u64) -> io::Result<()> {
        self.ends.clear();
        let start = len.saturating_sub(END_BYTES);
        let mut end = vec![0; usize::try_from(len - start).unwrap_or_default()];
        let read = file.read_at(&mut end, start)?;
        let offset = match memchr::memrchr(b'\n', &end[..read]) {
            Some(newline) => {
                let lines = &end[..=newline];
                // The bytes before the first newline may be the rest of a line.
                let whole = if start == 0 { 0 } else { memchr::memchr(b'\n', lines).map_or(0, |at| at + 1) };
                self.ends.remember(&lines[whole..], start + whole as u64);
                start + newline as u64 + 1
            }
            None => last_newline(file, start, LINE_BYTES_MAX)?.unwrap_or_else(|| {
                self.skipping = true;
                len
            }),
        };
        self.go_to(file, offset)?;
        let mut head = vec![0; HEAD_BYTES.min(usize::try_from(offset).unwrap_or(HEAD_BYTES))];
        let read = file.read_at(&mut head, 0)?;
        self.head = LineHash::of(&head[..read]);
        Ok(())
    }

    /// Moves the cursor to an offset that follows a newline.
    fn go_to(&mut self, file: &dyn DiskFile, offset: u64) -> io::Result<()> {
        let mut tail = vec![0; TAIL_BYTES.min(usize::try_from(offset).unwrap_or(TAIL_BYTES))];
        let before = offset - tail.len() as u64;
        let read = file.read_at(&mut tail, before)?;
        // If the file shrinks right now, store a hash that never matches, so that the next check searches again.
        self.tail = if read == tail.len() { LineHash::of(&tail) } else { LineHash::none(tail.len()) };
        self.offset = offset;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    /// A file, the lines read from it, and the cursor.
    struct Followed {
        folder: tempfile::TempDir,
        cursor: TailCursor,
        lines: Vec<String>,
    }

    impl Followed {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap(), cursor: TailCursor::default(), lines: Vec::new() }
        }

        fn path(&self) -> std::path::PathBuf {
            self.folder.path().join("f")
        }

        fn append(&self, text: &[u8]) {
            let mut file = File::options().create(true).append(true).open(self.path()).unwrap();
            io::Write::write_all(&mut file, text).unwrap();
        }

        /// Reads everything; returns how the file was broken and how many lines were too long.
        fn read(&mut self) -> (Option<Broken>, usize) {
            let file = File::open(self.path()).unwrap();
            let stat = DiskFile::stat(&file).unwrap();
            let broken = self.cursor.check(&file, stat).unwrap();
            let (mut buffer, mut too_long) = (Vec::new(), 0);
            loop {
                match self.cursor.ahead(&file, stat.len, &mut buffer).unwrap().0 {
                    NextChunk::Lines(_, lines) => {
                        let lines = std::str::from_utf8(lines).unwrap();
                        assert!(lines.ends_with('\n'));
                        self.lines.extend(lines.lines().map(str::to_owned));
                    }
                    NextChunk::TooLong => too_long += 1,
                    NextChunk::Skipped => {}
                    NextChunk::Nothing => return (broken, too_long),
                }
            }
        }

        fn check(&mut self, broken: Option<Broken>, lines: &[&str]) {
            assert_eq!(self.read(), (broken, 0));
            assert_eq!(self.lines, lines);
            self.lines.clear();
        }
    }

    #[test]
    fn only_whole_lines_and_each_once() {
        let mut followed = Followed::new();
        followed.append(b"a\nb");
        followed.check(None, &["a"]);
        followed.check(None, &[]);
        followed.append(b"b");
        followed.check(None, &[]);
        followed.append(b"\n\nc\n");
        followed.check(None, &["bb", "", "c"]);
        let long = "x".repeat(3 * CHUNK_BYTES);
        followed.append(long.as_bytes());
        followed.check(None, &[]);
        followed.append(b"\nd\n");
        followed.check(None, &[&long, "d"]);
    }

    #[test]
    fn a_cut_file_is_gone_on_with_where_it_stands() {
        let mut followed = Followed::new();
        followed.append(b"one\ntwo\nthree\n");
        followed.check(None, &["one", "two", "three"]);
        File::options().write(true).open(followed.path()).unwrap().set_len(10).unwrap();
        followed.check(Some(Broken::Cut), &[]);
        followed.append(b"ree again\nfour\n");
        followed.check(None, &["three again", "four"]);
        // Cut, and longer than before at the next check.
        File::options().write(true).open(followed.path()).unwrap().set_len(4).unwrap();
        followed.append("a line that is much longer than all before\nfive\n".as_bytes());
        followed.check(Some(Broken::Replaced), &["a line that is much longer than all before", "five"]);
        File::options().write(true).open(followed.path()).unwrap().set_len(0).unwrap();
        followed.check(Some(Broken::Cut), &[]);
        followed.append(b"six\n");
        followed.check(None, &["six"]);
    }

    #[test]
    fn another_file_is_new_and_a_copy_is_not() {
        let mut followed = Followed::new();
        followed.append(b"one\ntwo\n");
        followed.check(None, &["one", "two"]);
        let aside = followed.folder.path().join("aside");
        fs::write(&aside, "one\ntwo\nthree\n").unwrap();
        fs::rename(&aside, followed.path()).unwrap();
        followed.check(Some(Broken::Replaced), &["three"]);
        fs::write(&aside, "other\n").unwrap();
        fs::rename(&aside, followed.path()).unwrap();
        followed.check(Some(Broken::Replaced), &["other"]);
        fs::write(followed.path(), "OTHER\n").unwrap();
        followed.check(Some(Broken::Replaced), &["OTHER"]);
    }

    #[test]
    fn a_file_cut_deeper_than_is_remembered_gives_nothing_twice() {
        let mut followed = Followed::new();
        let lines = (0..1_000).map(|n| format!("line number {n}")).collect::<Vec<_>>();
        followed.append((lines.join("\n") + "\n").as_bytes());
        followed.read();
        followed.lines.clear();
        File::options().write(true).open(followed.path()).unwrap().set_len(5_000).unwrap();
        followed.check(Some(Broken::Cut), &[]);
        followed.append(b"\nnew\n");
        assert_eq!(followed.read().0, None);
        assert_eq!(followed.lines.last().unwrap(), "new");
        assert_eq!(followed.lines.len(), 2);
    }

    #[test]
    fn the_end_is_found_however_long_the_last_line_is() {
        for (text, next) in [
            ("", "x"),
            ("half", "halfx"),
            ("a\n", "x"),
            ("a\nhalf", "halfx"),
            (&*format!("a\n{}", "y".repeat(200_000)), &*format!("{}x", "y".repeat(200_000))),
            (&*format!("{}\n", "y".repeat(200_000)), "x"),
        ] {
            let mut followed = Followed::new();
            followed.append(text.as_bytes());
            let file = File::open(followed.path()).unwrap();
            followed.cursor = TailCursor::at_end(&file, DiskFile::stat(&file).unwrap()).unwrap();
            followed.check(None, &[]);
            followed.append(b"x\n");
            followed.check(None, &[next]);
        }
    }

    #[test]
    fn a_line_too_long_hides_no_other() {
        let mut followed = Followed::new();
        followed.append(b"a\n");
        followed.append(&vec![b'x'; LINE_BYTES_MAX as usize + 1_000_000]);
        assert_eq!(followed.read(), (None, 1));
        followed.append(b"xx\nb\n");
        assert_eq!(followed.read(), (None, 0));
        assert_eq!(followed.lines, ["a", "b"]);
    }
}
