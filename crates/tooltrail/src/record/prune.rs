//! Days that go: chosen by the retention, recorded first, and then removed file by file.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::clock::{Clock, Date};
use crate::disk::{DiskFile, is_trouble};
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER, TRAIL_FOLDER, day_name, day_of};
use crate::record::event::Event;
use crate::record::recorder::Recorder;
use crate::retention::{Limit, Retention, Size};

/// How long another process may hold the append lock.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Files that are removed under one hold of the append lock: whoever appends waits for them.
const FILES_AT_ONCE: usize = 64;

/// Bytes read at once to count lines.
const BLOCK: usize = 1024 * 1024;

/// A day that is to go, or is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrunedDay {
    /// Which.
    pub day: Date,
    /// Over which limit.
    pub limit: Limit,
    /// Its day files, of all users.
    pub files: u64,
    /// Their entries.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that stay for now: they grew, were replaced or could not be removed meanwhile.
    pub left: u64,
}

/// The day files of one day.
#[derive(Debug, Default)]
struct Files {
    size: Size,
    /// Each with its folder.
    found: Vec<(String, u64)>,
}

impl Recorder {
    /// Removes the days that the retention does not keep, the oldest first; returns what went.
    ///
    /// For each day a `tooltrail.prune` is durable before the first of its files goes, so that whoever is killed in the
    /// middle has told it; the next prune completes it. Only plain day files are touched; a user's empty folder stays,
    /// as another may be about to write there.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Retention::check`], [`Error::Io`] where the home cannot be read or a file not removed, and
    /// [`Error::Unwritten`] where it could not be recorded; then nothing more is removed.
    pub fn prune(&self, retention: &Retention, by: &str) -> Result<Vec<PrunedDay>, Error> {
        // A file of which something still waits would come again. What was lost before is told by a gap, and stops
        // nothing here.
        match self.flush() {
            Ok(()) | Err(Error::Unwritten { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut gone = Vec::new();
        for (mut day, files) in chosen(self.home(), retention, self.clock().now().date())? {
            self.event_durable(Event::Prune {
                day: day.day.to_string(),
                files: day.files,
                entries: day.entries,
                bytes: day.bytes,
                limit: day.limit.as_str(),
                by: by.to_owned(),
            })?;
            day.left = remove(self.home(), day.day, &files)?;
            gone.push(day);
        }
        Ok(gone)
    }
}

/// Returns the days that a prune would remove, and removes nothing.
///
/// # Errors
/// As [`Recorder::prune`].
pub fn would_prune(home: &Home, retention: &Retention, clock: &dyn Clock) -> Result<Vec<PrunedDay>, Error> {
    Ok(chosen(home, retention, clock.now().date())?.into_iter().map(|(day, _)| day).collect())
}

/// Returns the days that are to go with their files.
fn chosen(home: &Home, retention: &Retention, today: Date) -> Result<Vec<(PrunedDay, Files)>, Error> {
    retention.check()?;
    let mut days = survey(home, retention.max_entries.is_some())?;
    let sizes = days.iter().map(|(day, files)| (*day, files.size)).collect();
    let mut chosen = Vec::new();
    for (day, limit) in retention.choose(&sizes, today) {
        let Some(files) = days.remove(&day) else { continue };
        let mut entries = files.size.entries;
        if retention.max_entries.is_none() {
            for (folder, _) in &files.found {
                entries += count(home, folder, day)?;
            }
        }
        let (count, bytes) = (files.found.len() as u64, files.size.bytes);
        chosen.push((PrunedDay { day, limit, files: count, entries, bytes, left: 0 }, files));
    }
    Ok(chosen)
}

/// Returns all day files of a home by day, each with its size; with `counted` also with their entries.
fn survey(home: &Home, counted: bool) -> Result<BTreeMap<Date, Files>, Error> {
    let disk = &**home.disk();
    let mut days = BTreeMap::<Date, Files>::new();
    for user in disk.list(&[]).map_err(Error::io("list", home.root()))? {
        if !user.folder || user.name == OWN_FOLDER {
            continue;
        }
        let folder = home.root().join(&user.name).join(TRAIL_FOLDER);
        let Some(files) = plain(disk.list(&[&user.name, TRAIL_FOLDER])).map_err(Error::io("list", &folder))? else {
            continue;
        };
        for day in files.iter().filter(|file| !file.folder).filter_map(|file| day_of(&file.name)) {
            let stat = disk.stat(&[&user.name, TRAIL_FOLDER, &day_name(day)]);
            let stat = stat.map_err(Error::io("look at", &home.day_path(&user.name, day)))?;
            let Some(stat) = stat.filter(|stat| stat.links == 1) else { continue };
            let files = days.entry(day).or_default();
            files.size.bytes += stat.len;
            if counted {
                files.size.entries += count(home, &user.name, day)?;
            }
            files.found.push((user.name.clone(), stat.len));
        }
    }
    Ok(days)
}

/// Counts the lines of a day file; what is no plain file has none.
fn count(home: &Home, folder: &str, day: Date) -> Result<u64, Error> {
    let path = home.day_path(folder, day);
    let opened = plain(home.disk().open(&[folder, TRAIL_FOLDER, &day_name(day)]));
    let Some(file) = opened.map_err(Error::io("open", &path))?.flatten() else { return Ok(0) };
    let (mut block, mut at, mut lines) = (vec![0; BLOCK], 0, 0);
    loop {
        let read = file.read_at(&mut block, at).map_err(Error::io("read", &path))?;
        if read == 0 {
            return Ok(lines);
        }
        lines += memchr::memchr_iter(b'\n', &block[..read]).count() as u64;
        at += read as u64;
    }
}

/// Removes the files of a day, some at a time; returns how many stay.
fn remove(home: &Home, day: Date, files: &Files) -> Result<u64, Error> {
    let disk = &**home.disk();
    let lock_path = home.root().join(OWN_FOLDER).join("append.lock");
    let mut left = 0;
    for part in files.found.chunks(FILES_AT_ONCE) {
        let _lock = disk.lock(&[OWN_FOLDER, "append.lock"], LOCK_WAIT).map_err(Error::io("lock", &lock_path))?;
        for (folder, len) in part {
            let path = [&**folder, TRAIL_FOLDER, &day_name(day)];
            let full = home.day_path(folder, day);
            let failed = Error::io("remove", &full);
            match plain(disk.open(&path)).map(|file| file.flatten().filter(|file| is_as_it_was(&**file, *len))) {
                Ok(Some(_)) => disk.remove(&path).map_err(failed)?,
                // What came after it was recorded stays until the next prune records it.
                Ok(None) => left += 1,
                Err(error) => return Err(failed(error)),
            }
        }
    }
    if left == 0 {
        let note = [OWN_FOLDER, "late", &day.to_string()];
        disk.remove(&note).map_err(Error::io("remove", &home.root().join(note.join("/"))))?;
    }
    Ok(left)
}

fn is_as_it_was(file: &dyn DiskFile, len: u64) -> bool {
    file.stat().is_ok_and(|stat| stat.len == len && stat.links == 1)
}

/// Takes what is no plain file or folder for nothing.
fn plain<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(error) if !is_trouble(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
