//! A day file read forwards as it grows: its whole lines, each once, whatever becomes of the file.

use std::io;

use crate::day::line_hashes::{Ends, LineHash};
use crate::day::tail::last_newline;
use crate::disk::{DiskFile, Stat};

/// Bytes read at once: hundreds of usual lines, and twice the longest that we write.
const CHUNK_BYTES: usize = 128 * 1024;

/// Longest line that is read: the same as backwards.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bytes before the place reached that are looked at again with each read: they hold the salt of a line of ours.
const TAIL_BYTES: usize = 128;

/// Bytes of a file's beginning by which its content is known again: they hold the first line's time, user and tool.
const HEAD_BYTES: usize = 256;

/// Bytes of a file's end in which its last lines are looked for first.
const END_BYTES: u64 = 4 * 1024;

/// How a file is no longer what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is shorter than what was read.
    Cut,
    /// Another file or other content stands there.
    Replaced,
}

/// What stands at the place reached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextChunk<'a> {
    /// Whole lines with their newlines, and where they begin.
    Lines(u64, &'a [u8]),
    /// A line of more than 64 MiB, which was passed over.
    TooLong,
    /// The middle of such a line, which was passed over.
    Skipped,
    /// No whole line.
    Nothing,
}

/// A place in a day file: every line before it was given, none after it.
///
/// What was read is known again by a few hashes; the file itself is opened by the caller each time.
#[derive(Clone, Debug, Default)]
pub(crate) struct TailCursor {
    /// Device and inode, once known.
    identity: Option<(u64, u64)>,
    offset: u64,
    /// The bytes just before the offset.
    tail: LineHash,
    /// The first bytes of the file.
    head: LineHash,
    /// The last lines before the offset.
    ends: Ends,
    /// Inside a line too long: all up to the next newline is passed over.
    skipping: bool,
    /// Up to where no newline was found beyond a whole chunk: not searched again until the file has grown.
    searched: u64,
}

impl TailCursor {
    /// Returns the place after the last whole line of a file.
    pub(crate) fn at_end(file: &dyn DiskFile, stat: Stat) -> io::Result<Self> {
        let mut place = Self { identity: Some((stat.device, stat.inode)), ..Self::default() };
        place.go_to_end(file, stat.len)?;
        Ok(place)
    }

    /// Whether anything was read.
    pub(crate) fn has_begun(&self) -> bool {
        self.offset > 0
    }

    /// Whether a file of this length may hold more.
    pub(crate) fn is_below(&self, len: u64) -> bool {
        self.offset < len
    }

    /// Checks that the file is still the one that was read, and finds the place in what stands there where it is not.
    ///
    /// Where one of the last lines given stands as it stood, the place is after it, and nothing is given twice or
    /// missed. Where the file's beginning stands and none of them, it was cut deep, and the place is its end: what was
    /// appended between the cut and this check is missed. Where neither stands, all is new.
    pub(crate) fn check(&mut self, file: &dyn DiskFile, stat: Stat) -> io::Result<Option<Broken>> {
        let identity = (stat.device, stat.inode);
        if !self.has_begun() {
            self.identity = Some(identity);
            return Ok(None);
        }
        let same = self.identity == Some(identity);
        let before = self.offset - self.tail.length() as u64;
        if same && stat.len >= self.offset && self.tail.stands(file, before)? {
            return Ok(None);
        }
        self.identity = Some(identity);
        let broken = if same && stat.len < self.offset { Broken::Cut } else { Broken::Replaced };
        self.find_position(file, stat.len)?;
        Ok(Some(broken))
    }

    /// Reads what stands at the place reached, below `upto`, and goes on behind it. Returns it with the bytes read.
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
            // The file changed since it was checked: the next check finds the place.
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

    /// Goes behind the lines that end the buffer.
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

    /// Reads a line longer than a chunk, passes over one too long, and waits for the rest of one that has no end yet.
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
        // Whoever cuts and writes the file at this very moment is found out by the next check.
        let whole = read == length && memchr::memchr(b'\n', buffer) == Some(length - 1);
        let ahead = if whole { self.pass(buffer, 0) } else { NextChunk::Nothing };
        Ok((ahead, looked_at + read as u64))
    }

    /// Finds the place in content that is not what it was.
    fn find_position(&mut self, file: &dyn DiskFile, len: u64) -> io::Result<()> {
        (self.skipping, self.searched) = (false, 0);
        if let Some(end) = self.ends.newest_standing(file, len)? {
            return self.go_to(file, end);
        }
        let known = self.head.length() > 0 && self.head.stands(file, 0)?;
        if known {
            return self.go_to_end(file, len);
        }
        *self = Self { identity: self.identity, ..Self::default() };
        Ok(())
    }

    /// Goes behind the last newline of a file.
    fn go_to_end(&mut self, file: &dyn DiskFile, len: u64) -> io::Result<()> {
        self.ends.clear();
        let start = len.saturating_sub(END_BYTES);
        let mut end = vec![0; usize::try_from(len - start).unwrap_or_default()];
        let read = file.read_at(&mut end, start)?;
        let offset = match memchr::memrchr(b'\n', &end[..read]) {
            Some(newline) => {
                let lines = &end[..=newline];
                // What stands before the first newline may be half a line.
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

    /// Goes to an offset that follows a newline.
    fn go_to(&mut self, file: &dyn DiskFile, offset: u64) -> io::Result<()> {
        let mut tail = vec![0; TAIL_BYTES.min(usize::try_from(offset).unwrap_or(TAIL_BYTES))];
        let before = offset - tail.len() as u64;
        let read = file.read_at(&mut tail, before)?;
        // A file that shrinks at this very moment has no mark that stands, so that the next check looks again.
        self.tail = if read == tail.len() { LineHash::of(&tail) } else { LineHash::none(tail.len()) };
        self.offset = offset;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    /// A file, what was read of it, and the place reached.
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

        /// Reads all there is; returns how the file was broken and how often a line was too long.
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
        // Cut and longer than before at the next look.
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
