//! What is kept in the folder of keys, outside the home: the signing keys, the newest checkpoint, and the erasures.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::disk::{Disk, DiskFile, Lock, RealDisk};
use crate::error::Error;
use crate::hex::{hex, unhex};
use crate::home::Home;
use crate::random::Random;
use crate::seal::note::{KeyKind, SignerKey, VerifierKey};

/// How long to wait for another process that works with the keys.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The most signing keys that a log can have had.
const KEYS_MAX: u64 = 10_000;

/// A key that was made and is not in use yet.
const NEXT_KEY: &str = "log-next.key";

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
        let number = |name: &str| number(name).filter(|number| (1..=KEYS_MAX).contains(number));
        Ok(self.disk.list(&[])?.iter().filter_map(|file| number(&file.name)).max())
    }

    /// Returns the signing key of this number under the name of the log's origin.
    ///
    /// # Errors
    /// Any I/O error of the operating system; [`io::ErrorKind::InvalidData`] if the file has other content.
    pub(crate) fn signer(&self, origin: &str, number: u64) -> io::Result<SignerKey> {
        let file = match &self.seed_file {
            Some(file) => {
                let (folder, name) = (file.parent(), file.file_name().and_then(|name| name.to_str()));
                let (Some(folder), Some(name)) = (folder, name) else { return Err(io::ErrorKind::InvalidInput.into()) };
                let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                RealDisk::open(folder, false)?.open(&[name])?
            }
            None => self.disk.open(&[&file_name(number)])?,
        };
        let seed = read_seed(&*file.ok_or(io::ErrorKind::NotFound)?)?;
        Ok(SignerKey::new(origin, KeyKind::Log, &seed))
    }

    /// Whether a signing key has other content than a key. One that this user may not read is no reason.
    pub(crate) fn is_damaged(&self) -> bool {
        let newest = self.newest().ok().flatten().unwrap_or(0);
        let is_damaged = |error: io::Error| error.kind() == io::ErrorKind::InvalidData;
        (1..=newest).any(|number| self.signer("log", number).is_err_and(is_damaged))
    }

    /// Returns the verifier keys of all signing keys that can be read.
    pub(crate) fn all(&self, origin: &str) -> Vec<VerifierKey> {
        let newest = self.newest().ok().flatten().unwrap_or(0);
        (1..=newest).filter_map(|number| Some(self.signer(origin, number).ok()?.verifier())).collect()
    }

    /// Returns the signing key in use. Makes the first one if there is none. The caller holds the lock.
    ///
    /// # Errors
    /// As [`SealKeys::signer`].
    pub(crate) fn signer_in_use(&self, origin: &str, random: &dyn Random) -> io::Result<SignerKey> {
        let number = match self.newest()? {
            Some(number) => number,
            None if self.seed_file.is_some() => 1,
            None => {
                self.disk.create(&[&file_name(1)], new_seed(random).as_bytes(), true)?;
                1
            }
        };
        self.signer(origin, number)
    }

    /// Makes the next signing key, which is not in use before [`SealKeys::use_next`]. The caller holds the lock.
    ///
    /// # Errors
    /// Any I/O error of the operating system; also if the key in use is not in the folder, so that it cannot be
    /// replaced there.
    pub(crate) fn make_next(&self, origin: &str, random: &dyn Random) -> io::Result<SignerKey> {
        if let Some(file) = &self.seed_file {
            return Err(io::Error::other(format!("the key is {}: change it where it is made", file.display())));
        }
        self.disk.replace(&[NEXT_KEY], new_seed(random).as_bytes())?;
        self.next(origin)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Returns the key that was made and is not in use yet; `None` if there is none.
    ///
    /// # Errors
    /// As [`SealKeys::signer`].
    pub(crate) fn next(&self, origin: &str) -> io::Result<Option<SignerKey>> {
        match self.disk.open(&[NEXT_KEY])? {
            Some(file) => read_seed(&*file).map(|seed| Some(SignerKey::new(origin, KeyKind::Log, &seed))),
            None => Ok(None),
        }
    }

    /// Takes the next key into use.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn use_next(&self) -> io::Result<()> {
        let number = self.newest()?.map_or(1, |number| number + 1);
        self.disk.rename(&[NEXT_KEY], &[&file_name(number)])?;
        self.disk.sync_folder(&[])
    }

    /// Removes the next key, which nobody knows.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn drop_next(&self) -> io::Result<()> {
        self.disk.remove(&[NEXT_KEY])
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

/// Reads the seed of a signing key.
pub(crate) fn read_seed(file: &dyn DiskFile) -> io::Result<Zeroizing<[u8; 32]>> {
    let mut text = Zeroizing::new([0; 66]);
    let read = file.read_at(&mut text[..], 0)?;
    let digits = std::str::from_utf8(&text[..read]).ok().map(|text| text.strip_suffix('\n').unwrap_or(text));
    let seed = digits.and_then(unhex).map(Zeroizing::new);
    seed.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a signing key must be 64 hex digits"))
}

/// Returns the text of a new seed.
pub(crate) fn new_seed(random: &dyn Random) -> Zeroizing<String> {
    let mut seed = Zeroizing::new([0; 32]);
    random.fill(&mut seed[..]);
    Zeroizing::new(hex(&seed[..]) + "\n")
}
