//! The sealer: each second one process seals the new lines of all day files of a home.
//!
//! One round, under `sealer.lock` and the lock of the keys:
//!
//! 1. Read the list of flushed files (`changes.rs`), and from time to time compare the sizes of all day files with their
//!    heads, to find what other programs have appended.
//! 2. Open the log, if it still continues what was signed before (`signing.rs`).
//! 3. Read the new lines of each file back from the disk and extend its tree (`growth.rs`).
//! 4. Append the heads to the log, sync it, sign it, store the checkpoint beside the key, and publish it.
//! 5. Remove from the list what is sealed now.
//!
//! A round that fails or is killed changes nothing that was published. The next one begins from the last checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::changes::{self, Day};
use crate::clock::{Clock, Timestamp};
use crate::disk::{Disk, Lock};
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER};
use crate::random::Random;
use crate::record::{Event, SealRound, SealStatus, SealWhen, Sealing, unsynced};
use crate::seal::checkpoint::SignedCheckpoint;
use crate::seal::growth::{Growing, Remembered};
use crate::seal::heads::Heads;
use crate::seal::keys::{SealKeys, read_text};
use crate::seal::leaves::remove_caches;
use crate::seal::log::{HashFiles, each_entry};
use crate::seal::name::NameKey;
use crate::seal::note::NOTE_BYTES_MAX;
use crate::seal::record::{FILES_MAX, LogEvent, Record, What};
use crate::seal::scan::{LINE_WAITS, Scan, Work, is_due};
use crate::seal::signing::{PUBLISHED, SignError, Signing, SigningLog};
use crate::seal::tree::{Hash, root};

/// How many new lines are worth a head at once. At one line a second and file, heads are at most an eighth of the lines.
const LINES_DUE: u64 = 8;

/// The shortest time between two rounds of a process, and so between two heads of a file.
pub(crate) const ROUND_EVERY: Duration = Duration::from_secs(1);

/// How long a process that closes waits for another one that seals.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// How long whoever removes or erases files waits for the sealer lock.
const REMOVE_WAIT: Duration = Duration::from_secs(10);

/// The lock of whoever seals.
const SEALER_LOCK: [&str; 2] = [OWN_FOLDER, "sealer.lock"];

/// The most files that get a head in one round, so that a home of very many users does not make one very long round.
const FILES_PER_ROUND: usize = 4_096;

/// Seals the day files of a home.
#[derive(Debug)]
pub(crate) struct Sealer {
    pub(super) home: Home,
    pub(super) keys: SealKeys,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    origin: String,
    /// Whether the process lives for milliseconds, so that it leaves few and young lines to others.
    is_short_lived: bool,
    /// Whether it compares sizes only if no other process has done so lately, because it is one of many.
    shares_scans: bool,
    memory: Mutex<Memory>,
    status: Mutex<SealStatus>,
}

/// What is kept between two rounds. All of it can be found again on disk.
#[derive(Debug, Default)]
struct Memory {
    log: Option<SigningLog>,
    remembered: Remembered,
    scan: Scan,
    /// The heads of which an incident was recorded.
    told: BTreeSet<u64>,
}

/// The log while the locks are held.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    sealer: &'a Sealer,
    pub(super) log: SigningLog,
    locks: Locks,
}

/// The lock of the sealer and that of the keys.
#[derive(Debug)]
pub(super) struct Locks(#[expect(dead_code, reason = "held until it is dropped")] [Box<dyn Lock>; 2]);

impl Lock for Locks {}

impl Sealer {
    /// Returns the sealer of a home. `origin` is the name of its log if it has none yet.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn new(
        home: Home,
        keys: SealKeys,
        origin: Option<&str>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, Error> {
        let origin = match origin {
            Some(origin) => origin.to_owned(),
            None => format!("tooltrail/{}", home.id()?),
        };
        let status = Mutex::new(SealStatus { enabled: true, ..SealStatus::default() });
        let memory = Mutex::default();
        Ok(Self { home, keys, clock, random, origin, is_short_lived: false, shares_scans: false, memory, status })
    }

    /// Returns the sealer for a process that lives for milliseconds.
    pub(crate) fn short_lived(self) -> Self {
        Self { is_short_lived: true, ..self.one_of_many() }
    }

    /// Returns the sealer for a process that is one of many of the same home.
    pub(crate) fn one_of_many(self) -> Self {
        Self { shares_scans: true, ..self }
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        self.home.disk()
    }

    pub(super) fn signing(&self) -> Signing<'_> {
        Signing { disk: self.disk(), keys: &self.keys, random: &*self.random, origin: &self.origin }
    }

    /// Takes the locks and opens the log.
    ///
    /// # Errors
    /// As [`Signing::open`]; [`io::ErrorKind::TimedOut`] if another process seals for all of `wait`.
    pub(super) fn open(&self, wait: Duration) -> Result<Opened<'_>, SignError> {
        let sealer_lock = self.lock(wait)?;
        let before = self.memory.lock().unwrap_or_else(PoisonError::into_inner).log.take();
        let (keys_lock, log) = self.signing().open(before)?;
        Ok(Opened { sealer: self, log, locks: Locks([sealer_lock, keys_lock]) })
    }

    /// Takes the lock of whoever seals.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if another process holds it for all of `wait`.
    pub(super) fn lock(&self, wait: Duration) -> io::Result<Box<dyn Lock>> {
        self.disk().lock(&SEALER_LOCK, wait)
    }

    /// Seals everything that is flushed now. Waits for another process that seals.
    ///
    /// # Errors
    /// As [`Sealer::open`], and any I/O error of the operating system.
    pub(super) fn seal_all(&self, opened: &mut Opened<'_>) -> Result<Vec<Event>, SignError> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.scan = Scan::default();
        let mut events = Vec::new();
        loop {
            let work = memory.scan.work(&self.home, &opened.log.heads, self.clock.now(), true)?;
            let (round, has_more) = self.seal_work(&mut memory, &mut opened.log, work, SealWhen::Closing)?;
            events.extend(round.events);
            if !has_more {
                return Ok(events);
            }
        }
    }

    fn round(&self, when: SealWhen) -> Result<SealRound, SignError> {
        let wait = if when == SealWhen::Closing { CLOSE_WAIT } else { Duration::ZERO };
        let now = self.clock.now();
        let is_scan_due = {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.scan.is_due(&**self.disk(), now, self.shares_scans)
        };
        match changes::oldest(&**self.disk())? {
            None if !is_scan_due => return Ok(SealRound::default()),
            // Each short-lived process lists one line, so that so few and so young ones are not due.
            Some((since, notes))
                if !is_scan_due
                    && self.is_short_lived
                    && when == SealWhen::Due
                    && notes < LINES_DUE
                    && !is_due(now, Some(since), LINE_WAITS) =>
            {
                return Ok(SealRound { again: Some(ROUND_EVERY), ..SealRound::default() });
            }
            _ => {}
        }
        let mut opened = match self.open(wait) {
            Err(SignError::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
                return Ok(SealRound { again: Some(ROUND_EVERY), ..SealRound::default() });
            }
            opened => opened?,
        };
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let work = memory.scan.work(&self.home, &opened.log.heads, now, false)?;
        let (mut round, _) = self.seal_work(&mut memory, &mut opened.log, work, when)?;
        if memory.scan.has_more() {
            round.again = Some(ROUND_EVERY);
        }
        drop(memory);
        opened.close();
        Ok(round)
    }

    /// Seals the files of the work that are due. Also returns whether there is more than fits into the round.
    fn seal_work(
        &self,
        memory: &mut Memory,
        log: &mut SigningLog,
        work: Work,
        when: SealWhen,
    ) -> Result<(SealRound, bool), SignError> {
        let sealed = self.seal_files(memory, log, &work, when);
        let mut left = work.found;
        if let Ok((_, unfinished)) = &sealed {
            left.retain(|day, _| unfinished.contains(day));
        }
        memory.scan.keep(&**self.disk(), left);
        sealed.map(|(round, unfinished)| (round, !unfinished.is_empty()))
    }

    /// Seals the files of the work that are due. Also returns the files of which not everything fits into the round.
    fn seal_files(
        &self,
        memory: &mut Memory,
        log: &mut SigningLog,
        work: &Work,
        when: SealWhen,
    ) -> Result<(SealRound, BTreeSet<Day>), SignError> {
        let now = self.clock.now();
        let (mut records, mut events, mut unfinished) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut waits: Option<i64> = None;
        let mut sealed = BTreeMap::new();
        let suspect = unsynced::marked(&**self.disk())?;
        // A file is at most once in here, because its next head follows the one that is made now.
        let mut all = work.changes.days.clone();
        for (day, found) in &work.found {
            all.entry(day.clone()).and_modify(|change| change.len = change.len.max(found.len)).or_insert(*found);
        }
        all.retain(|day, _| !suspect.contains(day));
        for (n, (day, change)) in all.iter().enumerate() {
            if records.len() >= FILES_PER_ROUND {
                unfinished.extend(all.keys().skip(n).cloned());
                break;
            }
            let age_ms = now.as_millis() - change.since_ms;
            let is_old = age_ms < 0 || u128::try_from(age_ms).is_ok_and(|age| age >= LINE_WAITS.as_millis());
            let is_due = |lines: u64| when == SealWhen::Closing || is_old || lines >= LINES_DUE;
            match self.seal_file(memory, log, day, change.len, is_due) {
                Ok(FileSealed { record, incident, len, more }) => {
                    let is_found = work.found.contains_key(day) && !work.changes.days.contains_key(day);
                    records.extend(record.map(|record| adopted(record, is_found, now)));
                    events.extend(incident);
                    if more {
                        unfinished.insert(day.clone());
                    }
                    match len {
                        Some(len) if !more => drop(sealed.insert(day.clone(), len.max(change.len))),
                        _ => waits = Some(waits.map_or(change.since_ms, |since| since.min(change.since_ms))),
                    }
                }
                // One file that cannot be read holds up no other. It stays in the list.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Err(error.into()),
                Err(_) => waits = Some(change.since_ms),
            }
        }
        if !records.is_empty()
            && let Err(error) = self.signing().commit(log, &records)
        {
            for record in &records {
                if let Record::Head(head) = record {
                    memory.remembered.forget(&head.name);
                }
            }
            return Err(error.into());
        }
        work.changes.remove(&**self.disk(), |day, len| sealed.get(day).is_some_and(|sealed| *sealed >= len));
        let again = (waits.is_some() || !unfinished.is_empty()).then_some(ROUND_EVERY);
        self.set_status(|status| {
            status.size = log.log.size();
            status.trouble = None;
            status.waiting_since = waits.map(Timestamp::from_millis);
            status.sealed_at = Some(now);
        });
        Ok((SealRound { events, again }, unfinished))
    }

    fn seal_file(
        &self,
        memory: &mut Memory,
        log: &SigningLog,
        day: &Day,
        upto: u64,
        is_due: impl Fn(u64) -> bool,
    ) -> io::Result<FileSealed> {
        let (folder, date) = (&*day.0, day.1);
        let disk = &**self.disk();
        let key = NameKey::make(disk, folder, &*self.random)?;
        let name = key.of_file(folder, date);
        let newest = log.heads.newest(&name);
        let growing = Growing { disk, folder, date, name, newest, log_size: log.log.size() };
        let grown = growing.grow(&mut memory.remembered, upto, is_due)?;
        let is_sealed = grown.head.is_some() || grown.lines == 0;
        let record = grown.head.map(Record::Head);
        let incident = grown.broken.filter(|index| memory.told.insert(*index)).map(|index| Event::Incident {
            what: "sealed lines were changed".to_owned(),
            facts: vec![
                ("folder".to_owned(), folder.to_owned()),
                ("day".to_owned(), date.to_string()),
                ("head".to_owned(), index.to_string()),
            ],
        });
        Ok(FileSealed { record, incident, len: is_sealed.then_some(upto), more: grown.has_more })
    }

    /// Records in the log that files are about to be removed, or were erased.
    ///
    /// # Errors
    /// As [`Sealer::open`], and any I/O error of the operating system.
    pub(super) fn record(&self, opened: &mut Opened<'_>, records: &[Record]) -> Result<(), SignError> {
        Ok(self.signing().commit(&mut opened.log, records)?)
    }

    /// Returns the keyed names of files, of those that have one.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(super) fn names(&self, files: &[Day]) -> io::Result<Vec<Hash>> {
        let mut names = Vec::new();
        for (folder, date) in files {
            if let Some(key) = NameKey::read(&**self.disk(), folder)? {
                names.push(key.of_file(folder, *date));
            }
        }
        Ok(names)
    }

    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.now().as_millis()).unwrap_or(0)
    }

    fn set_status(&self, set: impl FnOnce(&mut SealStatus)) {
        set(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The result of sealing one file.
struct FileSealed {
    record: Option<Record>,
    incident: Option<Event>,
    /// The length up to which nothing is left to seal; `None` if its lines wait for more.
    len: Option<u64>,
    more: bool,
}

/// Calls `each` with the index and the bytes of each entry of the log up to the published checkpoint.
///
/// # Errors
/// As [`each_entry`].
pub(super) fn each_signed(disk: &dyn Disk, mut each: impl FnMut(u64, &[u8])) -> io::Result<()> {
    let note = read_text(disk, &PUBLISHED, NOTE_BYTES_MAX)?.unwrap_or_default();
    let Some(published) = SignedCheckpoint::parse(&note) else { return Ok(()) };
    each_entry(disk, published.checkpoint.size, |index, entry| {
        each(index, entry);
        Ok(())
    })
}

/// Sets the time of a head, and marks the first head of a file that nobody has recorded into.
fn adopted(record: Record, is_found: bool, now: Timestamp) -> Record {
    match record {
        Record::Head(mut head) => {
            head.at = u64::try_from(now.as_millis()).unwrap_or(0);
            head.is_adopted = is_found && head.prev.is_none();
            Record::Head(head)
        }
        other => other,
    }
}

impl Opened<'_> {
    /// Keeps the log for the next round, and frees the locks.
    pub(super) fn close(self) {
        drop(self.keep());
    }

    /// Keeps the log for the next round, and returns the locks.
    pub(super) fn keep(self) -> Locks {
        self.sealer.memory.lock().unwrap_or_else(PoisonError::into_inner).log = Some(self.log);
        self.locks
    }
}

impl Sealing for Sealer {
    fn flushed(&self, files: &[(Day, u64)]) {
        // If this fails, the growth of the files is found when sizes are compared.
        let _ = changes::note(&**self.disk(), &*self.random, self.clock.now(), files);
    }

    fn seal(&self, when: SealWhen) -> SealRound {
        self.round(when).unwrap_or_else(|error| {
            let why = error.message();
            let mut events = Vec::new();
            self.set_status(|status| {
                let is_new = status.trouble.as_ref() != Some(&why);
                status.waiting_since.get_or_insert(self.clock.now());
                if is_new && matches!(error, SignError::Refused(_)) {
                    let facts = vec![("why".to_owned(), why.clone())];
                    events.push(Event::Incident { what: "nothing is sealed".to_owned(), facts });
                }
                status.trouble = Some(why);
            });
            SealRound { events, again: Some(LINE_WAITS) }
        })
    }

    fn sealed_lens(&self, days: &[Day]) -> BTreeMap<Day, u64> {
        let disk = &**self.disk();
        let heads = || {
            let note = read_text(disk, &PUBLISHED, NOTE_BYTES_MAX).ok()??;
            let size = SignedCheckpoint::parse(&note)?.checkpoint.size;
            Heads::read(disk, size, |size| root(&HashFiles { disk }, size)).ok()
        };
        let Some(heads) = heads() else { return BTreeMap::new() };
        let sealed = |day: &Day| {
            let key = NameKey::read(disk, &day.0).ok()??;
            let (_, head) = heads.newest(&key.of_file(&day.0, day.1))?;
            Some((day.clone(), head.bytes))
        };
        days.iter().filter_map(sealed).collect()
    }

    fn pruning(&self, files: &[Day], by: &str, why: &str) -> Result<Box<dyn Lock>, Error> {
        let path = self.home.root().join(OWN_FOLDER).join("log");
        let failed = |error: SignError| match error {
            SignError::Io(error) => Error::io("seal", &path)(error),
            SignError::Refused(why) => Error::Unhealthy { why },
        };
        let names = self.names(files).map_err(|error| failed(error.into()))?;
        let mut opened = self.open(REMOVE_WAIT).map_err(failed)?;
        let sealed = names.into_iter().filter(|name| opened.log.heads.newest(name).is_some()).collect::<Vec<_>>();
        let records = sealed
            .chunks(FILES_MAX)
            .map(|names| Record::Event(LogEvent::new(self.now_ms(), by, why, What::Pruned(names.to_vec()))));
        let records = records.collect::<Vec<_>>();
        if !records.is_empty() {
            self.record(&mut opened, &records).map_err(failed)?;
        }
        for (folder, date) in files {
            // What stays is overwritten when a file of this name comes again.
            let _ = remove_caches(&**self.disk(), folder, *date);
        }
        Ok(Box::new(opened.keep()))
    }

    fn status(&self) -> SealStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
