//! Appends the finished line of a claim to its day file, and leaves the sign that the call is recorded.

use std::io;
use std::time::Duration;

use crate::clock::{Timestamp, Zone};
use crate::day::{Damage, LatenessNotes, Wanted, reconcile};
use crate::disk::Disk;
use crate::durability::Durability;
use crate::home::{Home, OWN_FOLDER};
use crate::record::sealing::Sealing;
use crate::record::sessions::note::{CLAIMS_FOLDER, ENDED_FOLDER, Note, OPEN_FOLDER};
use crate::record::sessions::touched;

/// How long signs of recorded calls are asked for.
const SIGN_AGE_MS: i64 = 24 * 60 * 60 * 1_000;

/// What is in the sign of a recorded call whose outcome nobody told.
const INTERRUPTED: &[u8] = b"interrupted\n";

/// Appends the lines of claims.
pub(super) struct Appender<'a> {
    home: &'a Home,
    disk: &'a dyn Disk,
    sealing: Option<&'a dyn Sealing>,
    /// How long to wait for the append lock.
    wait: Duration,
}

impl<'a> Appender<'a> {
    pub(super) fn new(home: &'a Home, sealing: Option<&'a dyn Sealing>, wait: Duration) -> Self {
        Self { home, disk: &**home.disk(), sealing, wait }
    }

    /// Appends the line of a claim to its day file, unless it is there already, and removes the claim.
    ///
    /// The claim is removed only after the line is durable. While the append lock is held, nobody else can append the
    /// same line; if the claim is gone then, another process has done so.
    ///
    /// # Errors
    /// Any I/O error of the operating system; [`io::ErrorKind::TimedOut`] if another process holds the append lock. The
    /// claim stays for a later process then.
    pub(super) fn append(&self, name: &str, note: &Note, now: Timestamp, durability: Durability) -> io::Result<()> {
        let (folder, day) = (&*note.day.0, note.day.1);
        let claim = [OWN_FOLDER, CLAIMS_FOLDER, name];
        touched::touch(self.disk, (folder, day))?;
        // A torn tail is waited for without the lock.
        let damage = Damage::find(self.disk, folder, day, None)?;
        let lock = self.home.lock_appends(self.wait)?;
        if self.disk.stat(&claim)?.is_none() {
            return damage.discard(self.disk);
        }
        let lines = [note.line.clone()];
        let want = Wanted { folder, day, from: note.from, durable_len: 0, again: u64::MAX, lines: &lines };
        let done = reconcile(self.disk, &mut LatenessNotes::new(Zone::system), &want, damage)?;
        drop(lock);
        if durability != Durability::Buffered {
            done.file.sync()?;
            if let Some(sealing) = self.sealing {
                sealing.flushed(&[(note.day.clone(), done.len)]);
            }
        }
        let sign = [OWN_FOLDER, ENDED_FOLDER, &day_folder(now), name];
        if note.is_finished {
            self.disk.rename(&claim, &sign)?;
        } else {
            self.disk.create(&sign, INTERRUPTED, false)?;
            self.disk.remove(&claim)?;
        }
        // Last, so that a power cut before the sync leaves at least the note that the call began.
        self.disk.remove(&[OWN_FOLDER, OPEN_FOLDER, name])
    }
}

/// Returns whether the call of this name was recorded on the day of `at` or on the day before, and if so, whether with its
/// outcome.
pub(super) fn ended_in(disk: &dyn Disk, name: &str, at: Timestamp) -> io::Result<Option<bool>> {
    for day in [at, Timestamp::from_millis(at.as_millis() - SIGN_AGE_MS)] {
        let stat = disk.stat(&[OWN_FOLDER, ENDED_FOLDER, &day_folder(day), name])?;
        if let Some(stat) = stat {
            return Ok(Some(stat.len != INTERRUPTED.len() as u64));
        }
    }
    Ok(None)
}

/// The day on which something is recorded, as the name of a folder.
pub(super) fn day_folder(now: Timestamp) -> String {
    now.date().to_string()
}
