//! Completes what earlier processes left: claims of killed ones, calls that nobody ended, and old signs.

use std::io;
use std::time::Duration;

use crate::clock::{Date, Timestamp};
use crate::disk::Disk;
use crate::durability::Durability;
use crate::home::{Home, OWN_FOLDER};
use crate::record::sessions::append::{Appender, day_folder, ended_in};
use crate::record::sessions::note::{CLAIMS_FOLDER, ENDED_FOLDER, Note, OPEN_FOLDER};
use crate::record::sessions::touched;

/// The age at which the process of a claim counts as killed: a hook runs for milliseconds, and its client ends it after
/// some seconds.
const CLAIM_AGE_MS: i64 = 60 * 1_000;

/// The age at which an open call counts as interrupted, and a day's signs of recorded calls are no longer needed.
const OPEN_AGE_MS: i64 = 24 * 60 * 60 * 1_000;

/// The pause between two searches for open calls that are too old.
const SEARCH_EVERY_S: i64 = 10 * 60;

/// The most claims, open calls and signs that one process settles, so that a hook stays short.
const SETTLED_MAX: usize = 64;
const SIGNS_REMOVED_MAX: usize = 1_000;

/// How long to wait for the append lock: what earlier processes left can wait for another one.
const SETTLE_WAIT: Duration = Duration::from_millis(100);

/// The file whose time says when open calls were last searched.
const SEARCHED: &str = "open.searched";

/// Mends what a power cut damaged, appends the lines of old claims, records open calls that are too old as interrupted,
/// and removes signs that are no longer needed.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn settle(home: &Home, now: Timestamp) -> io::Result<()> {
    let disk = &**home.disk();
    let settled = touched::mend(home).and(settle_claims(home, now));
    let searched = [OWN_FOLDER, SEARCHED];
    let is_recent = |stat: crate::disk::Stat| (now.as_millis() / 1_000 - stat.modified_s).abs() < SEARCH_EVERY_S;
    let is_empty = |folder: &str| disk.list(&[OWN_FOLDER, folder]).map(|files| files.is_empty());
    if disk.stat(&searched)?.is_some_and(is_recent) || is_empty(OPEN_FOLDER)? && is_empty(ENDED_FOLDER)? {
        return settled;
    }
    disk.write(&searched)?.write_at(b"\n", 0)?;
    // The signs say which of the open calls are recorded already.
    if settle_open(home, now)? {
        remove_signs(disk, now)?;
    }
    settled
}

/// Appends the lines of claims whose processes were killed. A file that cannot be read is no reason to leave the others,
/// but if the append lock is held, nothing can be appended now.
///
/// Each process begins with another claim, so that those that can never be appended do not keep the others waiting.
fn settle_claims(home: &Home, now: Timestamp) -> io::Result<()> {
    let disk = &**home.disk();
    let mut claims = disk.list(&[OWN_FOLDER, CLAIMS_FOLDER])?;
    claims.retain(|listed| !listed.folder);
    if !claims.is_empty() {
        let first = now.as_millis().unsigned_abs() % claims.len() as u64;
        claims.rotate_left(usize::try_from(first).unwrap_or_default());
    }
    let (mut tried, mut settled) = (0, Ok(()));
    for claim in claims {
        match settle_claim(home, &claim.name, now) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
            Ok(was_old) => tried += usize::from(was_old),
            Err(error) => {
                tried += 1;
                settled = settled.and(Err(error));
            }
        }
        if tried >= SETTLED_MAX {
            break;
        }
    }
    settled
}

/// Appends the line of a claim if it is old. Returns whether it is.
fn settle_claim(home: &Home, name: &str, now: Timestamp) -> io::Result<bool> {
    let disk = &**home.disk();
    let path = [OWN_FOLDER, CLAIMS_FOLDER, name];
    match old_note(disk, &path, now, CLAIM_AGE_MS)? {
        None => return Ok(false),
        Some(Some(note)) if !is_ended(disk, name, &note, now)? => {
            Appender::new(home, None, SETTLE_WAIT).append(name, &note, now, Durability::Grouped)?
        }
        // It was recorded already, or its process was killed while it wrote.
        Some(_) => disk.remove(&path)?,
    }
    Ok(true)
}

/// Records open calls that are too old as interrupted. Returns whether none is left.
fn settle_open(home: &Home, now: Timestamp) -> io::Result<bool> {
    let disk = &**home.disk();
    let (mut settled, mut failed) = (0, false);
    for listed in disk.list(&[OWN_FOLDER, OPEN_FOLDER])?.iter().filter(|listed| !listed.folder) {
        if settled >= SETTLED_MAX {
            return Ok(false);
        }
        match settle_open_call(home, &listed.name, now) {
            Ok(is_old) => settled += usize::from(is_old),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
            Err(_) => failed = true,
        }
    }
    Ok(!failed)
}

/// Records an open call if it is too old. Returns whether it is.
fn settle_open_call(home: &Home, name: &str, now: Timestamp) -> io::Result<bool> {
    let disk = &**home.disk();
    let path = [OWN_FOLDER, OPEN_FOLDER, name];
    let Some(note) = old_note(disk, &path, now, OPEN_AGE_MS)? else { return Ok(false) };
    if let Some(note) = note
        && !is_ended(disk, name, &note, now)?
    {
        let claim = [OWN_FOLDER, CLAIMS_FOLDER, name];
        if disk.create(&claim, &note.encode(), false)? {
            Appender::new(home, None, SETTLE_WAIT).append(name, &note, now, Durability::Grouped)?;
        }
    }
    disk.remove(&path)?;
    Ok(true)
}

/// Whether a call was recorded: in these days, or in those in which its note was written.
fn is_ended(disk: &dyn Disk, name: &str, note: &Note, now: Timestamp) -> io::Result<bool> {
    let next_day = Timestamp::from_millis(note.at.as_millis() + OPEN_AGE_MS);
    Ok(ended_in(disk, name, now)?.is_some() || ended_in(disk, name, next_day)?.is_some())
}

/// Removes the signs of calls that were recorded before yesterday.
fn remove_signs(disk: &dyn Disk, now: Timestamp) -> io::Result<()> {
    let yesterday = day_folder(Timestamp::from_millis(now.as_millis() - OPEN_AGE_MS));
    let mut removed = 0;
    for day in disk.list(&[OWN_FOLDER, ENDED_FOLDER])? {
        if !day.folder || day.name >= yesterday || Date::parse(&day.name).is_none() {
            continue;
        }
        let signs = disk.list(&[OWN_FOLDER, ENDED_FOLDER, &day.name])?;
        let is_last = removed + signs.len() <= SIGNS_REMOVED_MAX;
        for sign in signs.iter().take(SIGNS_REMOVED_MAX - removed) {
            disk.remove(&[OWN_FOLDER, ENDED_FOLDER, &day.name, &sign.name])?;
            removed += 1;
        }
        if !is_last {
            return Ok(());
        }
        disk.remove_folder(&[OWN_FOLDER, ENDED_FOLDER, &day.name])?;
    }
    Ok(())
}

/// Reads a file that was written so long ago. The outer `None` means that there is no such file; the inner one that it is
/// not whole, because its process was killed. The age of a whole file stands in it, because a copy of a home has new times.
fn old_note(disk: &dyn Disk, path: &[&str], now: Timestamp, age_ms: i64) -> io::Result<Option<Option<Note>>> {
    let Some(file) = disk.open(path)? else { return Ok(None) };
    let is_temporary = path.last().is_some_and(|name| name.starts_with('.'));
    let note = Note::read(&*file)?.filter(|_| !is_temporary);
    let written = note.as_ref().map_or(file.stat()?.modified_s * 1_000, |note| note.at.as_millis());
    Ok((now.as_millis() - written > age_ms).then_some(note))
}
