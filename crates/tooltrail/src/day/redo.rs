//! A day file brought to what it should hold: torn and lost parts cut off, and what is missing appended.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use crate::clock::Date;
use crate::day::append::{self, End};
use crate::day::fragment::Fragment;
use crate::day::late::{Largest, Span};
use crate::day::tail::{Torn, look};
use crate::disk::{Disk, DiskFile};
use crate::entry::head;
use crate::home::{TRAIL_FOLDER, day_name};

/// Bytes read at once when lines are looked for.
const BLOCK: usize = 1024 * 1024;

/// Bytes behind a damaged place: what was not flushed for a second. More is not lost work but somebody else's file.
const REST_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Which part of a file cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Only a torn tail: no power was cut, so that what was written stands there.
    Torn,
    /// From this length on, all after its longest prefix of whole good lines: the power was cut.
    Damaged(u64),
}

/// What a day file should hold.
#[derive(Debug)]
pub(crate) struct Redo<'a> {
    pub(crate) folder: &'a str,
    pub(crate) day: Date,
    /// No line that is wanted stands below this length.
    pub(crate) from: u64,
    pub(crate) cut: Cut,
    /// What stands from this length on is written again as it is, so that a flush means something: one may have failed.
    pub(crate) again: u64,
    /// The lines that it should hold, each with its writer: the lines of one writer keep their order.
    pub(crate) lines: &'a [(u128, Vec<u8>)],
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Redone {
    /// The file, to sync it.
    pub(crate) file: Arc<dyn DiskFile>,
    /// Its device and inode.
    pub(crate) place: (u64, u64),
    /// Its length.
    pub(crate) len: u64,
    /// What was cut off.
    pub(crate) cut: Option<Fragment>,
}

/// Cuts what cannot be trusted, appends what is missing, and after it the good lines that were cut and nobody wants.
///
/// `safe` gets those before they are cut off, and is to make them durable elsewhere. Done again, at whatever point it
/// was killed, it comes to the same. The caller holds the home's append lock, and then syncs the file.
///
/// # Errors
/// What the system says.
pub(crate) fn redo(
    disk: &dyn Disk,
    largest: &mut Largest,
    want: &Redo<'_>,
    safe: &mut dyn FnMut(&[&[u8]]) -> io::Result<()>,
) -> io::Result<Redone> {
    let (folder, day) = (want.folder, want.day);
    let file = Arc::<dyn DiskFile>::from(disk.append(&[folder, TRAIL_FOLDER, &day_name(day)])?);
    let stat = file.stat()?;
    let (len, torn) = look(disk, &*file)?;
    let mut wanted = Wanted::new(want.lines);
    let whole = torn.as_ref().map_or(len, |torn| torn.offset);
    let from = line_start(&*file, want.from, whole)?;
    let trusted = match want.cut {
        Cut::Torn => scan(&*file, (from, whole), whole, &mut |line| wanted.found(line))?,
        Cut::Damaged(clean) => {
            let clean = line_start(&*file, clean, whole)?;
            scan(&*file, (from.min(clean), whole), clean, &mut |line| wanted.found(line))?
        }
    };
    let mut cut = None;
    let mut others = Vec::new();
    if trusted < len {
        if len - trusted > REST_BYTES_MAX {
            return Err(io::Error::other("too much of the file is damaged"));
        }
        let mut bytes = vec![0; usize::try_from(len - trusted).unwrap_or(0)];
        let read = file.read_at(&mut bytes, trusted)?;
        bytes.truncate(read);
        let rest = Torn { offset: trusted, bytes };
        others = wanted.order(good_lines(&rest.bytes)).into_iter().map(<[u8]>::to_vec).collect();
        let nobodys = others.iter().map(Vec::as_slice).filter(|line| !wanted.is_wanted(line)).collect::<Vec<_>>();
        if !nobodys.is_empty() {
            safe(&nobodys)?;
        }
        let fragment = Fragment::of_day(folder, day, &rest);
        fragment.keep(disk, &rest.bytes)?;
        append::cut(&*file, trusted)?;
        largest.forget(folder, day);
        cut = Some(fragment);
    }
    write_again(disk, want, (&*file, trusted))?;
    others.extend(wanted.missing().into_iter().map(<[u8]>::to_vec));
    let text = others.concat();
    let end = End { file, place: (stat.device, stat.inode), len: trusted, torn: None };
    if !text.is_empty() {
        let mut span = Span::default();
        others.iter().filter_map(|line| head(line)).for_each(|ts| span.push(ts.as_millis()));
        largest.note(disk, [(folder, day, &end, &span)])?;
        largest.forget(folder, day);
        end.append(&text)?;
    }
    Ok(Redone { place: end.place, len: trusted + text.len() as u64, file: end.file, cut })
}

/// Writes bytes of a file again as they are: a flush that failed forgot that they were to be written.
fn write_again(disk: &dyn Disk, want: &Redo<'_>, (file, to): (&dyn DiskFile, u64)) -> io::Result<()> {
    let mut at = want.again;
    if at >= to {
        return Ok(());
    }
    let over = disk.write(&[want.folder, TRAIL_FOLDER, &day_name(want.day)])?;
    let identity = |file: &dyn DiskFile| file.stat().map(|stat| (stat.device, stat.inode));
    if identity(&*over)? != identity(file)? {
        return Err(io::Error::other("the file was replaced"));
    }
    let mut block = vec![0; BLOCK];
    while at < to {
        let part = usize::try_from(to - at).unwrap_or(BLOCK).min(BLOCK);
        let read = file.read_at(&mut block[..part], at)?;
        if read == 0 {
            break;
        }
        let mut done = 0;
        while done < read {
            match over.write_at(&block[done..read], at + done as u64)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                taken => done += taken,
            }
        }
        at += read as u64;
    }
    Ok(())
}

/// Which wanted lines were found.
struct Wanted<'a> {
    lines: &'a [(u128, Vec<u8>)],
    places: HashMap<&'a [u8], usize>,
    done: Vec<bool>,
    /// Of each writer, the first line that may still be missing.
    next: BTreeMap<u128, usize>,
}

impl<'a> Wanted<'a> {
    fn new(lines: &'a [(u128, Vec<u8>)]) -> Self {
        let mut places = HashMap::with_capacity(lines.len());
        let mut done = vec![false; lines.len()];
        for (n, (_, line)) in lines.iter().enumerate() {
            // A line that stands in two segments is one line.
            if *places.entry(line.as_slice()).or_insert(n) != n {
                done[n] = true;
            }
        }
        Self { lines, places, done, next: BTreeMap::new() }
    }

    fn found(&mut self, line: &[u8]) {
        if let Some(n) = self.places.get(line) {
            self.done[*n] = true;
        }
    }

    fn is_wanted(&self, line: &[u8]) -> bool {
        self.places.contains_key(line)
    }

    /// Returns these lines in their order, before each wanted one the missing ones of its writer that come before it.
    fn order<'b>(&mut self, lines: Vec<&'b [u8]>) -> Vec<&'b [u8]>
    where
        'a: 'b,
    {
        let mut ordered = Vec::with_capacity(lines.len());
        for line in lines {
            let Some(n) = self.places.get(line).copied() else {
                ordered.push(line);
                continue;
            };
            let writer = self.lines[n].0;
            let first = self.next.get(&writer).copied().unwrap_or(0);
            for before in first..=n {
                if self.lines[before].0 == writer && !std::mem::replace(&mut self.done[before], true) {
                    ordered.push(&self.lines[before].1);
                }
            }
            self.next.insert(writer, first.max(n + 1));
        }
        ordered
    }

    fn missing(&self) -> Vec<&'a [u8]> {
        let missing = self.lines.iter().zip(&self.done).filter(|(_, done)| !**done);
        missing.map(|((_, line), _)| line.as_slice()).collect()
    }
}

/// Returns the place if a line begins there, else 0: the file is not what it was.
fn line_start(file: &dyn DiskFile, at: u64, len: u64) -> io::Result<u64> {
    let mut newline = [0];
    if at == 0 || at > len || file.read_at(&mut newline, at - 1)? != 1 || newline != [b'\n'] {
        return Ok(0);
    }
    Ok(at)
}

/// Hands out whole lines with their newlines; ends at the first from `strict` on that is no good one.
///
/// Returns where it ended.
fn scan(file: &dyn DiskFile, (from, to): (u64, u64), strict: u64, found: &mut dyn FnMut(&[u8])) -> io::Result<u64> {
    let (mut start, mut buffer) = (from, Vec::new());
    let mut at = from;
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
        let mut done = 0;
        while let Some(newline) = memchr::memchr(b'\n', &buffer[done..]) {
            let line = &buffer[done..=done + newline];
            if start >= strict && !is_good(line) {
                return Ok(start);
            }
            found(line);
            start += line.len() as u64;
            done += line.len();
        }
        buffer.drain(..done);
    }
    Ok(start)
}

/// Returns the whole lines that are good.
fn good_lines(bytes: &[u8]) -> Vec<&[u8]> {
    let whole = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
    bytes[..whole].split_inclusive(|byte| *byte == b'\n').filter(|line| is_good(line)).collect()
}

/// Whether a whole line looks like an entry and holds no NUL byte: what a power cut leaves of others does not.
fn is_good(line: &[u8]) -> bool {
    line.starts_with(b"{")
        && line.ends_with(b"}\n")
        && memchr::memchr(0, line).is_none()
        && std::str::from_utf8(line).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Timestamp, Zone};
    use crate::disk::RealDisk;

    /// Brings a file that holds `text` to hold the lines `wanted` of one writer; returns what it holds then.
    fn check(text: &str, wanted: &[&str], cut: Cut, expected: &str, expected_safe: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let day = Timestamp::from_millis(1_764_000_000_000).date();
        let trail = folder.path().join("alice").join(TRAIL_FOLDER);
        std::fs::create_dir_all(&trail).unwrap();
        std::fs::write(trail.join(day_name(day)), text).unwrap();
        let disk = RealDisk::open(folder.path(), false).unwrap();
        let lines = wanted.iter().map(|line| (1, line.as_bytes().to_vec())).collect::<Vec<_>>();
        let want = Redo { folder: "alice", day, from: 0, cut, again: 0, lines: &lines };
        let mut largest = Largest::new(Zone::UTC);
        for again in [false, true] {
            let mut safe = Vec::new();
            let mut keep_safe = |lines: &[&[u8]]| {
                safe.extend(lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()));
                Ok(())
            };
            let done = redo(&disk, &mut largest, &want, &mut keep_safe).unwrap();
            let now = std::fs::read_to_string(trail.join(day_name(day))).unwrap();
            assert_eq!(now, expected, "{text:?} {cut:?} {again}");
            assert_eq!(done.len, now.len() as u64);
            if !again {
                assert_eq!(safe, expected_safe, "{text:?} {cut:?}");
            }
        }
    }

    #[test]
    fn what_is_missing_comes_and_what_is_damaged_goes() {
        let (a, b, c) = ("{\"a\"}\n", "{\"b\"}\n", "{\"c\"}\n");
        let file = |parts: &[&str]| parts.concat();
        check("", &[a, b], Cut::Torn, &file(&[a, b]), &[]);
        check(&file(&[a, c]), &[a, b], Cut::Torn, &file(&[a, c, b]), &[]);
        check(&file(&[a, "{\"b"]), &[a, b], Cut::Torn, &file(&[a, b]), &[]);
        check(&file(&[a, "\0\0\0\n", b]), &[a], Cut::Torn, &file(&[a, "\0\0\0\n", b]), &[]);
        check(&file(&[a, "\0\0\0\n", b]), &[a], Cut::Damaged(0), &file(&[a, b]), &[b]);
        check(&file(&["\0\0\0\0\0\n", b, c]), &[a, b], Cut::Damaged(0), &file(&[a, b, c]), &[c]);
        check(&file(&["\0\0\0\0\0\n", c, b]), &[a, b], Cut::Damaged(0), &file(&[c, a, b]), &[c]);
        check(&file(&["\0\0\0\0\0\n", b, "{\"t"]), &[], Cut::Damaged(6), &file(&["\0\0\0\0\0\n", b]), &[]);
        check(&file(&[a, "\0\0\0"]), &[b], Cut::Damaged(6), &file(&[a, b]), &[]);
    }
}
