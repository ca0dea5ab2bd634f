//! Days that go: chosen by the retention, recorded first, and then removed file by file.

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

/// How long another process may hold the append lock, and how long another prune may still take: a day's files of
/// thousands of users.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Files that are removed under one hold of the append lock: whoever appends waits for them.
const FILES_AT_ONCE: usize = 64;

/// How often, and how long apart, a prune looks whether other processes have flushed what they wrote into files that are
/// to go: they do it each second.
const FLUSH_TRIES: usize = 13;
const FLUSH_PAUSE: Duration = Duration::from_millis(250);

impl Recorder {
    /// Removes the days that the retention does not keep, the oldest first; returns what went.
    ///
    /// For each day a `tooltrail.prune` is durable before the first of its files goes, so that whoever is killed in the
    /// middle has told it. The next prune tells and removes what is left of that day, also where it is within the caps by
    /// then, but for days that are to be kept in any case. Only plain day files without a second name are touched; a
    /// user's empty folder stays, as another may be about to write there.
    ///
    /// A file that grew after it was told, or of which lines still wait in a journal for their flush, stays until the
    /// next prune: its writer would bring it back.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Retention::check`]; [`Error::Io`] where the home cannot be read, a file not be removed, or
    /// another prune is under way for long; [`Error::Unwritten`] where it could not be recorded. Nothing more is removed
    /// then.
    pub fn prune(&self, retention: &Retention, by: &str) -> Result<Vec<PrunedDay>, Error> {
        retention.check()?;
        let home = self.home();
        let lock_path = home.root().join(OWN_FOLDER).join("prune.lock");
        // Two at once would tell and count the same files twice.
        let lock = home.disk().lock(&[OWN_FOLDER, "prune.lock"], LOCK_WAIT);
        let _lock = lock.map_err(Error::io("lock (another prune may be under way)", &lock_path))?;
        // A file of which something still waits would come again. What was lost before is told by a gap, and stops
        // nothing here.
        match self.flush() {
            Ok(()) | Err(Error::Unwritten { .. }) => {}
            Err(error) => return Err(error),
        }
        let chosen = chosen(home, retention, self.clock().now().date())?;
        let held = await_flushes(home, &chosen)?;
        let Chosen { days, folders, resumed } = chosen;
        if resumed {
            // Whoever was killed in the middle may have removed files whose folders nobody else would sync.
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

/// Waits a while for the flush of lines that stood in these files and wait in a journal; returns the files of all that do.
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

/// Notes the day that was told and whose files go now.
fn note(home: &Home, day: &PrunedDay) -> Result<(), Error> {
    let text = format!("{} {}\n", day.day, day.limit.as_str());
    match home.disk().replace(&UNDER_WAY, text.as_bytes()) {
        // A full disk is what a prune is for; without a note only a kill in the middle would show.
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
        noted => noted.map_err(Error::io("write", &home.root().join(UNDER_WAY.join("/")))),
    }
}

/// Removes the files of a day, some at a time; returns how many stay.
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
                // What came after it was told stays until the next prune tells it.
                Some((_, len)) if len != file.bytes || held.contains(&(folder.to_owned(), day.day)) => left += 1,
                Some(_) => {
                    home.disk().remove(&[folder, TRAIL_FOLDER, &day_name(day.day)]).map_err(failed)?;
                    meters.pruned(file.entries, file.bytes);
                }
                None => {}
            }
        }
    }
    // Not under the lock, which is never held across a sync; what a power cut brings back before is still noted.
    sync_folders(home, files.iter().map(|file| &folders[file.folder]))?;
    forget_lateness(home, day, (files, folders))?;
    Ok(left)
}

/// Makes durable which files these users' folders have.
fn sync_folders<'a>(home: &Home, folders: impl IntoIterator<Item = &'a String>) -> Result<(), Error> {
    for folder in folders {
        let path = home.root().join(folder).join(TRAIL_FOLDER);
        // What is no folder of ours has no file that went.
        plain(home.disk().sync_folder(&[folder, TRAIL_FOLDER])).map_err(Error::io("sync", &path))?;
    }
    Ok(())
}

/// Removes what is noted of how late the day's lines come, unless some came again.
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
