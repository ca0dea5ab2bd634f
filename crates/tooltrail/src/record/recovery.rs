//! Recovery: what dead processes left in their journals is brought into the day files.
//!
//! Every step may be repeated, and whoever is killed in the middle leaves what the next one needs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use crate::day::{Cut, Fragment, Largest, Redo, redo};
use crate::error::Error;
use crate::home::{APPENDS_WAIT, Home, OWN_FOLDER};
use crate::journal::{Entry, Journal, Kind, Orphan, Record, orphans};
use crate::record::event::Event;
use crate::record::files::Change;
use crate::record::group::Day;

/// How long another process may recover before a home is opened: the journals of a whole home, on a slow disk.
pub(crate) const RECOVERY_WAIT: Duration = Duration::from_secs(10);

/// What recovery found.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// What is to be told.
    pub(crate) events: Vec<Event>,
    /// Fragments that are to be told, cut off now or before.
    pub(crate) fragments: Vec<Fragment>,
    /// Files whose flush failed, and up to which length they are durable.
    pub(crate) suspect: Vec<(Day, u64)>,
    /// Why something stays in a journal for the next time.
    pub(crate) left: Option<String>,
}

/// What one day file needs.
#[derive(Debug)]
struct Plan {
    from: u64,
    /// The largest length that a writer knew to be flushed.
    clean: u64,
    power_cut: bool,
    lines: Vec<(u128, Vec<u8>)>,
}

/// Brings the lines of dead processes into their day files, and the calls that were open in them.
///
/// What cannot be brought there now stays in the journal for the next time, and is told. Another process that recovers
/// is waited for so long.
///
/// # Errors
/// [`Error::Io`] if it takes longer.
pub(crate) fn recover(
    home: &Home,
    journal: &mut Journal,
    largest: &mut Largest,
    now: Duration,
    wait: Duration,
) -> Result<Recovered, Error> {
    let disk = &**home.disk();
    let path = home.root().join(OWN_FOLDER).join("recover.lock");
    let mut told = Recovered::default();
    let is_empty = |folder: &str| disk.list(&[OWN_FOLDER, folder]).is_ok_and(|files| files.is_empty());
    // A home without a journal has nothing to recover, and gets no lock file either.
    if is_empty("journal") && is_empty("untold") {
        return Ok(told);
    }
    let _lock = disk.lock(&[OWN_FOLDER, "recover.lock"], wait).map_err(Error::io("lock", &path))?;
    let (mut found, unread) = orphans(disk);
    told.events.extend(unread.iter().map(|error| incident("journal not read", [("why", error.to_string())])));
    let (place, boot) = journal.place();
    found.retain(|orphan| match &orphan.scan.header {
        Some(header) if header.home != place => {
            // Told once: it stays where it is.
            if !wait.is_zero() {
                told.events.push(incident("journal of another home", [("slot", orphan.slot.to_string())]));
            }
            false
        }
        _ => true,
    });
    found.sort_by_key(|orphan| orphan.scan.header.as_ref().map(|header| (header.owner, header.number)));
    let plans = plans(&found, boot);
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
        match bring(home, journal, largest, (&day, &plan), now) {
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
        // In the order in which they were begun: the last says which open calls of the others no longer count.
        for orphan in found {
            let salt = journal.salt();
            if let Err(error) = orphan.free(journal.place().0, salt) {
                told.left = Some(format!("could not empty a journal: {error}"));
                told.events.push(incident("journal not emptied", [("why", error.to_string())]));
                break;
            }
        }
    }
    match Fragment::untold(disk) {
        Ok(fragments) => told.fragments = fragments,
        Err(error) => told.left = Some(format!("could not look for fragments that are to be told: {error}")),
    }
    Ok(told)
}

/// Brings a file up to date; returns whether it is durable.
fn bring(
    home: &Home,
    journal: &mut Journal,
    largest: &mut Largest,
    (day, plan): (&Day, &Plan),
    now: Duration,
) -> io::Result<io::Result<()>> {
    let disk = &**home.disk();
    let cut = match plan {
        Plan { power_cut: true, clean, .. } => Cut::Damaged(*clean),
        Plan { .. } => Cut::Torn,
    };
    // Whoever died may have seen a flush fail, and told nobody; another's flush says nothing about those bytes then.
    let want = Redo { folder: &day.0, day: day.1, from: plan.from, cut, again: plan.from, lines: &plan.lines };
    let append = home.lock_appends(APPENDS_WAIT)?;
    let redone = redo(disk, largest, &want, &mut |lines| keep_safe(journal, day, plan.clean, lines, now))?;
    drop(append);
    Ok(redone.file.sync())
}

/// Makes lines durable in the journal before they are cut out of their day file.
fn keep_safe(journal: &mut Journal, day: &Day, clean: u64, lines: &[&[u8]], now: Duration) -> io::Result<()> {
    let entry = |line| Entry { kind: Kind::Line, id: 0, clean, folder: &day.0, day: day.1, line };
    let mut part = Vec::new();
    let mut bytes = 0;
    for line in lines {
        part.push(entry(line));
        bytes += line.len();
        if bytes > SAFE_BYTES {
            journal.write(&part, true, now)?;
            part.clear();
            bytes = 0;
        }
    }
    journal.write(&part, true, now)
}

/// Bytes of lines that go into the journal at once: several times as many fit a segment.
const SAFE_BYTES: usize = 2 * 1024 * 1024;

/// Collects what each day file needs.
fn plans(found: &[Orphan], boot: &str) -> BTreeMap<Day, Plan> {
    let mut plans = BTreeMap::<Day, Plan>::new();
    let mut open = BTreeMap::<(u128, u64), (bool, Record)>::new();
    for orphan in found {
        let Some(header) = &orphan.scan.header else { continue };
        let owner = header.owner;
        let power_cut = boot.is_empty() || header.boot != boot;
        for record in orphan.scan.unflushed(u64::MAX) {
            match record.kind {
                Kind::Line => add(&mut plans, record, power_cut, Some((owner, &record.line))),
                Kind::Touch => add(&mut plans, record, power_cut, None),
                _ => {}
            }
        }
        let mut begun = BTreeSet::new();
        for record in &orphan.scan.records {
            match record.kind {
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
    for ((owner, _), (power_cut, record)) in &open {
        add(&mut plans, record, *power_cut, Some((*owner, &record.line)));
    }
    plans
}

fn add(plans: &mut BTreeMap<Day, Plan>, record: &Record, power_cut: bool, line: Option<(u128, &[u8])>) {
    let plan = plans.entry((record.folder.clone(), record.day)).or_insert_with(|| Plan {
        from: record.clean,
        clean: 0,
        power_cut: false,
        lines: Vec::new(),
    });
    plan.from = plan.from.min(record.clean);
    plan.clean = plan.clean.max(record.clean);
    plan.power_cut |= power_cut;
    plan.lines.extend(line.map(|(owner, line)| (owner, line.to_vec())));
}

/// Keeps what is damaged in a segment.
fn keep_damage(home: &Home, orphan: &Orphan) -> io::Result<()> {
    for (offset, bytes) in &orphan.scan.damage {
        let name = format!("journal.{:02}.{offset}", orphan.slot);
        let facts = [("slot", orphan.slot.to_string()), ("offset", offset.to_string())];
        Fragment::new("damaged journal", name, facts, bytes.len()).keep(&**home.disk(), bytes)?;
    }
    Ok(())
}

/// Returns the event of a file that others removed, replaced or cut.
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

/// Returns the event of a home whose name stands for another folder, or for none.
pub(crate) fn home_moved(why: &str) -> Event {
    incident("home moved", [("why", why.to_owned())])
}

/// Returns the event of a file to which nothing may be appended, for what stands under its name.
pub(crate) fn refused(day: &Day, why: &str) -> Event {
    incident("day file refused", [("folder", day.0.clone()), ("day", day.1.to_string()), ("why", why.to_owned())])
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
