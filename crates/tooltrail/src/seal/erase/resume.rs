//! Does the work of an erasure that is recorded, and completes one whose process was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use crate::changes::Day;
use crate::clock::Date;
use crate::disk::Disk;
use crate::home::{APPENDS_WAIT, OWN_FOLDER, TRAIL_FOLDER, day_name, user_folders};
use crate::journal::{request_zeros, zero_unowned};
use crate::rollup_files;
use crate::seal::erase::files::{ERASING, day_files};
use crate::seal::erase::removed::RemovedFiles;
use crate::seal::erase::replacement::replacement;
use crate::seal::keys::{ERASED, read_text};
use crate::seal::leaves::{SEAL_FOLDER, remove_caches};
use crate::seal::lines::each_line_at;
use crate::seal::name::{NAMES_FOLDER, NameKey};
use crate::seal::record::{ErasedLine, Record, What};
use crate::seal::sealer::Sealer;
use crate::seal::signing::SignError;
use crate::seal::tree::{Hash, leaf_hash};

/// The file that says up to where the erasures beside the key have been applied to this home.
const APPLIED: [&str; 2] = [OWN_FOLDER, "erased.applied"];

/// How long to wait for a process that seals.
const WAIT: Duration = Duration::from_secs(2);

/// The most bytes of the note of an erasure, and of the erasures beside the key that are read at once.
const NOTE_BYTES_MAX: usize = 256 * 1024 * 1024;
const ERASED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Task {
    /// The lines that are overwritten.
    lines: BTreeMap<Day, Vec<Overwrite>>,
    /// The files that are removed.
    pub(super) files: BTreeSet<Day>,
    /// The folders of which everything goes.
    pub(super) folders: BTreeSet<String>,
}

/// A line that is overwritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Overwrite {
    pub(super) number: u64,
    pub(super) offset: u64,
    /// The line that stands there afterwards, of the same length.
    pub(super) new: Vec<u8>,
}

impl Task {
    /// Adds a line to overwrite.
    pub(super) fn add(&mut self, day: &Day, line: Overwrite) {
        self.lines.entry(day.clone()).or_default().push(line);
    }

    /// Writes the note of an erasure, durably.
    pub(super) fn note(&self, disk: &dyn Disk) -> io::Result<()> {
        let mut text = String::new();
        for ((folder, date), lines) in &self.lines {
            for Overwrite { number, offset, new } in lines {
                // The line as it will stand, because it cannot be told from a line that is overwritten by half.
                text.push_str(&format!("line {date} {folder}/{number} {offset} {}\n", String::from_utf8_lossy(new)));
            }
        }
        text.extend(self.files.iter().map(|(folder, date)| format!("file {date} {folder}\n")));
        text.extend(self.folders.iter().map(|folder| format!("folder {folder}\n")));
        disk.replace(&ERASING, text.as_bytes())
    }

    /// Removes the note.
    pub(super) fn done(disk: &dyn Disk) -> io::Result<()> {
        disk.remove(&ERASING)?;
        disk.sync_folder(&[OWN_FOLDER])
    }

    fn read(disk: &dyn Disk) -> io::Result<Option<Self>> {
        let Some(text) = read_text(disk, &ERASING, NOTE_BYTES_MAX)? else { return Ok(None) };
        let mut task = Self::default();
        for line in text.lines() {
            let Some((kind, rest)) = line.split_once(' ') else { continue };
            let dated = || rest.split_once(' ').and_then(|(date, rest)| Some((Date::parse(date)?, rest)));
            match (kind, dated()) {
                ("line", Some((date, rest))) => {
                    if let Some((folder, line)) = parse_overwrite(rest) {
                        task.add(&(folder, date), line);
                    }
                }
                ("file", Some((date, folder))) => drop(task.files.insert((folder.to_owned(), date))),
                ("folder", _) => drop(task.folders.insert(rest.to_owned())),
                _ => {}
            }
        }
        Ok(Some(task))
    }
}

/// Reads `FOLDER/NUMBER OFFSET LINE`. A folder has no slash, and the line may contain anything.
fn parse_overwrite(text: &str) -> Option<(String, Overwrite)> {
    let (folder, rest) = text.split_once('/')?;
    let (number, rest) = rest.split_once(' ')?;
    let (offset, new) = rest.split_once(' ')?;
    let line = Overwrite { number: number.parse().ok()?, offset: offset.parse().ok()?, new: new.as_bytes().to_vec() };
    Some((folder.to_owned(), line))
}

/// Keeps the records beside the key and does what they say. The records are signed.
pub(super) fn finish(sealer: &Sealer, task: &Task, records: &[Record]) -> io::Result<()> {
    let disk = &**sealer.disk();
    keep(sealer, records)?;
    // The rollups go first: if this process is killed in between, the next one no longer sees the files that are gone.
    // While the lock is held, no rollup is made of the lines as they were.
    let rollups = rollup_files::lock(disk)?;
    for (_, date) in task.lines.keys().chain(&task.files).collect::<BTreeSet<_>>() {
        rollup_files::remove(disk, *date)?;
    }
    for (day, lines) in &task.lines {
        overwrite(sealer, day, lines)?;
    }
    for day in &task.files {
        remove(sealer, day)?;
    }
    for folder in &task.folders {
        forget(disk, folder)?;
    }
    drop(rollups);
    let len = sealer.keys.disk().open(&[ERASED])?.map_or(Ok(0), |file| file.stat().map(|stat| stat.len))?;
    disk.replace(&APPLIED, format!("{len}\n").as_bytes())
}

/// Completes an erasure whose process was killed, and cleans a home that was restored from before an erasure.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn resume(sealer: &Sealer) -> io::Result<()> {
    let disk = &**sealer.disk();
    let kept = sealer.keys.disk().open(&[ERASED])?.map_or(Ok(0), |file| file.stat().map(|stat| stat.len))?;
    let applied = read_text(disk, &APPLIED, 64)?.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0);
    let task = Task::read(disk)?;
    if task.is_none() && applied >= kept {
        return Ok(());
    }
    // What was signed is published first: the process may have been killed in between.
    let opened = match sealer.open(WAIT) {
        Ok(opened) => Some(opened),
        // Another process seals, and may be erasing just now. The next one looks again.
        Err(SignError::Io(error)) if error.kind() == io::ErrorKind::TimedOut => return Ok(()),
        // A home that was restored has an older log; the records beside the key are all that is known.
        Err(SignError::Refused(_)) => None,
        Err(SignError::Io(error)) => return Err(error),
    };
    // Only what is recorded is done: the process may have been killed before it could record anything.
    let mut records = read_kept(sealer)?;
    let signed = in_log(sealer)?;
    let removed = RemovedFiles::of(disk, &records, &signed)?;
    if opened.is_some() {
        records.extend(signed);
    }
    let noted = task.unwrap_or_default();
    let mut task = Task::default();
    let names = records.iter().flat_map(with_erased_lines).collect::<BTreeSet<_>>();
    let lines = erased_lines(&records);
    for folder in user_folders(disk)? {
        let Some(key) = NameKey::read(disk, &folder)? else { continue };
        let dates = day_files(disk, &folder);
        let mut files = Vec::new();
        for date in &dates {
            let day = (folder.clone(), *date);
            if removed.has(disk, (&folder, *date), key.of_file(&folder, *date), noted.files.contains(&day))? {
                files.push(day);
            }
        }
        // A home from before the erasure of a user has the user's name key.
        if files.len() == dates.len() && (!files.is_empty() || noted.folders.contains(&folder)) {
            task.folders.insert(folder.clone());
        }
        task.files.extend(files);
        for date in dates.iter().filter(|date| names.contains(&key.of_file(&folder, **date))) {
            let (day, name) = ((folder.clone(), *date), key.of_file(&folder, *date));
            // First those that the note has, of which some may be overwritten by half.
            let is_recorded = |line: &&Overwrite| {
                lines.get(&(name, line.number)).is_some_and(|erased| erased.new == leaf_hash(&line.new))
            };
            let known = noted.lines.get(&day).into_iter().flatten().filter(is_recorded);
            known.for_each(|line| task.add(&day, line.clone()));
            let Some(file) = disk.open(&[&folder, TRAIL_FOLDER, &day_name(*date)])? else { continue };
            each_line_at(&*file, |number, offset, line| {
                let erased = lines.get(&(name, number)).filter(|erased| erased.old == leaf_hash(line));
                if let Some(new) = erased.map(|_| replacement(line)) {
                    task.add(&day, Overwrite { number, offset, new });
                }
                Ok(())
            })?;
        }
    }
    // A user whose folder is gone already.
    let is_gone = |folder: &&String| day_files(disk, folder).is_empty();
    task.folders.extend(noted.folders.iter().filter(is_gone).cloned());
    finish(sealer, &task, &records)?;
    request_zeros(disk)?;
    zero_unowned(disk)?;
    Task::done(disk)?;
    if let Some(opened) = opened {
        opened.close();
    }
    Ok(())
}

/// Returns the erased lines of records, by keyed name and line. The last record of a line counts.
fn erased_lines(records: &[Record]) -> BTreeMap<(Hash, u64), ErasedLine> {
    let mut lines = BTreeMap::new();
    for record in records {
        if let Record::Event(event) = record
            && let What::ErasedLines(erased) = &event.what
        {
            erased.iter().for_each(|line| drop(lines.insert((line.name, line.line), line.clone())));
        }
    }
    lines
}

/// Returns the keyed names of the files of which a record erases lines.
fn with_erased_lines(record: &Record) -> Vec<Hash> {
    let Record::Event(event) = record else { return Vec::new() };
    match &event.what {
        What::ErasedLines(lines) => lines.iter().map(|line| line.name).collect(),
        _ => Vec::new(),
    }
}

/// Appends the records that are not there yet to the erasures beside the key, durably.
fn keep(sealer: &Sealer, records: &[Record]) -> io::Result<()> {
    let keys = sealer.keys.disk();
    let before = read_text(keys, &[ERASED], ERASED_BYTES_MAX)?.unwrap_or_default();
    let known = before.lines().collect::<BTreeSet<_>>();
    let new = records.iter().map(|record| String::from_utf8_lossy(&record.encode()).into_owned());
    let new = new.filter(|line| !known.contains(&**line)).map(|line| line + "\n").collect::<String>();
    if new.is_empty() {
        return Ok(());
    }
    // The last line is whole: a process that was killed in the middle of it has its records in the log.
    let whole = before.rfind('\n').map_or(0, |at| at + 1);
    keys.replace(&[ERASED], format!("{}{new}", &before[..whole]).as_bytes())
}

fn read_kept(sealer: &Sealer) -> io::Result<Vec<Record>> {
    let text = read_text(sealer.keys.disk(), &[ERASED], ERASED_BYTES_MAX)?.unwrap_or_default();
    Ok(text.lines().filter_map(|line| Record::decode(line.as_bytes())).collect())
}

/// Returns the erase records of the signed log.
fn in_log(sealer: &Sealer) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    crate::seal::sealer::each_signed(&**sealer.disk(), |_, entry| {
        if entry.starts_with(b"{\"type\":\"erase\"") {
            records.extend(Record::decode(entry));
        }
    })?;
    Ok(records)
}

/// Overwrites lines of a file, durably.
fn overwrite(sealer: &Sealer, day: &Day, lines: &[Overwrite]) -> io::Result<()> {
    let disk = &**sealer.disk();
    let path = [&*day.0, TRAIL_FOLDER, &day_name(day.1)];
    if disk.open(&path)?.is_none() {
        return Ok(());
    }
    let _append = sealer.home.lock_appends(APPENDS_WAIT)?;
    let file = disk.write(&path)?;
    for Overwrite { offset, new, .. } in lines {
        let mut written = 0;
        while written < new.len() {
            match file.write_at(&new[written..], offset + written as u64)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                taken => written += taken,
            }
        }
    }
    file.sync()
}

/// Removes a day file and its cached leaves.
fn remove(sealer: &Sealer, (folder, date): &Day) -> io::Result<()> {
    let disk = &**sealer.disk();
    let append = sealer.home.lock_appends(APPENDS_WAIT)?;
    disk.remove(&[folder, TRAIL_FOLDER, &day_name(*date)])?;
    drop(append);
    disk.sync_folder(&[folder, TRAIL_FOLDER])?;
    remove_caches(disk, folder, *date)
}

/// Removes the name key of a user whose files are gone, and the empty folders.
fn forget(disk: &dyn Disk, folder: &str) -> io::Result<()> {
    if !day_files(disk, folder).is_empty() {
        // Entries were recorded meanwhile.
        return Ok(());
    }
    if let Some(len) = disk.stat(&[OWN_FOLDER, NAMES_FOLDER, folder])?.map(|stat| stat.len) {
        // The key itself must go, not only its name.
        let zeros = vec![b'0'; usize::try_from(len).unwrap_or(0)];
        let file = disk.write(&[OWN_FOLDER, NAMES_FOLDER, folder])?;
        file.write_at(&zeros, 0)?;
        file.sync()?;
    }
    disk.remove(&[OWN_FOLDER, NAMES_FOLDER, folder])?;
    disk.sync_folder(&[OWN_FOLDER, NAMES_FOLDER])?;
    // A folder that holds something else stays.
    let _ = disk.remove_folder(&[OWN_FOLDER, SEAL_FOLDER, folder]);
    let _ = disk.remove_folder(&[folder, TRAIL_FOLDER]).and_then(|()| disk.remove_folder(&[folder]));
    disk.sync_folder(&[])
}
