//! Verifies a home: section 6 of `docs/proof.md`.

mod file;
mod files;
mod label;
mod memory;
mod regular;
mod run;
mod verdict;
mod view;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(super) use file::Checked;
pub use memory::{KnownFiles, Memories, Remembered};
pub use verdict::{Counts, Finding, Report, Verdict};
pub(super) use view::View;

use crate::clock::{Clock, Date};
use crate::disk::Disk;
use crate::error::Error;
use crate::home::{Home, OWN_FOLDER, TRAIL_FOLDER, day_of, user_folders};
use crate::seal::checkpoint::SignedCheckpoint;
use crate::seal::keys::SealKeys;
use crate::seal::log::LOG_FOLDER;
use crate::seal::note::{KeyKind, NOTE_BYTES_MAX, VerifierKey};
use crate::seal::signing::{PUBLIC_KEY, PUBLISHED};
use crate::seal::verify::regular::home_text;
use crate::seal::verify::run::{Run, Seen};

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
        let public = home_text(disk, &PUBLIC_KEY, NOTE_BYTES_MAX).map_err(failed)?;
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
        let read = |path: &[&str]| home_text(disk, path, NOTE_BYTES_MAX);
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
        let public = home_text(disk, &PUBLIC_KEY, NOTE_BYTES_MAX).ok().flatten().unwrap_or_default();
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
            let note = home_text(disk, &path, NOTE_BYTES_MAX)?;
            let who = format!("witness {}", witness.name());
            all.push(Seen { who, note, witness: Some(witness.clone()), key: None });
        }
        Ok(all)
    }
}

/// Returns the bytes of all day files of a home, for a progress bar. What cannot be looked at is left out.
#[must_use]
pub fn bytes_of(home: &Home) -> u64 {
    let disk = &**home.disk();
    let mut bytes = 0;
    for folder in user_folders(disk).unwrap_or_default() {
        for file in disk.list(&[&folder, TRAIL_FOLDER]).unwrap_or_default() {
            let stat = day_of(&file.name).and_then(|_| disk.stat(&[&folder, TRAIL_FOLDER, &file.name]).ok()?);
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

/// Returns the finding that the log is the one of another home.
fn wrong_home(home: &Home, view: &View) -> Result<Option<Finding>, Error> {
    let origin = &view.checkpoint.checkpoint.origin;
    let Some(of) = origin.strip_prefix("tooltrail/").and_then(|rest| rest.split('/').next()) else { return Ok(None) };
    let is_default = of.len() == 32 && of.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let id = home_text(&**home.disk(), &[OWN_FOLDER, "id"], 256).map_err(Error::io("verify", home.root()))?;
    let is_other = id.unwrap_or_default().trim() != of;
    Ok((is_default && is_other).then(|| {
        Finding::of_log(Verdict::Forked, "the log is of another home: the home's id is not the one in its origin")
    }))
}
