//! Recovery after a crash: brings the lines that dead processes left in their journals into the day files.
//!
//! [`recover`] runs when a home is opened for writing, and then at most every ten seconds while the writer thread has
//! work or lines are left, because other processes may die meanwhile.
//!
//! 1. It takes `recover.lock`, so that only one process recovers a home at a time.
//! 2. It finds the orphans: segments in slots whose lock is free. A process holds the lock of its slots until it ends,
//!    and the system releases the lock after a crash, so segments of living processes are left alone. Segments of
//!    another home are only reported.
//! 3. [`plans`] collects for each day file the lines that are not known to be durable there. A call that is still open
//!    in the journal is recorded as interrupted. A file with a touch record gets a plan too, possibly without lines.
//! 4. Damaged bytes of the segments are copied to `fragments/`.
//! 5. [`reconcile_day`] brings one file up to date. It keeps a copy of a torn tail and, if the system was restarted
//!    meanwhile, of damaged lines after the durable length. It replaces the damaged bytes with spaces, ends the torn
//!    tail with a newline, appends every planned line that the file does not contain, and syncs the file.
//! 6. Only if all of this succeeded, the segments are emptied. Otherwise all of them stay for the next recovery, and
//!    [`Recovered::left`] says why.
//! 7. Fragments and problems become incidents, unless the trail already reports them.
//!
//! Each step can be repeated after a crash at any point: the journal keeps the lines until the day files are synced,
//! and a line that is in its file is not appended again, because lines are compared byte by byte and each has its own
//! id.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use crate::day::{Damage, Fragment, LatenessNotes, Wanted, finish, reconcile};
use crate::disk::{Disk, is_trouble};
use crate::error::Error;
use crate::home::{APPENDS_WAIT, Home, OWN_FOLDER, SYSTEM_USER, TRAIL_FOLDER, day_of, folder_of};
use crate::journal::{Journal, Kind, Orphan, Record, orphans};
use crate::record::event::Event;
use crate::record::sealing::Sealing;
use crate::record::store::files::Change;
use crate::record::store::group::Day;

/// How long to wait for the recovery of another process when a home is opened: enough time for all journals of a home.
/// After that the home is opened without a recovery, which is tried again later, because recording does not depend on
/// it.
pub(crate) const RECOVERY_WAIT: Duration = Duration::from_secs(3);

/// The most day files of our own events that are searched for reported incidents, and the most bytes at the end of
/// each.
const TOLD_DAYS: usize = 3;
const TOLD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The result of a recovery.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// The events to record.
    pub(crate) events: Vec<Event>,
    /// The fragments that the trail does not report yet, of this recovery or of an earlier one.
    pub(crate) fragments: Vec<Fragment>,
    /// The files whose sync failed, each with its durable length.
    pub(crate) suspect: Vec<(Day, u64)>,
    /// Why lines stay in a journal for the next recovery; `None` if none do.
    pub(crate) left: Option<String>,
}

/// The work for one day file.
#[derive(Debug)]
struct Plan {
    /// The offset after which the lines may be: the smallest durable length in the records.
    from: u64,
    /// The largest durable length in the records.
    durable_len: u64,
    /// Whether the system was restarted after a record was written, so that a power cut may have damaged the file.
    power_cut: bool,
    lines: Vec<Vec<u8>>,
}

/// Brings the lines of dead processes into their day files, and records the calls that were open in them.
///
/// If this fails for some lines, they stay in the journal for the next time, and an incident reports it. Waits at most
/// `wait` for another process that is recovering; if that takes longer, everything is left for the next time.
///
/// # Errors
/// [`Error::Io`] if the lock file cannot be opened.
pub(crate) fn recover(
    home: &Home,
    journal: &mut Journal,
    lateness: &mut LatenessNotes,
    sealing: Option<&dyn Sealing>,
    wait: Duration,
) -> Result<Recovered, Error> {
    let disk = &**home.disk();
    let path = home.root().join(OWN_FOLDER).join("recover.lock");
    let mut told = Recovered::default();
    let is_empty = |folder: &str| disk.list(&[OWN_FOLDER, folder]).is_ok_and(|files| files.is_empty());
    // A home without a journal has nothing to recover, and no lock file is created.
    if is_empty("journal") && is_empty("untold") {
        return Ok(told);
    }
    let _lock = match disk.lock(&[OWN_FOLDER, "recover.lock"], wait) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            told.left = Some(format!("another process holds {}: it recovers the home, or was stopped", path.display()));
            return Ok(told);
        }
        lock => lock.map_err(Error::io("lock", &path))?,
    };
    let (mut found, unread) = orphans(disk);
    told.events.extend(unread.iter().map(|error| incident("journal not read", [("why", error.to_string())])));
    let (home_id, boot) = journal.identity();
    found.retain(|orphan| match &orphan.scan.header {
        Some(header) if header.home != home_id => {
            // Reported only when the home is opened, because the segment stays where it is.
            if !wait.is_zero() {
                let facts = [("slot", orphan.slot.to_string()), ("home", header.home.clone())];
                told.events.push(incident("journal of another home", facts));
            }
            false
        }
        _ => true,
    });
    found.sort_by_key(|orphan| orphan.scan.header.as_ref().map(|header| (header.owner, header.number)));
    let mut plans = plans(&found, boot);
    if let Some(sealing) = sealing.filter(|_| !plans.is_empty()) {
        let days = plans.keys().cloned().collect::<Vec<_>>();
        for (day, len) in sealing.sealed_lens(&days) {
            plans.entry(day).and_modify(|plan| plan.durable_len = plan.durable_len.max(len));
        }
    }
    told.left = unread.first().map(|error| format!("could not read a journal: {error}"));
    for orphan in &found {
        match keep_damage(home, orphan) {
            Ok(()) => {}
            Err(error) => {
                told.left = Some(format!("could not keep what is damaged in a journal: {error}"));
                told.events.push(incident("journal not kept", [("why", error.to_string())]));
            }
        }
    }
    for (day, plan) in plans {
        match reconcile_day(home, lateness, (&day, &plan)) {
            Ok(synced) => {
                if let Err(error) = synced {
                    told.left = Some(left(home, &day, &error));
                    told.events.push(not_recovered(&day, &error));
                    told.suspect.push((day, plan.from));
                }
            }
            Err(error) => {
                told.left = Some(left(home, &day, &error));
                told.events.push(not_recovered(&day, &error));
            }
        }
    }
    if told.left.is_none() {
        // In the order in which they were begun, because a later segment says which open calls of earlier ones are no
        // longer valid.
        for orphan in found {
            let salt = journal.salt();
            if let Err(error) = orphan.free(journal.identity().0, salt) {
                told.left = Some(format!("could not empty a journal: {error}"));
                told.events.push(incident("journal not emptied", [("why", error.to_string())]));
                break;
            }
        }
    }
    match Fragment::untold(disk) {
        Ok(fragments) => {
            let (fragments, unfinished) = finish_all(home, fragments);
            told.fragments = not_told_yet(home, fragments);
            if let Some(error) = unfinished {
                told.left = Some(format!("could not replace damaged bytes: {error}"));
            }
        }
        Err(error) => told.left = Some(format!("could not look for fragments that are to be told: {error}")),
    }
    if !told.events.is_empty() {
        let before = told_lately(home);
        told.events.retain(|event| !before.iter().any(|text| stands_in(text, &event.clone().into_call(None).args)));
    }
    Ok(told)
}

/// Completes the work of dead processes on these fragments. Returns the fragments that are complete, and the error that
/// stopped the others.
///
/// While the disk fails, a fragment keeps its note and is not reported, because the next recovery finds it only by its
/// note. A day file that cannot be opened for other reasons is left as it is; readers skip its damaged line.
fn finish_all(home: &Home, fragments: Vec<Fragment>) -> (Vec<Fragment>, Option<io::Error>) {
    if fragments.is_empty() {
        return (fragments, None);
    }
    let _append = match home.lock_appends(APPENDS_WAIT) {
        Ok(lock) => lock,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut unfinished = None;
    let mut complete = fragments;
    complete.retain(|fragment| match finish(&**home.disk(), fragment) {
        Err(error) if is_trouble(&error) && error.kind() != io::ErrorKind::PermissionDenied => {
            unfinished = Some(error);
            false
        }
        Ok(()) | Err(_) => true,
    });
    (complete, unfinished)
}

/// Returns those of the fragments that the trail does not report yet.
///
/// A note does not mean that the incident is missing: a process that is killed within a second after it recorded the
/// incident leaves the note.
fn not_told_yet(home: &Home, fragments: Vec<Fragment>) -> Vec<Fragment> {
    let disk = &**home.disk();
    if fragments.is_empty() {
        return fragments;
    }
    let told = told_lately(home);
    let is_told = |fragment: &Fragment| {
        let mut name = "\"fragment\":".to_owned();
        crate::json::push_string(&mut name, &fragment.name);
        told.iter().any(|text| stands_in(text, &name))
    };
    if !fragments.iter().any(is_told) {
        return fragments;
    }
    // The process that recorded the incident may have died before the entry was durable. If the note were removed now,
    // a power cut could remove the entry too.
    if sync_told(home).is_err() {
        return fragments;
    }
    let (told, untold) = fragments.into_iter().partition::<Vec<_>, _>(is_told);
    for fragment in told {
        // If the note cannot be removed, the incident is recorded again.
        let _ = Fragment::told(disk, &fragment.name);
    }
    untold
}

/// Syncs the day files of our own events that were searched for incidents.
fn sync_told(home: &Home) -> io::Result<()> {
    let (disk, folder) = (&**home.disk(), folder_of(SYSTEM_USER));
    for name in told_days(disk, &folder) {
        disk.append(&[&folder, TRAIL_FOLDER, &name])?.sync()?;
    }
    Ok(())
}

/// Returns the names of the last day files of our own events, newest first.
fn told_days(disk: &dyn Disk, folder: &str) -> Vec<String> {
    let mut days = disk.list(&[folder, TRAIL_FOLDER]).unwrap_or_default();
    days.retain(|day| day_of(&day.name).is_some());
    days.sort_by(|a, b| b.name.cmp(&a.name));
    days.into_iter().take(TOLD_DAYS).map(|day| day.name).collect()
}

/// Returns the content of the last day files of our own events, as far as it can be read. It is used to record an
/// incident only once, even if several processes find it one after another.
fn told_lately(home: &Home) -> Vec<Vec<u8>> {
    let (disk, folder) = (&**home.disk(), folder_of(SYSTEM_USER));
    let text = |name: &str| {
        let file = disk.open(&[&folder, TRAIL_FOLDER, name]).ok()??;
        let len = file.stat().ok()?.len;
        let from = len.saturating_sub(TOLD_BYTES_MAX);
        let mut bytes = vec![0; usize::try_from(len - from).ok()?];
        let read = file.read_at(&mut bytes, from).ok()?;
        bytes.truncate(read);
        Some(bytes)
    };
    told_days(disk, &folder).iter().filter_map(|name| text(name)).collect()
}

/// Whether a whole line of `text` contains `needle`.
///
/// A line that a power cut damaged does not count, even if the rest of it contains the needle.
fn stands_in(text: &[u8], needle: &str) -> bool {
    memchr::memmem::find_iter(text, needle.as_bytes()).any(|at| {
        let start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1);
        let end = memchr::memchr(b'\n', &text[at..]).map(|newline| at + newline);
        let line = end.and_then(|end| std::str::from_utf8(&text[start..end]).ok());
        line.is_some_and(|line| crate::json::check(line).is_ok())
    })
}

/// Brings a day file up to date. The outer result says whether that succeeded, the inner one whether the sync did.
fn reconcile_day(home: &Home, lateness: &mut LatenessNotes, (day, plan): (&Day, &Plan)) -> io::Result<io::Result<()>> {
    let disk = &**home.disk();
    // No lock is held here, because this may wait for another writer to complete its line.
    let damage = Damage::find(disk, &day.0, day.1, plan.power_cut.then_some(plan.durable_len))?;
    // The bytes from `from` on are written again: a sync of the dead process may have failed, and a later successful
    // sync by another process does not cover those bytes.
    let (from, durable_len) = (plan.from, plan.durable_len);
    let want = Wanted { folder: &day.0, day: day.1, from, durable_len, again: from, lines: &plan.lines };
    let append = home.lock_appends(APPENDS_WAIT)?;
    let redone = reconcile(disk, lateness, &want, damage)?;
    drop(append);
    Ok(redone.file.sync())
}

/// Collects the plan of each day file.
fn plans(found: &[Orphan], boot: &str) -> BTreeMap<Day, Plan> {
    let mut plans = BTreeMap::<Day, Plan>::new();
    let mut open = BTreeMap::<(u128, u64), (bool, Record)>::new();
    for orphan in found {
        let Some(header) = &orphan.scan.header else { continue };
        let owner = header.owner;
        let power_cut = boot.is_empty() || header.boot != boot;
        for record in orphan.scan.unflushed(u64::MAX) {
            match record.kind {
                Kind::Line => add(&mut plans, record, power_cut, Some(&record.line)),
                Kind::Touch => add(&mut plans, record, power_cut, None),
                _ => {}
            }
        }
        let mut begun = BTreeSet::new();
        for record in &orphan.scan.records {
            match record.kind {
                // All open calls were copied into this segment, so calls that are only in earlier segments have ended.
                Kind::Begun if begun.len() as u64 == record.id => {
                    open.retain(|(of, id), _| *of != owner || begun.contains(id));
                }
                Kind::Intent => {
                    begun.insert(record.id);
                    open.insert((owner, record.id), (power_cut, record.clone()));
                }
                Kind::Line | Kind::Ended => {
                    open.remove(&(owner, record.id));
                }
                Kind::Touch | Kind::Flushed | Kind::Begun => {}
            }
        }
    }
    for (power_cut, record) in open.values() {
        add(&mut plans, record, *power_cut, Some(&record.line));
    }
    plans
}

fn add(plans: &mut BTreeMap<Day, Plan>, record: &Record, power_cut: bool, line: Option<&[u8]>) {
    let plan = plans.entry((record.folder.clone(), record.day)).or_insert_with(|| Plan {
        from: record.durable_len,
        durable_len: 0,
        power_cut: false,
        lines: Vec::new(),
    });
    plan.from = plan.from.min(record.durable_len);
    plan.durable_len = plan.durable_len.max(record.durable_len);
    plan.power_cut |= power_cut;
    plan.lines.extend(line.map(<[u8]>::to_vec));
}

/// Copies the damaged bytes of a segment to `fragments/`.
fn keep_damage(home: &Home, orphan: &Orphan) -> io::Result<()> {
    for (offset, bytes) in &orphan.scan.damage {
        let name = format!("journal.{:02}.{offset}.{:08x}", orphan.slot, crc32c::crc32c(bytes));
        let facts = [("slot", orphan.slot.to_string()), ("offset", offset.to_string())];
        Fragment::new("damaged journal", name, facts, bytes.len()).keep(&**home.disk(), bytes)?;
    }
    Ok(())
}

/// Returns the incident of a file that another program removed, replaced or cut.
pub(crate) fn changed(day: &Day, change: Change, before: u64) -> Event {
    let (what, now) = match change {
        Change::Removed => ("day file removed", 0),
        Change::Replaced => ("day file replaced", 0),
        Change::Cut { len } => ("day file cut", len),
    };
    let facts = [("folder", day.0.clone()), ("day", day.1.to_string()), ("bytes", before.to_string())];
    let mut facts = facts.to_vec();
    if now > 0 {
        facts.push(("bytes_now", now.to_string()));
    }
    incident(what, facts)
}

/// Returns the incident of a home whose path refers to another folder or to none.
pub(crate) fn home_moved(why: &str) -> Event {
    incident("home moved", [("why", why.to_owned())])
}

/// Returns the incident of a day file that cannot be written, because something else has its name.
pub(crate) fn refused(day: &Day, why: &str) -> Event {
    incident("day file refused", [("folder", day.0.clone()), ("day", day.1.to_string()), ("why", why.to_owned())])
}

/// Returns the incident of lines that were damaged because they directly followed half a line of another writer, and
/// that were appended again.
pub(crate) fn spliced(day: &Day, lines: usize) -> Event {
    let facts = [("folder", day.0.clone()), ("day", day.1.to_string()), ("lines", lines.to_string())];
    incident("appended into another writer's line", facts)
}

fn left(home: &Home, day: &Day, error: &io::Error) -> String {
    let path = home.day_path(&day.0, day.1);
    format!("could not bring {} what a journal holds for it: {error}", path.display())
}

fn not_recovered(day: &Day, error: &io::Error) -> Event {
    incident("not recovered", [("folder", day.0.clone()), ("day", day.1.to_string()), ("why", error.to_string())])
}

pub(crate) fn incident<'a>(what: &str, facts: impl IntoIterator<Item = (&'a str, String)>) -> Event {
    let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Event::Incident { what: what.to_owned(), facts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_line_tells_of_an_incident() {
        for (text, is_told) in [
            ("{\"args\":{\"fragment\":\"f\"}}\n", true),
            ("{\"a\":\"\0\0\0\"}\n{\"args\":{\"fragment\":\"f\"}}\n{\"b", true),
            ("\0\0\0\0args\":{\"fragment\":\"f\"}}\n", false),
            ("{\"args\":{\"fragment\":\"f\"}\0\0\n", false),
            ("{\"args\":{\"fragment\":\"f\"}}", false),
            ("{\"fragment\":\"f\"\0\n{\"fragment\":\"f\"}\n", true),
        ] {
            assert_eq!(stands_in(text.as_bytes(), "\"fragment\":\"f\""), is_told, "{text:?}");
        }
    }
}
