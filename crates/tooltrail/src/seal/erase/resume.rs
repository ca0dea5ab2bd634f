//! Does the work of an erasure that is recorded, and completes one whose process was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::clock::Date;
use crate::disk::Disk;
use crate::home::{APPENDS_WAIT, OWN_FOLDER, TRAIL_FOLDER, day_name};
use crate::seal::changes::Day;
use crate::seal::erase::files::{ERASING, day_files};
use crate::seal::erase::lines::each_line_at;
use crate::seal::erase::replacement::replacement;
use crate::seal::keys::{ERASED, read_text};
use crate::seal::leaves::{SEAL_FOLDER, remove_caches};
use crate::seal::name::{NAMES_FOLDER, NameKey};
use crate::seal::record::{ErasedLine, Record, What};
use crate::seal::sealer::Sealer;
use crate::seal::tree::{Hash, leaf_hash};

/// The file that says up to where the erasures beside the key have been applied to this home.
const APPLIED: [&str; 2] = [OWN_FOLDER, "erased.applied"];

/// The most bytes of the note of an erasure, and of the erasures beside the key that are read at once.
const NOTE_BYTES_MAX: usize = 16 * 1024 * 1024;
const ERASED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Task {
    /// The files of which lines are overwritten.
    pub(super) lines: BTreeSet<Day>,
    /// The files that are removed.
    pub(super) files: BTreeSet<Day>,
    /// The folders of which everything goes.
    pub(super) folders: BTreeSet<String>,
}

impl Task {
    /// Writes the note of an erasure, durably.
    pub(super) fn note(&self, disk: &dyn Disk) -> io::Result<()> {
        let day = |kind: &str, (folder, date): &Day| format!("{kind} {date} {folder}\n");
        let mut text = self.lines.iter().map(|file| day("lines", file)).collect::<String>();
        text.extend(self.files.iter().map(|file| day("file", file)));
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
            let day = || rest.split_once(' ').and_then(|(date, folder)| Some((folder.to_owned(), Date::parse(date)?)));
            match (kind, day()) {
                ("lines", Some(day)) => drop(task.lines.insert(day)),
                ("file", Some(day)) => drop(task.files.insert(day)),
                ("folder", _) => drop(task.folders.insert(rest.to_owned())),
                _ => {}
            }
        }
        Ok(Some(task))
    }
}

/// Keeps the records beside the key and does what they say. The records are signed.
pub(super) fn finish(sealer: &Sealer, task: &Task, records: &[Record]) -> io::Result<()> {
    let disk = &**sealer.disk();
    keep(sealer, records)?;
    let mut lines = BTreeMap::new();
    for record in records {
        if let Record::Event(event) = record
            && let What::ErasedLines(erased) = &event.what
        {
            erased.iter().for_each(|line| drop(lines.insert((line.name, line.line), line.clone())));
        }
    }
    for day in &task.lines {
        if let Some(key) = NameKey::read(disk, &day.0)? {
            overwrite(sealer, day, &key.of_file(&day.0, day.1), &lines)?;
        }
    }
    for day in &task.files {
        remove(sealer, day)?;
    }
    for folder in &task.folders {
        forget(disk, folder)?;
    }
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
    // The records of the log say which lines; those beside the key also tell a home that has an older log.
    let mut records = read_kept(sealer)?;
    if task.is_some() {
        records.extend(in_log(sealer)?);
    }
    let mut task = task.unwrap_or_default();
    let names = records.iter().flat_map(named).collect::<BTreeSet<_>>();
    for user in disk.list(&[])?.into_iter().filter(|entry| entry.folder && entry.name != OWN_FOLDER) {
        let Some(key) = NameKey::read(disk, &user.name)? else { continue };
        let dates = day_files(disk, &user.name);
        let files = dates.iter().filter(|date| names.contains(&(key.of_file(&user.name, **date), true)));
        let files = files.map(|date| (user.name.clone(), *date)).collect::<Vec<_>>();
        // A home from before the erasure of a user has the user's name key.
        if !files.is_empty() && files.len() == dates.len() {
            task.folders.insert(user.name.clone());
        }
        task.files.extend(files);
        let lines = dates.iter().filter(|date| names.contains(&(key.of_file(&user.name, **date), false)));
        task.lines.extend(lines.map(|date| (user.name.clone(), *date)));
    }
    finish(sealer, &task, &records)?;
    Task::done(disk)
}

/// Returns the keyed names in a record, each with whether the whole file was erased.
fn named(record: &Record) -> Vec<(Hash, bool)> {
    let Record::Event(event) = record else { return Vec::new() };
    match &event.what {
        What::ErasedLines(lines) => lines.iter().map(|line| (line.name, false)).collect(),
        What::ErasedFiles(files) => files.iter().map(|name| (*name, true)).collect(),
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
    crate::seal::sealer::each_signed(&**sealer.disk(), |entry| {
        if entry.starts_with(b"{\"type\":\"erase\"") {
            records.extend(Record::decode(entry));
        }
    })?;
    Ok(records)
}

/// Overwrites the lines of a file that are still as they were before their erasure.
fn overwrite(sealer: &Sealer, day: &Day, name: &Hash, lines: &BTreeMap<(Hash, u64), ErasedLine>) -> io::Result<()> {
    let disk = &**sealer.disk();
    let path = [&*day.0, TRAIL_FOLDER, &day_name(day.1)];
    if disk.open(&path)?.is_none() {
        return Ok(());
    }
    let _append = sealer.home.lock_appends(APPENDS_WAIT)?;
    let file = disk.write(&path)?;
    let mut changed = false;
    each_line_at(&*file, |number, offset, line| {
        let Some(erased) = lines.get(&(*name, number)) else { return Ok(()) };
        let new = replacement(line);
        if leaf_hash(line) != erased.old || leaf_hash(&new) != erased.new {
            return Ok(());
        }
        changed = true;
        let mut written = 0;
        while written < new.len() {
            match file.write_at(&new[written..], offset + written as u64)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                taken => written += taken,
            }
        }
        Ok(())
    })?;
    if changed { file.sync() } else { Ok(()) }
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
