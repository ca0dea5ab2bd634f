//! A batch of lines appended to one day file, and what is done where another writer gets in between.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::clock::Date;
use crate::day::tail::{is_blank, last_newline};
use crate::disk::{Disk, DiskFile};
use crate::home::{TRAIL_FOLDER, day_name};

/// How often lines that met another writer's bytes are appended again. From the second time on a line of one blank
/// goes before them, which takes the damage instead: more tries are for short writes.
const TRIES_MAX: usize = 4;

/// A day file open at its end.
#[derive(Debug)]
pub(crate) struct End {
    /// The file, to sync it.
    pub(crate) file: Arc<dyn DiskFile>,
    /// Its device and inode.
    pub(crate) file_id: (u64, u64),
    /// Its length.
    pub(crate) len: u64,
    /// Whether it ends with bytes that are no whole line: somebody is writing them, or died over it.
    pub(crate) is_torn: bool,
}

/// What became of lines that were appended.
#[derive(Debug)]
pub(crate) struct Appended {
    /// How many bytes of them stand in the file, as whole lines.
    pub(crate) stored: usize,
    /// The length of the file after the last of them.
    pub(crate) len: u64,
    /// Lines that met another writer's bytes, and were appended again.
    pub(crate) spliced: usize,
    /// Why not all of them are stored.
    pub(crate) error: Option<io::Error>,
}

impl End {
    /// Opens a user's day file to append to it. The caller holds the home's append lock until it has.
    ///
    /// Nothing is waited for. A torn tail is only reported; one of white space is ended by a newline at once.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn open(disk: &dyn Disk, folder: &str, date: Date) -> io::Result<Self> {
        let file = Arc::<dyn DiskFile>::from(disk.append(&[folder, TRAIL_FOLDER, &day_name(date)])?);
        let stat = file.stat()?;
        let mut end = Self { file_id: (stat.device, stat.inode), len: stat.len, is_torn: false, file };
        if !ends_with_newline(&*end.file, end.len)? {
            match is_blank(&*end.file, end.len)? {
                true => end.len = end.file.append(b"\n")?.end,
                false => end.is_torn = true,
            }
        }
        Ok(end)
    }

    /// Appends whole lines.
    ///
    /// A foreign writer without our lock may append at any moment, and needs several writes a line perhaps. The offset
    /// after each write says where our bytes landed. If they landed behind half a line of somebody else, our first line
    /// is glued to it: it is appended again. The same holds for a line that a short write cut in two, with the bytes of
    /// somebody else between its parts. A day file never shrinks, for what others appended behind our bytes would be lost
    /// with them: what a full disk took of the lines is replaced with spaces instead, so that either all of them are
    /// stored or none. Only where somebody else has already appended behind them the whole lines among them stay.
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
            // Only the blank line before them may be glued to something.
            failed.retain(|line| starts_line || line.start > 0);
            again = failed.iter().filter_map(|line| find(lines, &text[line.clone()])).collect();
        }
        let error = error.map(|(_, error)| error);
        let error = error.or_else(|| (!again.is_empty()).then(|| io::Error::other("another writer cuts every line")));
        let stored = match &error {
            None => lines.len(),
            // Where that fails nobody knows what stands there: whoever tries again looks first.
            Some(_) if written.take_back(disk, (folder, date), self.file_id).unwrap_or(true) => 0,
            Some(_) => stored,
        };
        Appended { stored, len: written.len, spliced, error }
    }
}

/// What was written so far.
struct Written<'f> {
    file: &'f dyn DiskFile,
    /// Where our first byte landed, as long as nobody else's stand between ours.
    from: Option<Option<u64>>,
    /// The length of the file after our last byte.
    len: u64,
    /// Bytes of half a line of ours before that length.
    torn: u64,
}

impl Written<'_> {
    /// Appends a text of whole lines; `damaged` gets the lines that met bytes of somebody else.
    ///
    /// Returns the error that ended it, and the file_id of the first line that is not whole in the file.
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
            // A line that begins here needs a newline before it; one that goes on needs its own beginning.
            let is_interrupted = match at > line.start {
                true => landed.start() != self.len,
                false => !ends_with_newline(self.file, landed.start()).unwrap_or(false),
            };
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
        }
        None
    }

    /// Replaces what was written with spaces, where nothing stands behind it and nobody's between it: all of it, else the
    /// half line at its end. Returns whether it was all.
    fn take_back(&self, disk: &dyn Disk, (folder, date): (&str, Date), file_id: (u64, u64)) -> io::Result<bool> {
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
            // The last byte ends the line of spaces: a full disk takes no more.
            end_line(disk, folder, date, self.len - 1)?;
        }
        Ok(whole.is_some())
    }
}

/// Returns the line of a text that this byte belongs to.
fn line_at(text: &[u8], at: usize) -> Range<usize> {
    let start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1);
    let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |newline| at + newline + 1);
    start..end
}

/// Returns where a line stands in a text.
fn find(text: &[u8], line: &[u8]) -> Option<Range<usize>> {
    memchr::memmem::find(text, line).map(|start| start..start + line.len())
}

/// Whether a file of this length ends with a newline; an empty one does.
pub(super) fn ends_with_newline(file: &dyn DiskFile, len: u64) -> io::Result<bool> {
    let mut last = [b'\n'];
    if len > 0 {
        file.read_at(&mut last, len - 1)?;
    }
    Ok(last == [b'\n'])
}

/// Writes spaces over a part of a day file.
///
/// # Errors
/// What the system says; also if another file stands under the name.
pub(super) fn overwrite(
    disk: &dyn Disk,
    folder: &str,
    date: Date,
    file_id: (u64, u64),
    (from, to): (u64, u64),
) -> io::Result<()> {
    let over = disk.write(&[folder, TRAIL_FOLDER, &day_name(date)])?;
    let stat = over.stat()?;
    if (stat.device, stat.inode) != file_id {
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

/// Writes a newline over one byte of a day file.
fn end_line(disk: &dyn Disk, folder: &str, date: Date, at: u64) -> io::Result<()> {
    match disk.write(&[folder, TRAIL_FOLDER, &day_name(date)])?.write_at(b"\n", at)? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(()),
    }
}

/// Spaces written at once.
const SPACES_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::disk::RealDisk;
    use std::io::Write as _;
    use std::sync::Mutex;

    /// A file into which another writer puts its bytes before each of our writes, and that takes so many bytes at once.
    #[derive(Debug)]
    struct Shared {
        file: Box<dyn DiskFile>,
        others: Mutex<Vec<&'static [u8]>>,
        taken_max: usize,
    }

    impl DiskFile for Shared {
        fn stat(&self) -> io::Result<crate::disk::Stat> {
            self.file.stat()
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            self.file.read_at(buffer, offset)
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

    /// Appends three lines while another writer puts in these bytes; each line must then stand there once by itself.
    fn check(others: &[&'static [u8]], taken_max: usize, spliced: usize) {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path(), false).unwrap();
        let day = Timestamp::from_millis(1_764_000_000_000).date();
        let path = ["alice", TRAIL_FOLDER, &day_name(day)];
        disk.append(&path).unwrap().append(b"{\"first\"}\n").unwrap();
        let mut end = End::open(&disk, "alice", day).unwrap();
        let others = Mutex::new(others.iter().rev().copied().collect());
        end.file = Arc::new(Shared { file: disk.append(&path).unwrap(), others, taken_max });
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
        // The other writer goes on with its line, so that the second try meets half a line too.
        check(&[b"{\"x", b"yz", b"yz"], usize::MAX, 1);
        // A short write leaves a line in two parts, between which the other writer's bytes stand.
        check(&[b"", b"{\"x\"}\n"], 11, 1);
        check(&[b"{\"x", b"y\"}\n", b"{\"z"], 11, 3);
        check(&[], 1, 0);
    }

    #[test]
    fn what_a_full_disk_took_of_a_line_is_replaced_with_spaces() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path(), false).unwrap();
        let day = Timestamp::from_millis(1_764_000_000_000).date();
        let path = ["alice", TRAIL_FOLDER, &day_name(day)];
        let end = End::open(&disk, "alice", day).unwrap();
        let file = folder.path().join(path.join("/"));
        // As a disk that takes eleven bytes and then none; the second time others have appended meanwhile.
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
