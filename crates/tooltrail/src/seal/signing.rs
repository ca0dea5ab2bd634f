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
use crate::seal::note::{NOTE_BYTES_MAX, SignerKey};
use crate::seal::record::Record;
use crate::seal::tree::root;

/// The newest checkpoint in the home.
pub(crate) const PUBLISHED: [&str; 3] = [OWN_FOLDER, LOG_FOLDER, "checkpoint"];

/// The verifier key in the home, for whoever has no better one.
pub(crate) const PUBLIC_KEY: [&str; 3] = [OWN_FOLDER, LOG_FOLDER, "key"];

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
        // The key is made under the same lock.
        let first = SignedCheckpoint::parse(&self.keys.checkpoint()?.unwrap_or_default());
        let origin = first.map_or_else(|| self.origin.to_owned(), |first| first.checkpoint.origin);
        let signer = self.keys.signer_in_use(&origin, self.random)?;
        let lock = self.keys.lock()?;
        let stored = self.keys.checkpoint()?;
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
        let published_checkpoint = self.ours(published.as_deref(), &signer, "the log of the home")?;
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
        self.commit_with(log, records, &[]).map(|_| ())
    }

    /// Like [`Signing::commit`], with the signatures of other keys too. Returns the note.
    ///
    /// # Errors
    /// As [`Signing::commit`].
    pub(crate) fn commit_with(
        self,
        log: &mut SigningLog,
        records: &[Record],
        others: &[&SignerKey],
    ) -> io::Result<String> {
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
        self.publish(log, note.clone())?;
        let root = log.log.root();
        log.heads.keep(&**self.disk, &root);
        Ok(note)
    }

    /// Stores a checkpoint beside the key, and then in the home.
    fn publish(self, log: &mut SigningLog, note: String) -> io::Result<()> {
        self.keys.store_checkpoint(&note)?;
        let key = format!("{}\n", log.signer.verifier());
        if read_text(&**self.disk, &PUBLIC_KEY, NOTE_BYTES_MAX)?.as_ref() != Some(&key) {
            self.disk.replace(&PUBLIC_KEY, key.as_bytes())?;
        }
        self.disk.replace(&PUBLISHED, note.as_bytes())?;
        log.stored = Some(note);
        Ok(())
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

    /// Returns the newest checkpoint as it was published.
    pub(crate) fn stored(&self) -> Option<&str> {
        self.stored.as_deref()
    }
}
