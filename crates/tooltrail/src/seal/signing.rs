//! The log while it is being signed: opened only if it continues what was signed before, and published only after the
//! new checkpoint is stored beside the key.

use std::io;
use std::sync::Arc;

use crate::disk::{Disk, Lock};
use crate::home::OWN_FOLDER;
use crate::random::Random;
use crate::seal::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::seal::heads::Heads;
use crate::seal::keys::{SealKeys, read_text};
use crate::seal::log::{HashFiles, LOG_FOLDER, Log};
use crate::seal::note::{NOTE_BYTES_MAX, SignerKey, VerifierKey};
use crate::seal::record::{LogEvent, Record, What};
use crate::seal::tree::root;

/// The newest checkpoint in the home.
pub(crate) const PUBLISHED: [&str; 3] = [OWN_FOLDER, LOG_FOLDER, "checkpoint"];

/// The verifier key in the home, for whoever has no better one.
pub(crate) const PUBLIC_KEY: [&str; 3] = [OWN_FOLDER, LOG_FOLDER, "key"];

/// The folder of the checkpoints that announce a new key.
pub(crate) const ROTATIONS_FOLDER: &str = "keys";

/// Why nothing can be signed at the moment.
#[derive(Debug)]
pub(crate) enum SignError {
    Io(io::Error),
    /// Signing would make a second history, or the log is not ours. An operator must look at it.
    Refused(String),
}

impl From<io::Error> for SignError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl SignError {
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Io(error) => error.to_string(),
            Self::Refused(why) => why.clone(),
        }
    }
}

/// How a log goes on after something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// The key is lost: the same log under a new key.
    AfterLostKey,
    /// The home was restored: a new log.
    NewLog,
}

/// A log that may be appended to and signed.
pub(crate) struct SigningLog {
    pub(crate) log: Log,
    pub(crate) heads: Heads,
    pub(crate) origin: String,
    signer: SignerKey,
    /// The newest checkpoint as it is stored beside the key.
    stored: Option<String>,
}

/// What opening and signing need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signing<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) keys: &'a SealKeys,
    pub(crate) random: &'a dyn Random,
    /// The origin of a new log.
    pub(crate) origin: &'a str,
}

impl Signing<'_> {
    /// Takes the lock of the keys and opens the log, or takes over `before` if nobody else has signed since. The lock must
    /// be held as long as the log is used.
    ///
    /// # Errors
    /// [`SignError::Refused`] if the log in the home does not continue the checkpoint that is stored beside the key.
    pub(crate) fn open(self, before: Option<SigningLog>) -> Result<(Box<dyn Lock>, SigningLog), SignError> {
        let lock = self.keys.lock()?;
        let stored = self.keys.checkpoint()?;
        let origin = self.origin_of(stored.as_deref());
        self.finish_rotation(stored.as_deref(), &origin)?;
        let signer = self.keys.signer_in_use(&origin, self.random)?;
        let published = read_text(&**self.disk, &PUBLISHED, NOTE_BYTES_MAX)?;
        if let Some(before) = before
            && stored.is_some()
            && before.stored == stored
            && before.stored == published
            && before.signer.verifier() == signer.verifier()
        {
            return Ok((lock, before));
        }
        let stored_checkpoint = self.ours(stored.as_deref(), &signer, "the checkpoint beside the key")?;
        let older = published.as_deref().and_then(SignedCheckpoint::parse).map(|read| read.checkpoint);
        let published_checkpoint = match &stored_checkpoint {
            // A process was killed between storing and publishing. The older one may be signed by the key before; its
            // root is checked against the log below, whoever signed it.
            Some(stored) if older.as_ref().is_some_and(|older| older.is_before(stored)) => older,
            _ => self.ours(published.as_deref(), &signer, "the log of the home")?,
        };
        let newest = [&stored_checkpoint, &published_checkpoint].into_iter().flatten().max_by_key(|at| at.size);
        let Some(log) = Log::open(self.disk, newest)? else {
            return Err(SignError::Refused(self.behind(newest)));
        };
        let hashes = HashFiles { disk: &**self.disk };
        for at in [&stored_checkpoint, &published_checkpoint].into_iter().flatten() {
            if root(&hashes, at.size)? != at.root {
                return Err(SignError::Refused(self.behind(Some(at))));
            }
        }
        let heads = Heads::read(&**self.disk, log.size(), |size| root(&hashes, size))?;
        let mut log = SigningLog { log, heads, origin, signer, stored };
        if newest.is_none() {
            // The first checkpoint is that of the empty log, so that a home whose log is gone can be told from a new one.
            let note = self.sign(&mut log, &[], &[])?;
            self.publish(&mut log, note)?;
        }
        // A process was killed between the two.
        if let Some(newest) = newest.filter(|_| log.stored != published || log.stored.is_none()) {
            let newer = if published_checkpoint.as_ref() == Some(newest) { &published } else { &log.stored };
            let note = newer.clone().unwrap_or_default();
            self.publish(&mut log, note)?;
        }
        Ok((lock, log))
    }

    /// Appends records to the log, signs it and publishes the checkpoint. After an error, the log must be opened again.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn commit(self, log: &mut SigningLog, records: &[Record]) -> io::Result<()> {
        let note = self.sign(log, records, &[])?;
        self.publish(log, note)?;
        let root = log.log.root();
        log.heads.keep(&**self.disk, &root);
        Ok(())
    }

    /// Changes the signing key: the checkpoint that announces the new one is signed by both.
    ///
    /// If the process is killed after the checkpoint was stored beside the key, the next opening does the rest; if it is
    /// killed before, nobody has seen the new key.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn rotate(self, log: &mut SigningLog, at: u64, by: &str, why: &str) -> io::Result<VerifierKey> {
        let next = self.keys.make_next(&log.origin, self.random)?;
        let key = next.verifier();
        let what = What::Key { key: Box::new(key.clone()), lost: false };
        let note = self.sign(log, &[Record::Event(LogEvent::new(at, by, why, what))], &[&next])?;
        self.keys.store_checkpoint(&note)?;
        self.finish_rotation(Some(&note), &log.origin)?;
        log.signer = next;
        self.publish(log, note)?;
        Ok(key)
    }

    /// Completes a rotation whose checkpoint is stored, or drops a new key that nobody has seen.
    fn finish_rotation(self, stored: Option<&str>, origin: &str) -> io::Result<()> {
        let Some(next) = self.keys.next(origin)? else { return Ok(()) };
        let announcing = stored.and_then(SignedCheckpoint::parse).filter(|note| note.is_signed_by(&next.verifier()));
        let Some(announcing) = announcing else { return self.keys.drop_next() };
        let size = announcing.checkpoint.size.to_string();
        self.disk.replace(&[OWN_FOLDER, LOG_FOLDER, ROTATIONS_FOLDER, &size], announcing.whole.as_bytes())?;
        self.keys.use_next()
    }

    /// Returns the origin of the log: the one that was signed before.
    pub(crate) fn origin_of(self, stored: Option<&str>) -> String {
        let stored = stored.and_then(SignedCheckpoint::parse);
        stored.map_or_else(|| self.origin.to_owned(), |stored| stored.checkpoint.origin)
    }

    /// Appends records and returns the signed checkpoint, which is not published yet. After an error, the log must be
    /// opened again.
    fn sign(self, log: &mut SigningLog, records: &[Record], others: &[&SignerKey]) -> io::Result<String> {
        let first = log.log.size();
        log.log.append(&records.iter().map(Record::encode).collect::<Vec<_>>())?;
        for (index, record) in (first..).zip(records) {
            log.heads.add(index, record);
        }
        let checkpoint = Checkpoint { origin: log.origin.clone(), size: log.log.size(), root: log.log.root() };
        let note = checkpoint.sign(&[&[&log.signer], others].concat());
        let is_right = SignedCheckpoint::parse(&note)
            .is_some_and(|read| read.checkpoint == checkpoint && read.is_signed_by(&log.signer.verifier()));
        if !is_right {
            return Err(io::Error::other("the signature of the new checkpoint does not verify"));
        }
        Ok(note)
    }

    /// Stores a checkpoint beside the key, and then in the home.
    fn publish(self, log: &mut SigningLog, note: String) -> io::Result<()> {
        // First the key: once the checkpoint is stored, a verifier that sees it wants the key too.
        let key = format!("{}\n", log.signer.verifier());
        if read_text(&**self.disk, &PUBLIC_KEY, NOTE_BYTES_MAX)?.as_ref() != Some(&key) {
            self.disk.replace(&PUBLIC_KEY, key.as_bytes())?;
        }
        self.keys.store_checkpoint(&note)?;
        self.disk.replace(&PUBLISHED, note.as_bytes())?;
        log.stored = Some(note);
        Ok(())
    }

    /// Begins a log anew under the next origin, or the same log under a key that did not sign before. The caller holds the
    /// sealer lock; nothing is published before the checkpoint is stored beside the key.
    ///
    /// # Errors
    /// As [`Signing::open`].
    pub(crate) fn begin_again(self, how: Again, at: u64, by: &str, why: &str) -> Result<VerifierKey, SignError> {
        let _lock = self.keys.lock()?;
        let stored = self.keys.checkpoint()?;
        let published = read_text(&**self.disk, &PUBLISHED, NOTE_BYTES_MAX)?;
        let read = |note: &Option<String>| SignedCheckpoint::parse(note.as_deref().unwrap_or_default());
        let newest = [read(&stored), read(&published)].into_iter().flatten().max_by_key(|note| note.checkpoint.size);
        let Some(newest) = newest else {
            return Err(SignError::Refused("there is no log yet, so there is nothing to go on from".to_owned()));
        };
        let before = newest.checkpoint;
        let (origin, log, what) = match how {
            Again::AfterLostKey => {
                let origin = before.origin.clone();
                let Some(log) = Log::open(self.disk, Some(&before))? else {
                    return Err(SignError::Refused(self.behind(Some(&before))));
                };
                let key = self.keys.make_next(&origin, self.random)?.verifier();
                self.keys.use_next()?;
                (origin, log, What::Key { key: Box::new(key), lost: true })
            }
            Again::NewLog => {
                let origin = next_origin(&before.origin);
                let folder = format!("{LOG_FOLDER}.{}", origin_number(&before.origin));
                self.disk.rename(&[OWN_FOLDER, LOG_FOLDER], &[OWN_FOLDER, &folder])?;
                self.disk.sync_folder(&[OWN_FOLDER])?;
                let log = Log::open(self.disk, None)?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
                (origin, log, What::Restored(newest.whole))
            }
        };
        let signer = self.keys.signer_in_use(&origin, self.random)?;
        let hashes = HashFiles { disk: &**self.disk };
        let heads = Heads::read(&**self.disk, log.size(), |size| root(&hashes, size))?;
        let mut log = SigningLog { log, heads, origin, signer, stored };
        self.commit(&mut log, &[Record::Event(LogEvent::new(at, by, why, what))])?;
        Ok(log.signer.verifier())
    }

    /// Reads a checkpoint that must be signed by our key.
    fn ours(self, note: Option<&str>, signer: &SignerKey, what: &str) -> Result<Option<Checkpoint>, SignError> {
        let Some(note) = note else { return Ok(None) };
        let read = SignedCheckpoint::parse(note).filter(|read| read.is_signed_by(&signer.verifier()));
        match read {
            Some(read) if read.checkpoint.origin == signer.verifier().name() => Ok(Some(read.checkpoint)),
            _ => Err(SignError::Refused(format!(
                "{what} is not signed by the key in {}: nothing is sealed until the right key is there, or `tooltrail log restart` begins a new log",
                self.keys.folder().display()
            ))),
        }
    }

    fn behind(self, at: Option<&Checkpoint>) -> String {
        let size = at.map_or(0, |at| at.size);
        format!(
            "the log of this home does not continue the checkpoint of size {size} that was signed before: the home is an older or another copy; nothing is sealed until it is put right or `tooltrail log restart` begins a new log"
        )
    }
}

impl std::fmt::Debug for SigningLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningLog").field("origin", &self.origin).field("log", &self.log).finish_non_exhaustive()
    }
}

impl SigningLog {
    /// Returns the key that signs.
    pub(crate) fn signer(&self) -> &SignerKey {
        &self.signer
    }
}

/// Returns the origin of the log that follows a log: `…/2` after the first, `…/3` after that.
fn next_origin(origin: &str) -> String {
    let number = origin_number(origin);
    let base = if number > 1 { origin.rsplit_once('/').map_or(origin, |(base, _)| base) } else { origin };
    format!("{base}/{}", number + 1)
}

/// Returns how many logs there were, with this one.
fn origin_number(origin: &str) -> u64 {
    let number = origin.rsplit_once('/').and_then(|(_, number)| crate::seal::checkpoint::parse_number(number));
    number.filter(|number| *number >= 2).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_numbered() {
        assert_eq!(next_origin("tooltrail/0123"), "tooltrail/0123/2");
        assert_eq!(next_origin("tooltrail/0123/2"), "tooltrail/0123/3");
        assert_eq!(next_origin("example.com/log/9"), "example.com/log/10");
        assert_eq!(next_origin("log"), "log/2");
    }
}
