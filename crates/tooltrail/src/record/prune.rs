//! Pruning: the retention chooses the days to remove, each is recorded first, and then its files are removed.

pub(crate) mod prunable;

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use crate::disk::Lock;
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER, TRAIL_FOLDER, day_name};
use crate::journal::waiting;
use crate::record::counters::Meters;
use crate::record::event::Event;
use crate::record::prune::prunable::{
    Chosen, PrunableFile, PrunedDay, UNDER_WAY, chosen, day_file, folder_names, plain,
};
use crate::record::recorder::Recorder;
use crate::record::store::group::Day;
use crate::retention::Retention;
use crate::rollup_files;

/// How long to wait for the append lock and for another prune: enough for the files that thousands of users have for
/// one day.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// The most files that are removed while the append lock is held once. Writers wait for the lock meanwhile.
const FILES_AT_ONCE: usize = 64;

/// How often, and with which pause, a prune checks whether other processes have flushed their lines in files that are
/// to be removed. They flush every second.
const FLUSH_TRIES: usize = 13;
const FLUSH_PAUSE: Duration = Duration::from_millis(250);

impl Recorder {
    /// Removes the days that the retention does not keep, oldest first. Returns the removed days.
    ///
    /// For each day, a `tooltrail.prune` entry is durable before the first of its files is removed, so that a killed
    /// prune has still been recorded. The next prune records and removes the rest of such a day, even if that is within
    /// the limits by then, but not if the day must be kept in any case. Only regular day files with one hard link are
    /// removed. An empty user folder stays, because another process may be about to write there.
    ///
    /// A file that has grown after it was recorded, or that has lines in a journal that are not flushed, stays until
    /// the next prune, because its writer would create it again.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Retention::check`]; [`Error::Io`] if the home cannot be read, a file cannot be removed, or
    /// another prune takes too long; [`Error::Unwritten`] if the prune could not be recorded. No further file is
    /// removed after an error.
    pub fn prune(&self, retention: &Retention, by: &str) -> Result<Vec<PrunedDay>, Error> {
        retention.check()?;
        let home = self.home();
        let lock_path = home.root().join(OWN_FOLDER).join("prune.lock");
        // Two prunes at the same time would record and count the same files twice.
        let lock = home.disk().lock(&[OWN_FOLDER, "prune.lock"], LOCK_WAIT);
        let _lock = lock.map_err(Error::io("lock (another prune may be under way)", &lock_path))?;
        // A file with lines that are not flushed yet would be created again. Earlier losses are reported by a gap and
        // do not stop the prune.
        match self.flush() {
            Ok(()) | Err(Error::Unwritten { .. }) => {}
            Err(error) => return Err(error),
        }
        let chosen = chosen(home, retention, self.clock().now().date())?;
        let held = await_flushes(home, &chosen)?;
        let Chosen { days, folders, resumed } = chosen;
        if resumed {
            // The killed prune may have removed files without syncing their folders.
            sync_folders(home, &folder_names(home)?)?;
        }
        let mut gone = Vec::new();
        for (mut day, files) in days {
            self.event_durable(Event::Prune {
                day: day.day.to_string(),
                files: day.files,
                entries: day.entries,
                bytes: day.bytes,
                limit: day.limit.as_str(),
                by: by.to_owned(),
            })?;
            note(home, &day)?;
            let of_day = files.iter().map(|file| (folders[file.folder].clone(), day.day)).collect::<Vec<_>>();
            let why = format!("retention: {}", day.limit.as_str());
            // Held until the files are removed, so that nobody seals one of them in between.
            let _sealing = self.sealing().map(|sealing| sealing.pruning(&of_day, by, &why)).transpose()?;
            // Whoever keeps the rollups makes them again for the files that stay.
            rollup_files::remove(home.disk().as_ref(), day.day)
                .map_err(Error::io("remove the rollups of", home.root()))?;
            day.left = remove(home, &day, (&files, &folders), &held, &self.state().meters)?;
            gone.push(day);
        }
        if resumed || !gone.is_empty() {
            let path = home.root().join(UNDER_WAY.join("/"));
            home.disk().remove(&UNDER_WAY).map_err(Error::io("remove", &path))?;
        }
        Ok(gone)
    }
}

/// Waits a while until no journal has unflushed lines for these days. Returns all day files with unflushed lines.
fn await_flushes(home: &Home, chosen: &Chosen) -> Result<BTreeSet<Day>, Error> {
    let path = home.root().join(OWN_FOLDER).join("journal");
    let days = chosen.days.iter().map(|(day, _)| day.day).collect::<BTreeSet<_>>();
    let (id, mut tries) = (home.id()?, 0);
    loop {
        let files = waiting(&**home.disk(), &id).map_err(Error::io("read", &path))?;
        tries += 1;
        if tries == FLUSH_TRIES || files.iter().all(|(_, day)| !days.contains(day)) {
            return Ok(files);
        }
        home.disk().pause(FLUSH_PAUSE);
    }
}

/// Writes the note of the day that was recorded and whose files are removed now.
fn note(home: &Home, day: &PrunedDay) -> Result<(), Error> {
    let text = format!("{} {}\n", day.day, day.limit.as_str());
    match home.disk().replace(&UNDER_WAY, text.as_bytes()) {
        // A full disk must not stop a prune, because the prune frees space. The note is needed only if the prune is
        // killed.
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
        noted => noted.map_err(Error::io("write", &home.root().join(UNDER_WAY.join("/")))),
    }
}

/// Removes the files of a day in several steps. Returns the number of files that stay.
fn remove(
    home: &Home,
    day: &PrunedDay,
    (files, folders): (&[PrunableFile], &[String]),
    held: &BTreeSet<Day>,
    meters: &Meters,
) -> Result<u64, Error> {
    let mut left = 0;
    for part in files.chunks(FILES_AT_ONCE) {
        let _append = append_lock(home)?;
        for file in part {
            let folder = &*folders[file.folder];
            let failed = |error| Error::io("remove", &home.day_path(folder, day.day))(error);
            match day_file(home, folder, day.day).map_err(failed)? {
                // The file has grown after it was recorded, or has unflushed lines. It stays until the next prune.
                Some((_, len)) if len != file.bytes || held.contains(&(folder.to_owned(), day.day)) => left += 1,
                Some(_) => {
                    home.disk().remove(&[folder, TRAIL_FOLDER, &day_name(day.day)]).map_err(failed)?;
                    meters.pruned(file.entries, file.bytes);
                }
                None => {}
            }
        }
    }
    // The append lock is not held during this sync. If a power cut brings the files back before it, the note is still
    // there.
    sync_folders(home, files.iter().map(|file| &folders[file.folder]))?;
    forget_lateness(home, day, (files, folders))?;
    Ok(left)
}

/// Syncs the trail folders of these users, so that the removal of files is durable.
fn sync_folders<'a>(home: &Home, folders: impl IntoIterator<Item = &'a String>) -> Result<(), Error> {
    for folder in folders {
        let path = home.root().join(folder).join(TRAIL_FOLDER);
        // If the name is not a folder, no file was removed there.
        plain(home.disk().sync_folder(&[folder, TRAIL_FOLDER])).map_err(Error::io("sync", &path))?;
    }
    Ok(())
}

/// Removes the lateness note of the day, unless one of its files exists again.
fn forget_lateness(home: &Home, day: &PrunedDay, (files, folders): (&[PrunableFile], &[String])) -> Result<(), Error> {
    let (disk, date) = (&**home.disk(), day.day.to_string());
    let note = [OWN_FOLDER, "late", &*date];
    let failed = |error| Error::io("remove", &home.root().join(note.join("/")))(error);
    let _append = append_lock(home)?;
    for file in files {
        let path = [&*folders[file.folder], TRAIL_FOLDER, &day_name(day.day)];
        if disk.stat(&path).map_err(failed)?.is_some() {
            return Ok(());
        }
    }
    disk.remove(&note).map_err(failed)
}

fn append_lock(home: &Home) -> Result<Box<dyn Lock>, Error> {
    home.lock_appends(LOCK_WAIT).map_err(Error::io("lock the appends of", home.root()))
}
