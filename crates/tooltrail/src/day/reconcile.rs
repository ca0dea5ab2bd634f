//! A day file brought to what it should hold: damage replaced with spaces, and what is missing appended.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crate::clock::Date;
use crate::day::append::End;
use crate::day::damage::Damage;
use crate::day::fragment::Fragment;
use crate::day::lateness::{LatenessNotes, Span};
use crate::day::scan::{BLOCK, line_start, scan};
use crate::disk::{Disk, DiskFile};
use crate::entry::head;
use crate::home::{TRAIL_FOLDER, day_name};

/// What a day file should hold.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) folder: &'a str,
    pub(crate) day: Date,
    /// No line that is wanted stands below this length.
    pub(crate) from: u64,
    /// What stands below this length is never changed: it was flushed.
    pub(crate) durable_len: u64,
    /// What stands from this length on is written again as it is, so that a flush means something: one may have failed.
    pub(crate) again: u64,
    /// The lines that it should hold, in their order.
    pub(crate) lines: &'a [Vec<u8>],
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Reconciled {
    /// The file, to sync it.
    pub(crate) file: Arc<dyn DiskFile>,
    /// Its device and inode.
    pub(crate) file_id: (u64, u64),
    /// Its length.
    pub(crate) len: u64,
    /// What was replaced with spaces.
    pub(crate) fragments: Vec<Fragment>,
    /// Lines that met another writer's bytes, and were appended again.
    pub(crate) spliced: usize,
}

/// Replaces the damage that was found before, and appends the lines that are missing.
///
/// Done again, at whatever point it was killed, it comes to the same. The caller holds the home's append lock, and then
/// syncs the file.
///
/// # Errors
/// What the system says.
pub(crate) fn reconcile(
    disk: &dyn Disk,
    largest: &mut LatenessNotes,
    want: &Wanted<'_>,
    damage: Damage,
) -> io::Result<Reconciled> {
    let (folder, day) = (want.folder, want.day);
    let file = Arc::<dyn DiskFile>::from(disk.append(&[folder, TRAIL_FOLDER, &day_name(day)])?);
    let stat = file.stat()?;
    let fragments = match damage.is_none() {
        true => Vec::new(),
        false => damage.mend(disk, (folder, day), &*file, want.durable_len)?,
    };
    let len = file.stat()?.len;
    let from = line_start(&*file, want.from, len)?;
    let mut wanted = FoundLines::new(want.lines);
    scan(&*file, (from, len), |_, line| line.into_iter().for_each(|line| wanted.found(line)))?;
    write_again(disk, want, (&*file, len))?;
    let missing = wanted.missing();
    let end = End { file, file_id: (stat.device, stat.inode), len, is_torn: false };
    let mut reconciled = Reconciled { file_id: end.file_id, len, file: Arc::clone(&end.file), fragments, spliced: 0 };
    if !missing.is_empty() {
        let mut span = Span::default();
        missing.iter().filter_map(|line| head(line)).for_each(|ts| span.push(ts.as_millis()));
        largest.note(disk, [(folder, day, &end, &span)])?;
        largest.forget(folder, day);
        let appended = end.append(disk, folder, day, &missing.concat());
        if let Some(error) = appended.error {
            return Err(error);
        }
        (reconciled.len, reconciled.spliced) = (appended.len, appended.spliced);
    }
    Ok(reconciled)
}

/// Writes bytes of a file again as they are: a flush that failed forgot that they were to be written.
fn write_again(disk: &dyn Disk, want: &Wanted<'_>, (file, to): (&dyn DiskFile, u64)) -> io::Result<()> {
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
struct FoundLines<'a> {
    lines: &'a [Vec<u8>],
    numbers: HashMap<&'a [u8], usize>,
    done: Vec<bool>,
}

impl<'a> FoundLines<'a> {
    fn new(lines: &'a [Vec<u8>]) -> Self {
        let mut numbers = HashMap::with_capacity(lines.len());
        let mut done = vec![false; lines.len()];
        for (n, line) in lines.iter().enumerate() {
            // A line that stands in two segments is one line.
            if *numbers.entry(line.as_slice()).or_insert(n) != n {
                done[n] = true;
            }
        }
        Self { lines, numbers, done }
    }

    fn found(&mut self, line: &[u8]) {
        if let Some(n) = self.numbers.get(line) {
            self.done[*n] = true;
        }
    }

    fn missing(&self) -> Vec<&'a [u8]> {
        let missing = self.lines.iter().zip(&self.done).filter(|(_, done)| !**done);
        missing.map(|(line, _)| line.as_slice()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Timestamp, Zone};
    use crate::disk::RealDisk;

    /// Brings a file that holds `text` to hold the lines `wanted`; with `clean` the power was cut after that flush.
    fn check(text: &str, wanted: &[&str], durable_len: Option<u64>, expected: &str, kept: usize) {
        let folder = tempfile::tempdir().unwrap();
        let day = Timestamp::from_millis(1_764_000_000_000).date();
        let trail = folder.path().join("alice").join(TRAIL_FOLDER);
        std::fs::create_dir_all(&trail).unwrap();
        std::fs::write(trail.join(day_name(day)), text).unwrap();
        let disk = RealDisk::open(folder.path(), false).unwrap();
        let lines = wanted.iter().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>();
        let want =
            Wanted { folder: "alice", day, from: 0, durable_len: durable_len.unwrap_or(0), again: 0, lines: &lines };
        let mut largest = LatenessNotes::new(Zone::UTC);
        for again in [false, true] {
            let damage = Damage::find(&disk, "alice", day, durable_len).unwrap();
            let done = reconcile(&disk, &mut largest, &want, damage).unwrap();
            let now = std::fs::read_to_string(trail.join(day_name(day))).unwrap();
            assert_eq!(now, expected, "{text:?} {durable_len:?} {again}");
            assert!(now.len() >= text.len(), "a day file never shrinks");
            assert_eq!(done.len, now.len() as u64);
            assert_eq!(done.fragments.len(), if again { 0 } else { kept }, "{text:?} {durable_len:?}");
        }
    }

    #[test]
    fn what_is_missing_comes_and_damage_becomes_spaces() {
        let (a, b, c) = ("{\"a\"}\n", "{\"b\"}\n", "{\"c\"}\n");
        let file = |parts: &[&str]| parts.concat();
        check("", &[a, b], None, &file(&[a, b]), 0);
        check(&file(&[a, c]), &[a, b], None, &file(&[a, c, b]), 0);
        check(&file(&[a, "{\"b"]), &[a, b], None, &file(&[a, "   \n", b]), 1);
        check(&file(&[a, "  "]), &[a, b], None, &file(&[a, "  \n", b]), 0);
        check(&file(&[a, "\0\0\0\n", b]), &[a], None, &file(&[a, "\0\0\0\n", b]), 0);
        check(&file(&[a, "\0\0\0\n", b]), &[a], Some(0), &file(&[a, "   \n", b]), 1);
        check(&file(&["\0\0\0\0\0\n", "x\n", c]), &[a, b], Some(0), &file(&["       \n", c, a, b]), 1);
        check(&file(&["\0\0\0\0\0\n", b, "{\"t"]), &[], Some(6), &file(&["\0\0\0\0\0\n", b, "   \n"]), 1);
        check(&file(&[a, "\0\0\0"]), &[b], Some(6), &file(&[a, "   \n", b]), 1);
    }
}
