//! Verifies a home: section 6 of `docs/proof.md`.

mod file;
mod label;
mod memory;
mod verdict;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(super) use file::Checked;
pub use memory::{KnownFiles, Memories, Remembered};
pub use verdict::{Counts, Finding, Report, Verdict};
pub(super) use view::View;

use crate::clock::{Clock, Date};
use crate::disk::{Disk, DiskFile, Stat, is_trouble};
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER, TRAIL_FOLDER, day_name, day_of};
use crate::seal::changes::Day;
use crate::seal::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::seal::keys::{SealKeys, read_text};
use crate::seal::log::LOG_FOLDER;
use crate::seal::name::NameKey;
use crate::seal::note::{KeyKind, NOTE_BYTES_MAX, Signed, VerifierKey};
use crate::seal::record::Head;
use crate::seal::signing::{PUBLIC_KEY, PUBLISHED};
use crate::seal::tree::Hash;
use crate::seal::verify::file::NOT_ERASED;
use crate::seal::verify::label::Labels;
use crate::seal::verify::view::{FileHeads, Files};

/// How often a finding is looked at again, and the pause before each time: writers, erasures and prunes may be at work.
const LOOKS_MAX: u32 = 6;
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// The pause before the log is looked at again. A checkpoint is published in milliseconds.
const LOG_PAUSE: Duration = Duration::from_millis(50);

/// How long a changed file may wait to be sealed, unless the caller says otherwise.
pub const MAX_TAIL: Duration = Duration::from_secs(60);

/// A verification of a home.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verify {
    /// The key of the log. Without it the remembered one is taken, else the one in the folder of keys, else the one in
    /// the home.
    pub key: Option<VerifierKey>,
    /// The folder of the home's keys, if this user may read it.
    pub keys: Option<PathBuf>,
    /// A file with the seed of the signing key, if it is not in the folder of keys.
    pub log_key: Option<PathBuf>,
    /// The folder of keys on another disk, for tests.
    #[doc(hidden)]
    pub keys_disk: Option<Arc<dyn Disk>>,
    /// A checkpoint that somebody has kept.
    pub checkpoint: Option<String>,
    /// What this verifier remembers of the home.
    pub remembered: Option<Remembered>,
    /// The keys of witnesses whose notes are demanded.
    pub witnesses: Vec<VerifierKey>,
    /// The folders of the users to verify; `None` for all.
    pub folders: Option<BTreeSet<String>>,
    /// The first and last day to verify.
    pub days: (Option<Date>, Option<Date>),
    /// How long a changed file may wait to be sealed.
    pub max_tail: Duration,
    /// Files that need not be read, because they had this state when they were found good; `None` to read all.
    pub quick: Option<KnownFiles>,
}

impl Default for Verify {
    fn default() -> Self {
        Self {
            key: None,
            keys: None,
            log_key: None,
            keys_disk: None,
            checkpoint: None,
            remembered: None,
            witnesses: Vec::new(),
            folders: None,
            days: (None, None),
            max_tail: MAX_TAIL,
            quick: None,
        }
    }
}

/// What is gathered during one verification.
#[derive(Debug, Default)]
struct Run {
    findings: Vec<Finding>,
    /// Whether a file has lines that are just not sealed yet.
    has_tail: bool,
    vouched_by: Vec<String>,
    vouched_upto: Vec<u64>,
    counts: Counts,
    good_files: KnownFiles,
}

/// A checkpoint that somebody saw.
struct Seen {
    who: String,
    note: Option<String>,
    witness: Option<VerifierKey>,
    /// The key that was remembered with it.
    key: Option<VerifierKey>,
}

/// The day files of a home, by keyed name, with those of folders that have no name key.
#[derive(Debug, Default)]
struct Present {
    named: BTreeMap<Hash, Day>,
    unnamed: Vec<Day>,
}

impl Verify {
    /// Verifies a home. `progress` is called with the bytes of each file that was read.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be read, [`Error::Input`] if there is neither a log nor anything to compare with.
    pub fn run(&self, home: &Home, clock: &dyn Clock, progress: &dyn Fn(u64)) -> Result<Report, Error> {
        let is_log = self.key.as_ref().is_none_or(|key| key.kind() == KeyKind::Log);
        if !is_log || self.witnesses.iter().any(|key| key.kind() != KeyKind::Witness) {
            return Err(Error::input(
                "a key of a log stands where that of a witness belongs, or the other way round",
                "--key takes what tooltrail key show prints, --witness what the witness prints",
            ));
        }
        let mut looks = 0;
        loop {
            let report = self.once(home, clock, progress)?;
            let concerns_log = report.findings.iter().any(|finding| finding.is_of_log() && !finding.verdict.is_good());
            looks += 1;
            // A key may just be changing, or a checkpoint be published.
            if !concerns_log || looks == 2 {
                return Ok(report);
            }
            home.disk().pause(LOG_PAUSE);
        }
    }

    fn once(&self, home: &Home, clock: &dyn Clock, progress: &dyn Fn(u64)) -> Result<Report, Error> {
        let disk = &**home.disk();
        let failed = |error| Error::io("verify", home.root())(error);
        let opened = self.keys.as_deref().and_then(|folder| SealKeys::open(folder, self.log_key.clone()).ok());
        let keys = self.keys_disk.clone().map(SealKeys::on).or(opened);
        let beside = keys.as_ref().and_then(|keys| keys.checkpoint().ok().flatten());
        let mut run = Run::default();
        let has_memory = self.key.is_some() || self.checkpoint.is_some() || self.remembered.is_some();
        let has_memory = has_memory || beside.is_some() || !self.witnesses.is_empty();
        if !has_memory && disk.stat(&PUBLISHED).map_err(failed)?.is_none() {
            return Err(Error::input(
                format!("{} has no log, and there is nothing to compare it with", home.root().display()),
                "a log is begun by the next command that records, for example tooltrail serve; give --key or --checkpoint if there was one",
            ));
        }
        let Some(key) = self.first_key(home, keys.as_ref(), beside.as_deref())? else {
            run.findings.push(Finding::of_log(Verdict::Missing, "the home has no log, but somebody knows one"));
            return Ok(run.report(None));
        };
        let beside = beside.as_deref();
        let seen = self.seen(disk, beside).map_err(failed)?;
        let sizes = seen.iter().filter_map(|seen| SignedCheckpoint::parse_extended(seen.note.as_deref()?));
        let sizes = sizes.map(|seen| seen.checkpoint.size).collect::<Vec<_>>();
        let view = View::read(disk, &key, beside, &sizes).map_err(failed)?;
        let view = match view {
            Ok(view) => view,
            Err(mut finding) => {
                let is_remembered = self.key.is_none() && self.remembered.is_some();
                if finding.verdict == Verdict::BadSignature
                    && is_remembered
                    && self.has_other_key(disk).map_err(failed)?
                {
                    finding.verdict = Verdict::Forked;
                    finding.text = "the log is signed by another key than the one that is remembered".to_owned();
                }
                run.findings.push(finding);
                return Ok(run.report(None));
            }
        };
        if let Some(finding) = wrong_home(home, &view)? {
            run.findings.push(finding);
            return Ok(run.report(Some(&view)));
        }
        let public = read_text(disk, &PUBLIC_KEY, NOTE_BYTES_MAX).map_err(failed)?;
        let public = public.and_then(|key| VerifierKey::parse(key.strip_suffix('\n')?));
        let own = keys.as_ref().map_or_else(Vec::new, |keys| keys.all(key.name()));
        if !public.is_some_and(|key| view.checkpoint.is_signed_by(&key)) {
            run.findings.push(Finding::of_log(Verdict::Forked, "log/key is not the key that signs the log"));
        }
        if keys.as_ref().is_some_and(SealKeys::is_damaged) {
            run.findings.push(Finding::of_log(Verdict::BadSignature, "a signing key in the folder of keys is damaged"));
        }
        run.vouched_by.push("self".to_owned());
        run.vouched_upto.push(view.size());
        for seen in &seen {
            run.compare(seen, &view, &own);
        }
        let since = self.remembered.as_ref().and_then(|known| SignedCheckpoint::parse(&known.checkpoint));
        run.count_removals(&view, since.map_or(0, |since| since.checkpoint.size));
        self.check_files(home, (&view, beside), clock, &mut run, progress)?;
        Ok(run.report(Some(&view)))
    }

    /// Whether the checkpoint is rightly signed by the key in the home, which is not the remembered one.
    fn has_other_key(&self, disk: &dyn Disk) -> io::Result<bool> {
        let read = |path: &[&str]| read_text(disk, path, NOTE_BYTES_MAX);
        let key = read(&PUBLIC_KEY)?.and_then(|key| VerifierKey::parse(key.trim_end()));
        let note = read(&PUBLISHED)?.and_then(|note| SignedCheckpoint::parse(&note));
        let is_other = key.as_ref() != self.remembered.as_ref().map(|known| &known.key);
        Ok(is_other && key.zip(note).is_some_and(|(key, note)| note.is_signed_by(&key)))
    }

    /// Returns the key with which the verification begins.
    fn first_key(
        &self,
        home: &Home,
        keys: Option<&SealKeys>,
        beside: Option<&str>,
    ) -> Result<Option<VerifierKey>, Error> {
        if let Some(key) = self.key.clone().or_else(|| self.remembered.as_ref().map(|known| known.key.clone())) {
            return Ok(Some(key));
        }
        let disk = &**home.disk();
        let public = read_text(disk, &PUBLIC_KEY, NOTE_BYTES_MAX).ok().flatten().unwrap_or_default();
        let public = public.strip_suffix('\n').and_then(VerifierKey::parse);
        if let Some(keys) = keys {
            let origin = beside.and_then(SignedCheckpoint::parse).map(|beside| beside.checkpoint.origin);
            let origin = origin.or_else(|| public.as_ref().map(|key| key.name().to_owned()));
            if let (Some(origin), Ok(Some(number))) = (origin, keys.newest())
                && let Ok(signer) = keys.signer(&origin, number)
            {
                return Ok(Some(signer.verifier()));
            }
        }
        if public.is_none() && disk.stat(&PUBLISHED).is_ok_and(|stat| stat.is_none()) {
            return Ok(None);
        }
        public.map(Some).ok_or_else(|| {
            Error::input(
                format!("{} has no verifier key", home.root().join(".tooltrail/log/key").display()),
                "give the key with --key; tooltrail key show prints it where the home is written",
            )
        })
    }

    /// Returns the checkpoints that somebody saw.
    fn seen(&self, disk: &dyn Disk, beside: Option<&str>) -> io::Result<Vec<Seen>> {
        let seen = |who: &str, note: &str| {
            let known = self.remembered.as_ref().filter(|_| who == "remembered").map(|known| known.key.clone());
            Seen { who: who.to_owned(), note: Some(note.to_owned()), witness: None, key: known }
        };
        let mut all = Vec::new();
        all.extend(self.checkpoint.as_ref().map(|note| seen("given", note)));
        all.extend(self.remembered.as_ref().map(|known| seen("remembered", &known.checkpoint)));
        all.extend(beside.map(|note| seen("beside the key", note)));
        for witness in &self.witnesses {
            let path = [OWN_FOLDER, LOG_FOLDER, WITNESSED_FOLDER, &witnessed_name(witness.name())];
            let note = read_text(disk, &path, NOTE_BYTES_MAX)?;
            let who = format!("witness {}", witness.name());
            all.push(Seen { who, note, witness: Some(witness.clone()), key: None });
        }
        Ok(all)
    }

    /// Steps 5 to 7: the files, the heads without a file, and the tails.
    fn check_files(
        &self,
        home: &Home,
        (view, beside): (&View, Option<&str>),
        clock: &dyn Clock,
        run: &mut Run,
        progress: &dyn Fn(u64),
    ) -> Result<(), Error> {
        let disk = &**home.disk();
        let failed = |error| Error::io("verify", home.root())(error);
        for names in view.passes() {
            let mut files = view.files(disk, &names).map_err(failed)?;
            let present = self.present(disk, &names).map_err(failed)?;
            let unnamed = present.unnamed.iter().filter(|_| *names.start() == 0).map(|day| (None, day));
            let mut bad = Vec::new();
            for (name, day) in present.named.iter().map(|(name, day)| (Some(*name), day)).chain(unnamed) {
                let heads = name.and_then(|name| files.remove(&name)).unwrap_or_default();
                let one = self.check_day(disk, day, name, &heads, view, clock).map_err(failed)?;
                progress(one.counts.bytes);
                if one.is_bad() { bad.push((name, day.clone(), one)) } else { run.add(one) }
            }
            self.look_again(disk, bad, (&view.key, beside), clock, run).map_err(failed)?;
            self.check_gone(disk, &files, &present, (view, beside), run).map_err(failed)?;
        }
        Ok(())
    }

    /// Looks once more at files that were found bad, with the newest log, because writers, erasures and prunes may be at
    /// work. An erasure that is recorded and not done yet is waited for.
    fn look_again(
        &self,
        disk: &dyn Disk,
        mut bad: Vec<(Option<Hash>, Day, OneFile)>,
        (key, beside): (&VerifierKey, Option<&str>),
        clock: &dyn Clock,
        run: &mut Run,
    ) -> io::Result<()> {
        for look in 0..LOOKS_MAX {
            if bad.is_empty() {
                break;
            }
            let Ok(newer) = View::read(disk, key, beside, &[])? else { break };
            let names = bad.iter().filter_map(|(name, ..)| *name).collect::<BTreeSet<_>>();
            let files = newer.files_of(disk, |name| names.contains(name))?;
            let mut still = Vec::new();
            for (name, day, _) in bad {
                let heads = name.and_then(|name| files.get(&name).cloned()).unwrap_or_default();
                let one = self.check_day(disk, &day, name, &heads, &newer, clock)?;
                if one.is_bad() && (one.is_unfinished || look == 0) {
                    still.push((name, day, one));
                } else {
                    run.add(one);
                }
            }
            bad = still;
            if bad.iter().all(|(.., one)| !one.is_unfinished) {
                break;
            }
            disk.pause(LOOK_PAUSE);
        }
        bad.into_iter().for_each(|(.., one)| run.add(one));
        Ok(())
    }

    /// Checks one day file that is present or was when the folder was listed.
    fn check_day(
        &self,
        disk: &dyn Disk,
        day: &Day,
        name: Option<Hash>,
        heads: &FileHeads,
        view: &View,
        clock: &dyn Clock,
    ) -> io::Result<OneFile> {
        let (folder, date) = (&*day.0, day.1);
        let mut one = OneFile::default();
        let opened = match disk.open(&[folder, TRAIL_FOLDER, &day_name(date)]) {
            // Something that is no regular file has taken its name.
            Err(error) if !is_trouble(&error) => None,
            opened => opened?,
        };
        let stat = opened.as_deref().map(DiskFile::stat).transpose()?;
        let len = stat.map_or(0, |stat| stat.len);
        if let (Some(stat), Some((index, _))) = (stat, heads.heads.last()) {
            let Stat { device, inode, len, changed_ns, .. } = stat;
            let state = format!("{device} {inode} {len} {changed_ns} {index}");
            let file = format!("{folder}/{date}");
            let is_known = self.quick.as_ref().is_some_and(|known| known.get(&file) == Some(&state));
            one.state = Some((file, state));
            if is_known {
                (one.counts.files, one.counts.skipped) = (1, 1);
                return Ok(one);
            }
        }
        let file = opened.as_deref();
        let checked = |heads| Checked {
            disk,
            folder,
            date,
            name: name.unwrap_or_default(),
            file,
            len,
            heads,
            erased: &view.erased,
        };
        let mut sealed = heads.heads.last().map_or(0, |(_, head)| head.bytes);
        one.counts.files = u64::from(file.is_some());
        one.counts.bytes = len;
        one.counts.adopted = u64::from(heads.heads.iter().any(|(_, head)| head.is_adopted));
        let newest_is_well;
        (one.findings, newest_is_well) = checked(&heads.heads).check(&mut one.counts)?;
        one.is_unfinished = one.findings.iter().any(|finding| finding.text == NOT_ERASED);
        if let (true, Some(removed)) = (heads.heads.is_empty(), &heads.removed) {
            let holds = file.is_some() && checked(&removed.heads).holds()?;
            match (holds, removed.is_erased, file.is_some()) {
                (_, is_erased, false) => one.findings.push(gone(day, is_erased)),
                (true, false, true) => sealed = removed.heads.last().map_or(0, |(_, head)| head.bytes),
                (true, true, true) => {
                    let text = "the log says that this file was erased, but it is there";
                    one.findings.push(Finding::of_file(Verdict::Modified, (folder, date), None, text));
                    one.is_unfinished = true;
                    return Ok(one);
                }
                (false, _, true) => {}
            }
        }
        if let Some(stat) = stat.filter(|stat| stat.len > sealed && newest_is_well) {
            let age_ns = i128::from(clock.now().as_millis()) * 1_000_000 - stat.modified_ns;
            if age_ns.unsigned_abs() <= self.max_tail.as_nanos() {
                one.has_tail = true;
            } else {
                let text = "lines were not sealed, and not because they are new";
                one.findings.push(Finding::of_file(Verdict::Unsealed, (folder, date), None, text));
            }
        }
        Ok(one)
    }

    /// Step 6: heads whose files are not there.
    fn check_gone(
        &self,
        disk: &dyn Disk,
        files: &Files,
        present: &Present,
        (view, beside): (&View, Option<&str>),
        run: &mut Run,
    ) -> io::Result<()> {
        let gone = files.iter().filter(|(name, _)| !present.named.contains_key(*name)).collect::<Vec<_>>();
        if gone.is_empty() {
            return Ok(());
        }
        let labels = Labels::find(disk, gone.iter().map(|(name, file)| (**name, newest_at(file))))?;
        // Files may have been removed since the log was read.
        let has_missing = gone.iter().any(|(_, file)| !file.heads.is_empty());
        let newer = if has_missing { View::read(disk, &view.key, beside, &[])?.ok() } else { None };
        let newer = newer.map(|newer| newer.files_of(disk, |name| files.contains_key(name))).transpose()?;
        for (name, file) in gone {
            let day = labels.get(name);
            if day.is_none_or(|day| !self.wants(day)) && (self.folders.is_some() || self.days != (None, None)) {
                continue;
            }
            let file = newer.as_ref().and_then(|newer| newer.get(name)).unwrap_or(file);
            run.counts.heads += file.heads.len() as u64;
            let removed = file.removed.as_ref().map(|removed| removed_words(removed.is_erased));
            let missing = (!file.heads.is_empty()).then_some((Verdict::Missing, "the file is gone"));
            for (verdict, text) in removed.into_iter().chain(missing) {
                let label = day.map(|(folder, date)| format!("{folder}/{date}"));
                let keyed_name = day.is_none().then(|| crate::hex::hex(&name[..8]));
                run.findings.push(Finding { verdict, file: label, keyed_name, lines: None, text: text.to_owned() });
            }
        }
        Ok(())
    }

    /// Lists the day files whose keyed names begin with one of these bytes, and those without a keyed name.
    fn present(&self, disk: &dyn Disk, names: &std::ops::RangeInclusive<u8>) -> io::Result<Present> {
        let mut present = Present::default();
        for user in disk.list(&[])?.into_iter().filter(|entry| entry.folder && entry.name != OWN_FOLDER) {
            let files = match disk.list(&[&user.name, TRAIL_FOLDER]) {
                Err(error) if !is_trouble(&error) => continue,
                files => files?,
            };
            let key = NameKey::read(disk, &user.name)?;
            for date in files.iter().filter_map(|file| day_of(&file.name)) {
                let day = (user.name.clone(), date);
                if !self.wants(&day) {
                    continue;
                }
                match key.map(|key| key.of_file(&user.name, date)) {
                    Some(name) if names.contains(&name[0]) => drop(present.named.insert(name, day)),
                    Some(_) => {}
                    None => present.unnamed.push(day),
                }
            }
        }
        Ok(present)
    }

    fn wants(&self, (folder, date): &Day) -> bool {
        let (from, to) = self.days;
        self.folders.as_ref().is_none_or(|folders| folders.contains(folder))
            && from.is_none_or(|from| *date >= from)
            && to.is_none_or(|to| *date <= to)
    }
}

/// Returns the bytes of all day files of a home, for a progress bar. What cannot be looked at is left out.
#[must_use]
pub fn bytes_of(home: &Home) -> u64 {
    let disk = &**home.disk();
    let mut bytes = 0;
    for user in disk.list(&[]).unwrap_or_default().into_iter().filter(|entry| entry.folder && entry.name != OWN_FOLDER)
    {
        for file in disk.list(&[&user.name, TRAIL_FOLDER]).unwrap_or_default() {
            let stat = day_of(&file.name).and_then(|_| disk.stat(&[&user.name, TRAIL_FOLDER, &file.name]).ok()?);
            bytes += stat.map_or(0, |stat| stat.len);
        }
    }
    bytes
}

/// The folder of the notes that witnesses have cosigned.
pub(super) const WITNESSED_FOLDER: &str = "witnessed";

/// Returns the file name of a witness's note.
pub(crate) fn witnessed_name(witness: &str) -> String {
    use sha2::Digest as _;
    crate::hex::hex(&sha2::Sha256::digest(witness))
}

/// The result of one file.
#[derive(Debug, Default)]
struct OneFile {
    findings: Vec<Finding>,
    has_tail: bool,
    counts: Counts,
    /// Its path and its state, by which the next verification knows that it has not changed.
    state: Option<(String, String)>,
    /// Whether an erasure is recorded that may still be under way.
    is_unfinished: bool,
}

impl OneFile {
    fn is_bad(&self) -> bool {
        self.findings.iter().any(|finding| !finding.verdict.is_good())
    }
}

impl Run {
    fn add(&mut self, one: OneFile) {
        if one.findings.is_empty() && !one.has_tail {
            self.good_files.extend(one.state);
        }
        self.counts.skipped += one.counts.skipped;
        self.findings.extend(one.findings);
        self.has_tail |= one.has_tail;
        self.counts.files += one.counts.files;
        self.counts.lines += one.counts.lines;
        self.counts.bytes += one.counts.bytes;
        self.counts.heads += one.counts.heads;
        self.counts.adopted += one.counts.adopted;
        self.counts.tail_lines += one.counts.tail_lines;
    }

    fn count_removals(&mut self, view: &View, since: u64) {
        for (_, is_erasure) in view.removals.iter().filter(|(index, _)| *index >= since) {
            let count = if *is_erasure { &mut self.counts.erased } else { &mut self.counts.pruned };
            *count += 1;
        }
    }

    /// Step 4: compares the log with a checkpoint that somebody saw.
    fn compare(&mut self, seen: &Seen, view: &View, own: &[VerifierKey]) {
        let who = &seen.who;
        let mut found = |verdict, text: String| self.findings.push(Finding::of_log(verdict, text));
        let Some(note) = &seen.note else {
            return found(Verdict::Missing, format!("there is no note of {who}"));
        };
        let read = SignedCheckpoint::parse_extended(note);
        let Some(read) = read.filter(|read| {
            read.checkpoint.origin != view.checkpoint.checkpoint.origin || is_known(read, seen, view, own)
        }) else {
            return found(Verdict::BadSignature, format!("the checkpoint {who} is not signed by an accepted key"));
        };
        let Checkpoint { origin, size, root } = read.checkpoint;
        if origin != view.checkpoint.checkpoint.origin {
            found(Verdict::Forked, format!("the checkpoint {who} is of another log, {origin}"));
        } else if size > view.size() {
            found(
                Verdict::RolledBack,
                format!("the checkpoint {who} has {size} entries, and the log has {}", view.size()),
            );
        } else if view.roots.get(&size) != Some(&root) {
            found(Verdict::Forked, format!("the checkpoint {who} of size {size} has another root"));
        } else {
            self.vouched_by.push(who.clone());
            self.vouched_upto.push(size);
        }
    }

    fn report(mut self, view: Option<&View>) -> Report {
        let worst = self.findings.iter().map(|finding| finding.verdict).min();
        let tail = self.has_tail.then_some(Verdict::OkUnsealedTail);
        let verdict = worst.into_iter().chain(tail).min().unwrap_or(Verdict::Ok);
        self.findings.sort_by(|a, b| a.verdict.cmp(&b.verdict).then_with(|| a.file.cmp(&b.file)));
        Report {
            verdict,
            findings: self.findings,
            vouched_by: self.vouched_by,
            vouched_upto: self.vouched_upto,
            checkpoint: view.map(|view| (view.checkpoint.checkpoint.origin.clone(), view.size(), view.root_text())),
            counts: self.counts,
            good_files: self.good_files,
            remember: view.map(|view| (view.key.to_string(), view.checkpoint.whole.clone())),
        }
    }
}

impl Report {
    /// Returns what a verifier should remember; `None` if the verdict speaks against the log.
    #[must_use]
    pub fn to_remember(&self) -> Option<Remembered> {
        let log_is_good = self.findings.iter().all(|finding| !finding.is_of_log() || finding.verdict.is_good());
        let (key, checkpoint) = self.remember.as_ref().filter(|_| log_is_good)?;
        Some(Remembered { key: VerifierKey::parse(key)?, checkpoint: checkpoint.clone() })
    }
}

/// Whether a seen checkpoint is signed by an accepted key, and by the witness if it is a witness's.
fn is_known(read: &SignedCheckpoint, seen: &Seen, view: &View, own: &[VerifierKey]) -> bool {
    let by_log = match &seen.key {
        Some(key) => read.is_signed_by(key),
        None => view.accepted.iter().chain(own).any(|key| read.is_signed_by(key)),
    };
    let by_witness = seen.witness.as_ref().is_none_or(|key| matches!(read.note.signed_by(key), Signed::Yes(_)));
    by_log && by_witness
}

/// Returns the finding that the log is the one of another home.
fn wrong_home(home: &Home, view: &View) -> Result<Option<Finding>, Error> {
    let origin = &view.checkpoint.checkpoint.origin;
    let Some(of) = origin.strip_prefix("tooltrail/").and_then(|rest| rest.split('/').next()) else { return Ok(None) };
    let is_default = of.len() == 32 && of.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let id = read_text(&**home.disk(), &[OWN_FOLDER, "id"], 256).map_err(Error::io("verify", home.root()))?;
    let is_other = id.unwrap_or_default().trim() != of;
    Ok((is_default && is_other).then(|| {
        Finding::of_log(Verdict::Forked, "the log is of another home: the home's id is not the one in its origin")
    }))
}

fn gone((folder, date): &Day, is_erased: bool) -> Finding {
    let (verdict, text) = removed_words(is_erased);
    Finding::of_file(verdict, (folder, *date), None, text)
}

fn removed_words(is_erased: bool) -> (Verdict, &'static str) {
    if is_erased {
        (Verdict::Erased, "the file was erased, and the log says so")
    } else {
        (Verdict::Pruned, "the retention removed the file, and the log says so")
    }
}

fn newest_at(file: &FileHeads) -> u64 {
    let of = |heads: &[(u64, Head)]| heads.last().map_or(0, |(_, head)| head.at);
    of(&file.heads).max(file.removed.as_ref().map_or(0, |removed| of(&removed.heads)))
}
