//! Brings a day file to the state that the journal asks for: damage is replaced with spaces, missing lines are
//! appended.
//!
//! After a crash a day file may lack lines that are in the journal, may end with half a line, and may hold damaged
//! lines.
//!
//! 1. [`Damage::find`] runs without a lock. It waits at most a second until the file stops growing, because another
//!    writer may be in the middle of a line. Then it copies a torn tail to `fragments/` and syncs the copy. If the
//!    system was restarted (it may have lost power), it does the same with damaged lines at or after the durable
//!    length.
//! 2. [`reconcile`] runs under the home's append lock. It ends the torn tail with a newline and overwrites copied
//!    damage with spaces, but no byte below the durable length, and no bytes that have changed since they were copied.
//! 3. It reads the whole lines from [`Wanted::from`] on, writes the bytes from [`Wanted::again`] on a second time in
//!    case an earlier sync failed, and appends every wanted line that the file does not contain byte for byte.
//! 4. The caller syncs the file. Only then may the journal segments that hold these lines be emptied.
//!
//! A day file never shrinks: another program without our lock may append at any moment, and a cut would remove its
//! bytes.
//!
//! The steps can be repeated after a crash at any point. The journal keeps the lines until the sync; a line that is
//! already in the file is not appended again; spaces do not count as damage; damage is copied only once; and half a
//! line that a killed process left is a torn tail, and therefore damage, for the next run.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crate::clock::Date;
use crate::day::append::End;
use crate::day::damage::Damage;
use crate::day::fragment::Fragment;
use crate::day::lateness::{LatenessNotes, Span};
use crate::day::scan::{BLOCK, line_start, scan};
use crate::disk::{Disk, DiskFile, FileId};
use crate::entry::head;
use crate::home::{TRAIL_FOLDER, day_name};

/// The wanted state of a day file.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) folder: &'a str,
    pub(crate) day: Date,
    /// Wanted lines can only be at or after this offset; the search for them starts here.
    pub(crate) from: u64,
    /// Damage below this length is never overwritten, because these bytes were synced.
    pub(crate) durable_len: u64,
    /// From this offset on, the existing bytes are written again unchanged. After a failed sync the system may not try
    /// to write them again; a new write makes sure that the next sync covers them.
    pub(crate) again: u64,
    /// The lines that the file must contain, in the order in which missing ones are appended.
    pub(crate) lines: &'a [Vec<u8>],
}

/// The result of [`reconcile`].
#[derive(Debug)]
pub(crate) struct Reconciled {
    /// The open file; the caller syncs it.
    pub(crate) file: Arc<dyn DiskFile>,
    /// The device and inode of the file.
    pub(crate) file_id: FileId,
    /// The length of the file afterwards.
    pub(crate) len: u64,
    /// The fragments whose bytes were replaced with spaces.
    pub(crate) fragments: Vec<Fragment>,
    /// The number of lines that another writer's bytes broke and that were therefore appended again.
    pub(crate) spliced: usize,
}

/// Replaces damage that [`Damage::find`] found with spaces, and appends the missing lines.
///
/// It can be repeated after a crash at any point and leads to the same content. The caller holds the home's append
/// lock, and syncs the file afterwards.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn reconcile(
    disk: &dyn Disk,
    largest: &mut LatenessNotes,
    want: &Wanted<'_>,
    damage: Damage,
) -> io::Result<Reconciled> {
    let (folder, day) = (want.folder, want.day);
    let file = Arc::<dyn DiskFile>::from(disk.append(&[folder, TRAIL_FOLDER, &day_name(day)])?);
    let stat = file.stat()?;
    let fragments =
        if damage.is_none() { Vec::new() } else { damage.mend(disk, (folder, day), &*file, want.durable_len)? };
    let len = file.stat()?.len;
    let from = line_start(&*file, want.from, len)?;
    let mut wanted = FoundLines::new(want.lines);
    scan(&*file, (from, len), |_, line| line.into_iter().for_each(|line| wanted.found(line)))?;
    write_again(disk, want, (&*file, len))?;
    let missing = wanted.missing();
    let end = End { file, file_id: stat.file_id(), len, is_torn: false };
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

/// Writes existing bytes of a file again, unchanged: after a failed sync the system may have dropped its note that they
/// must be written.
fn write_again(disk: &dyn Disk, want: &Wanted<'_>, (file, to): (&dyn DiskFile, u64)) -> io::Result<()> {
    let mut at = want.again;
    if at >= to {
        return Ok(());
    }
    let over = disk.write(&[want.folder, TRAIL_FOLDER, &day_name(want.day)])?;
    let identity = |file: &dyn DiskFile| file.stat().map(|stat| stat.file_id());
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

/// The wanted lines, and which of them were found in the file.
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
            // A line that is in two segments is wanted only once.
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

    /// Reconciles a file that contains `text` with the lines `wanted`; with `durable_len` as after a power cut.
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
        let mut largest = LatenessNotes::new(|| Zone::UTC);
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
