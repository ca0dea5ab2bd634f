//! What is kept in the folder of keys, outside the home: the signing keys, the newest checkpoint, and the erasures.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::disk::{Disk, Lock, RealDisk};
use crate::error::Error;
use crate::hex::{hex, unhex};
use crate::home::Home;
use crate::random::Random;
use crate::seal::note::{KeyKind, SignerKey};

/// How long to wait for another process that works with the keys.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The newest checkpoint of the log.
const CHECKPOINT: &str = "checkpoint";

/// The records of all erasures, one on each line.
pub(crate) const ERASED: &str = "erased.jsonl";

/// The most bytes of a checkpoint that is read.
const CHECKPOINT_BYTES_MAX: usize = crate::seal::note::NOTE_BYTES_MAX;

/// The folder of keys, as far as the seal uses it.
#[derive(Clone, Debug)]
pub(crate) struct SealKeys {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    /// A file with the seed of the signing key, if it is not in the folder.
    seed_file: Option<PathBuf>,
}

impl SealKeys {
    /// Opens the folder of keys of a home, and creates it if it is missing.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn create(home: &Home, folder: &Path, seed_file: Option<PathBuf>) -> Result<Self, Error> {
        home.make_keys_folder(folder)?;
        Self::open(folder, seed_file)
    }

    /// Opens an existing folder of keys.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn open(folder: &Path, seed_file: Option<PathBuf>) -> Result<Self, Error> {
        let disk = RealDisk::open(folder, false).map_err(Error::io("open", folder))?;
        Ok(Self { disk: Arc::new(disk), folder: folder.to_owned(), seed_file })
    }

    /// Uses a folder on any disk.
    pub(crate) fn on(disk: Arc<dyn Disk>) -> Self {
        Self { disk, folder: PathBuf::from("keys"), seed_file: None }
    }

    /// Takes the lock under which the checkpoint is compared and replaced.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if another process holds it for 2 s.
    pub(crate) fn lock(&self) -> io::Result<Box<dyn Lock>> {
        self.disk.lock(&["log.lock"], LOCK_WAIT)
    }

    /// Returns the number of the signing key in use, `None` if there is none yet.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn newest(&self) -> io::Result<Option<u64>> {
        let number = |name: &str| name.strip_prefix("log-")?.strip_suffix(".key")?.parse::<u64>().ok();
        Ok(self.disk.list(&[])?.iter().filter_map(|file| number(&file.name)).max())
    }

    /// Returns the signing key of this number under the name of the log's origin.
    ///
    /// # Errors
    /// Any I/O error of the operating system; [`io::ErrorKind::InvalidData`] if the file has other content.
    pub(crate) fn signer(&self, origin: &str, number: u64) -> io::Result<SignerKey> {
        let seed = match &self.seed_file {
            Some(file) => parse_seed(&Zeroizing::new(std::fs::read(file)?)),
            None => {
                let name = file_name(number);
                let file = self.disk.open(&[&name])?.ok_or(io::ErrorKind::NotFound)?;
                let mut text = Zeroizing::new([0; 66]);
                let read = file.read_at(&mut text[..], 0)?;
                parse_seed(&text[..read])
            }
        };
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "a signing key must be 64 hex digits");
        Ok(SignerKey::new(origin, KeyKind::Log, &*seed.ok_or_else(wrong)?))
    }

    /// Returns the signing key in use. Makes the first one if there is none.
    ///
    /// # Errors
    /// As [`SealKeys::signer`].
    pub(crate) fn signer_in_use(&self, origin: &str, random: &dyn Random) -> io::Result<SignerKey> {
        if self.seed_file.is_some() {
            return self.signer(origin, 1);
        }
        let number = match self.newest()? {
            Some(number) => number,
            None => {
                let _lock = self.lock()?;
                match self.newest()? {
                    Some(number) => number,
                    None => self.make(1, random)?,
                }
            }
        };
        self.signer(origin, number)
    }

    /// Makes the signing key of this number, durably. Returns the number.
    ///
    /// # Errors
    /// Any I/O error of the operating system; also if there is such a key.
    pub(crate) fn make(&self, number: u64, random: &dyn Random) -> io::Result<u64> {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(&mut seed[..]);
        let text = Zeroizing::new(hex(&seed[..]) + "\n");
        if !self.disk.create(&[&file_name(number)], text.as_bytes(), true)? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(number)
    }

    /// Removes a key that was made and is not in use.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn remove(&self, number: u64) -> io::Result<()> {
        self.disk.remove(&[&file_name(number)])
    }

    /// Returns the newest checkpoint as it was stored, `None` if there is none.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn checkpoint(&self) -> io::Result<Option<String>> {
        read_text(&*self.disk, &[CHECKPOINT], CHECKPOINT_BYTES_MAX)
    }

    /// Stores the newest checkpoint, durably. The caller holds the lock and has compared it with the one before.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn store_checkpoint(&self, note: &str) -> io::Result<()> {
        self.disk.replace(&[CHECKPOINT], note.as_bytes())
    }

    /// Returns the disk of the folder.
    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Returns the folder, for messages.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Reads a small text file; `None` if it is missing. What is not UTF-8 is replaced, so that it cannot be valid.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn read_text(disk: &dyn Disk, path: &[&str], bytes_max: usize) -> io::Result<Option<String>> {
    let Some(file) = disk.open(path)? else { return Ok(None) };
    let len = usize::try_from(file.stat()?.len).unwrap_or(bytes_max);
    let mut bytes = vec![0; len.saturating_add(1).min(bytes_max.saturating_add(1))];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn file_name(number: u64) -> String {
    format!("log-{number}.key")
}

fn parse_seed(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let text = std::str::from_utf8(text).ok()?;
    unhex(text.strip_suffix('\n').unwrap_or(text)).map(Zeroizing::new)
}
