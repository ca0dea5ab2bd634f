//! Appends a batch of lines to one day file, and handles other writers that append between our writes.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::clock::Date;
use crate::day::tail::{is_blank, last_newline};
use crate::disk::{Disk, DiskFile, FileId};
use crate::home::{TRAIL_FOLDER, day_name};

/// The number of attempts to append lines that another writer's bytes broke.
///
/// From the second attempt on, a line with one blank goes first. If half a line of the other writer precedes it, only
/// the blank line is damaged. Further attempts are needed only after short writes.
const TRIES_MAX: usize = 4;

/// A day file that is open for appending.
#[derive(Debug)]
pub(crate) struct End {
    /// The open file; the caller syncs it.
    pub(crate) file: Arc<dyn DiskFile>,
    /// The device and inode of the file.
    pub(crate) file_id: FileId,
    /// The length of the file.
    pub(crate) len: u64,
    /// Whether the file ends with an incomplete line: another writer is still writing it, or died before it was
    /// complete.
    pub(crate) is_torn: bool,
}

/// The result of an append.
#[derive(Debug)]
pub(crate) struct Appended {
    /// The number of bytes of the given lines that are in the file as whole lines.
    pub(crate) stored: usize,
    /// The length of the file after the last of these bytes.
    pub(crate) len: u64,
    /// The number of lines that another writer's bytes broke and that were therefore appended again.
    pub(crate) spliced: usize,
    /// The reason why not all lines are stored.
    pub(crate) error: Option<io::Error>,
}

impl End {
    /// Opens a user's day file for appending. The caller holds the home's append lock during the call.
    ///
    /// It never waits. A torn tail is only reported in [`End::is_torn`]; a tail of spaces is ended with a newline at
    /// once.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn open(disk: &dyn Disk, folder: &str, date: Date) -> io::Result<Self> {
        let file = Arc::<dyn DiskFile>::from(disk.append(&[folder, TRAIL_FOLDER, &day_name(date)])?);
        let stat = file.stat()?;
        let mut end = Self { file_id: stat.file_id(), len: stat.len, is_torn: false, file };
        if !ends_with_newline(&*end.file, end.len)? {
            if is_blank(&*end.file, end.len)? { end.len = end.file.append(b"\n")?.end } else { end.is_torn = true }
        }
        Ok(end)
    }

    /// Appends whole lines.
    ///
    /// Another program that does not use our lock may append at any moment, and may need several writes per line. The
    /// offset after each write tells where our bytes are. If they directly follow half a line of the other program, our
    /// first line is damaged and is appended again. The same happens to a line of ours that a short write split, if
    /// bytes of the other program are between the two parts.
    ///
    /// A day file never shrinks, because cutting it would also remove bytes that others appended after ours. If the
    /// disk is full, the lines already written are therefore replaced with spaces, so that either all of them are
    /// stored or none. If others have already appended after our bytes, the whole lines stay stored.
    pub(crate) fn append(&self, disk: &dyn Disk, folder: &str, date: Date, lines: &[u8]) -> Appended {
        let mut written = Written { file: &*self.file, from: None, len: self.len, torn: 0 };
        let mut again = Vec::new();
        let mut error = written.write(lines, &mut again);
        let whole = match error {
            None => lines.len(),
            Some((at, _)) => at,
        };
        let spliced = again.len();
        let stored = again.first().map_or(whole, |first| first.start.min(whole));
        for tries in 0..TRIES_MAX {
            if again.is_empty() || error.is_some() {
                break;
            }
            let starts_line = tries == 0 && ends_with_newline(&*self.file, written.len).unwrap_or(false);
            let mut text = if starts_line { Vec::new() } else { b" \n".to_vec() };
            again.drain(..).for_each(|line| text.extend_from_slice(&lines[line]));
            let mut failed = Vec::new();
            error = written.write(&text, &mut failed);
            // Ignore the blank line at the start: it may be damaged.
            failed.retain(|line| starts_line || line.start > 0);
            again = failed.iter().filter_map(|line| find(lines, &text[line.clone()])).collect();
        }
        let error = error.map(|(_, error)| error);
        let error = error.or_else(|| (!again.is_empty()).then(|| io::Error::other("another writer cuts every line")));
        let stored = match &error {
            None => lines.len(),
            // If this fails, the content is unknown; a retry reads the file first.
            Some(_) if written.take_back(disk, (folder, date), self.file_id).unwrap_or(true) => 0,
            Some(_) => stored,
        };
        Appended { stored, len: written.len, spliced, error }
    }
}

/// The state of an append in progress.
struct Written<'f> {
    file: &'f dyn DiskFile,
    /// The offset of our first byte. `None` before the first write; `Some(None)` once bytes of another writer are
    /// between ours.
    from: Option<Option<u64>>,
    /// The offset after our last byte.
    len: u64,
    /// The number of bytes before `len` that belong to an incomplete line of ours.
    torn: u64,
}

impl Written<'_> {
    /// Appends a text of whole lines, and adds the lines that another writer's bytes broke to `damaged`.
    ///
    /// Returns the error that stopped it, together with the index in `text` of the first line that is not whole in the
    /// file.
    fn write(&mut self, text: &[u8], damaged: &mut Vec<Range<usize>>) -> Option<(usize, io::Error)> {
        let mut at = 0;
        while at < text.len() {
            let landed = match self.file.append(&text[at..]) {
                Ok(landed) if landed.taken > 0 => landed,
                other => {
                    let line = line_at(text, at);
                    self.torn = (at - line.start) as u64;
                    return Some((line.start, other.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into())));
                }
            };
            let line = line_at(text, at);
            let line_start = line.start;
            // A line that starts here needs a newline before it; the rest of a line must directly follow its first
            // part.
            let before = if at > line.start {
                Ok(landed.start() == self.len)
            } else {
                // A second read, because many errors of a disk pass. A line that stands alone must not be appended again.
                ends_with_newline(self.file, landed.start()).or_else(|_| ends_with_newline(self.file, landed.start()))
            };
            let is_interrupted = before.as_ref().is_ok_and(|stands| !stands);
            if is_interrupted && damaged.last() != Some(&line) {
                damaged.push(line);
            }
            self.from = match self.from {
                None => Some(Some(landed.start())),
                from if landed.start() == self.len => from,
                Some(_) => Some(None),
            };
            at += landed.taken;
            self.len = landed.end;
            if let Err(error) = before {
                // Whether the line stands alone is not known, so the retry reads the file first.
                self.torn = if at < text.len() { (at - line_at(text, at).start) as u64 } else { 0 };
                return Some((line_start, error));
            }
        }
        None
    }

    /// Replaces the written bytes with spaces, so that a failed append leaves no lines behind.
    ///
    /// Changes nothing if other bytes follow ours. If other bytes are between ours, or half a line precedes them, only
    /// our incomplete line at the end is replaced. Returns whether everything was replaced.
    fn take_back(&self, disk: &dyn Disk, (folder, date): (&str, Date), file_id: FileId) -> io::Result<bool> {
        if self.file.stat()?.len != self.len {
            return Ok(false);
        }
        let whole = match self.from {
            None => return Ok(true),
            Some(Some(from)) => Some(from).filter(|from| ends_with_newline(self.file, *from).unwrap_or(false)),
            Some(None) => None,
        };
        let half = || last_newline(self.file, self.len, self.torn).map(|at| at.unwrap_or(self.len - self.torn));
        let from = whole.map_or_else(half, Ok)?;
        if from < self.len {
            overwrite(disk, folder, date, file_id, (from, self.len - 1))?;
            // The last byte becomes the newline, because a full disk accepts no additional byte.
            end_line(disk, folder, date, self.len - 1)?;
        }
        Ok(whole.is_some())
    }
}

/// Returns the range of the line that contains the byte at `at`.
fn line_at(text: &[u8], at: usize) -> Range<usize> {
    let start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1);
    let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |newline| at + newline + 1);
    start..end
}

/// Returns the range of a line in a text.
fn find(text: &[u8], line: &[u8]) -> Option<Range<usize>> {
    memchr::memmem::find(text, line).map(|start| start..start + line.len())
}

/// Whether a file of this length ends with a newline; true for an empty file.
pub(super) fn ends_with_newline(file: &dyn DiskFile, len: u64) -> io::Result<bool> {
    let mut last = [b'\n'];
    if len > 0 {
        file.read_at(&mut last, len - 1)?;
    }
    Ok(last == [b'\n'])
}

/// Overwrites a range of a day file with spaces.
///
/// # Errors
/// Any I/O error of the operating system; also if the name now refers to another file.
pub(super) fn overwrite(
    disk: &dyn Disk,
    folder: &str,
    date: Date,
    file_id: FileId,
    (from, to): (u64, u64),
) -> io::Result<()> {
    let over = disk.write(&[folder, TRAIL_FOLDER, &day_name(date)])?;
    let stat = over.stat()?;
    if stat.file_id() != file_id {
        return Err(io::Error::other("the file was replaced"));
    }
    let spaces = vec![b' '; usize::try_from((to - from).min(SPACES_BYTES)).unwrap_or(1)];
    let mut at = from;
    while at < to {
        let part = usize::try_from(to - at).unwrap_or(spaces.len()).min(spaces.len());
        match over.write_at(&spaces[..part], at)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            taken => at += taken as u64,
        }
    }
    Ok(())
}

/// Overwrites one byte of a day file with a newline.
fn end_line(disk: &dyn Disk, folder: &str, date: Date, at: u64) -> io::Result<()> {
    match disk.write(&[folder, TRAIL_FOLDER, &day_name(date)])?.write_at(b"\n", at)? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(()),
    }
}

/// The number of spaces in one write.
const SPACES_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::disk::RealDisk;
    use std::io::Write as _;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A file to which another writer appends before each of our writes, and that accepts at most `taken_max` bytes per
    /// write.
    #[derive(Debug)]
    struct Shared {
        file: Box<dyn DiskFile>,
        others: Mutex<Vec<&'static [u8]>>,
        taken_max: usize,
        /// How many reads fail.
        unreadable: AtomicUsize,
    }

    impl Shared {
        fn new(file: Box<dyn DiskFile>, others: &[&'static [u8]], taken_max: usize, unreadable: usize) -> Arc<Self> {
            let others = Mutex::new(others.iter().rev().copied().collect());
            Arc::new(Self { file, others, taken_max, unreadable: AtomicUsize::new(unreadable) })
        }
    }

    impl DiskFile for Shared {
        fn stat(&self) -> io::Result<crate::disk::Stat> {
            self.file.stat()
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let fails = |left: usize| left.checked_sub(1);
            match self.unreadable.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fails) {
                Ok(_) => Err(io::Error::other("cannot be read")),
                Err(_) => self.file.read_at(buffer, offset),
            }
        }

        fn append(&self, bytes: &[u8]) -> io::Result<crate::disk::Landed> {
            if let Some(other) = self.others.lock().unwrap().pop() {
                self.file.append(other)?;
            }
            self.file.append(&bytes[..bytes.len().min(self.taken_max)])
        }

        fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
            self.file.write_at(bytes, offset)
        }

        fn cut(&self, len: u64) -> io::Result<()> {
            self.file.cut(len)
        }

        fn sync(&self) -> io::Result<()> {
            self.file.sync()
        }
    }

    /// Appends three lines while another writer appends these bytes; then each of our lines must be in the file exactly
    /// once.
    fn check(others: &[&'static [u8]], taken_max: usize, spliced: usize) {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path(), false).unwrap();
        let day = Timestamp::from_millis(1_764_000_000_000).date();
        let path = ["alice", TRAIL_FOLDER, &day_name(day)];
        disk.append(&path).unwrap().append(b"{\"first\"}\n").unwrap();
        let mut end = End::open(&disk, "alice", day).unwrap();
        end.file = Shared::new(disk.append(&path).unwrap(), others, taken_max, 0);
        let text = b"{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n";
        let appended = end.append(&disk, "alice", day, text);
        assert!(appended.error.is_none(), "{appended:?}");
        let found = std::fs::read_to_string(folder.path().join(path.join("/"))).unwrap();
        assert_eq!((appended.stored, appended.len), (text.len(), found.len() as u64));
        assert_eq!(appended.spliced, spliced, "{found}");
        for line in ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"] {
            assert_eq!(found.lines().filter(|found| *found == line).count(), 1, "{line} in {found:?}");
        }
    }

    #[test]
    fn a_line_that_meets_another_writers_bytes_is_appended_again() {
        check(&[], usize::MAX, 0);
        check(&[b"{\"x\"}\n"], usize::MAX, 0);
        check(&[b"{\"x"], usize::MAX, 1);
        check(&[b"{\"x", b"\"}\n"], usize::MAX, 1);
        // The other writer continues its line, so that our second attempt also follows half a line.
        check(&[b"{\"x", b"yz", b"yz"], usize::MAX, 1);
        // A short write splits a line, and the other writer's bytes are between the two parts.
        check(&[b"", b"{\"x\"}\n"], 11, 1);
        check(&[b"{\"x", b"y\"}\n", b"{\"z"], 11, 3);
        check(&[], 1, 0);
    }

    #[test]
    fn a_disk_that_cannot_be_read_makes_no_line_stand_twice() {
        for unreadable in [0, 1, 2, 3, usize::MAX] {
            for taken_max in [usize::MAX, 11] {
                let folder = tempfile::tempdir().unwrap();
                let disk = RealDisk::open(folder.path(), false).unwrap();
                let day = Timestamp::from_millis(1_764_000_000_000).date();
                let path = ["alice", TRAIL_FOLDER, &day_name(day)];
                disk.append(&path).unwrap().append(b"{\"first\"}\n").unwrap();
                let mut end = End::open(&disk, "alice", day).unwrap();
                end.file = Shared::new(disk.append(&path).unwrap(), &[], taken_max, unreadable);
                let text = b"{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n";
                let appended = end.append(&disk, "alice", day, text);
                let found = std::fs::read_to_string(folder.path().join(path.join("/"))).unwrap();
                let what = format!("{unreadable} reads fail, {taken_max} bytes a write: {found:?}");
                // After an error the caller reads the file, and appends only what is missing.
                assert_eq!(appended.error.is_none(), unreadable < 2, "{what}");
                for line in ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"] {
                    let count = found.lines().filter(|found| *found == line).count();
                    assert!(count <= 1 && (count == 1 || unreadable >= 2), "{line}: {what}");
                }
            }
        }
    }

    #[test]
    fn what_a_full_disk_took_of_a_line_is_replaced_with_spaces() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path(), false).unwrap();
        let day = Timestamp::from_millis(1_764_000_000_000).date();
        let path = ["alice", TRAIL_FOLDER, &day_name(day)];
        let end = End::open(&disk, "alice", day).unwrap();
        let file = folder.path().join(path.join("/"));
        // Like a disk that accepts eleven bytes and then none. The second time, others have appended in the meantime.
        let landed = end.file.append(b"{\"a\":1}\n{\"b").unwrap();
        let written = Written { file: &*end.file, from: Some(Some(0)), len: landed.end, torn: 3 };
        assert!(written.take_back(&disk, ("alice", day), end.file_id).unwrap());
        assert_eq!(std::fs::read(&file).unwrap(), b"          \n");
        end.file.append(b"{\"a\":1}\n{\"b").unwrap();
        let written = Written { file: &*end.file, from: Some(None), len: 22, torn: 3 };
        assert!(!written.take_back(&disk, ("alice", day), end.file_id).unwrap());
        assert_eq!(std::fs::read(&file).unwrap(), b"          \n{\"a\":1}\n  \n");
        std::fs::File::options().append(true).open(&file).unwrap().write_all(b"  ").unwrap();
        assert!(!End::open(&disk, "alice", day).unwrap().is_torn, "spaces are ended at once");
        assert!(std::fs::read(&file).unwrap().ends_with(b"  \n  \n"));
        std::fs::File::options().append(true).open(&file).unwrap().write_all(b"{\"half").unwrap();
        assert!(End::open(&disk, "alice", day).unwrap().is_torn);
    }
}
