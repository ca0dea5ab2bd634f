//! Keyed names of day files, so that the log alone names nobody.

use std::io;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::clock::Date;
use crate::disk::Disk;
use crate::hex::{hex, unhex};
use crate::home::OWN_FOLDER;
use crate::random::Random;
use crate::seal::tree::Hash;

/// The folder of name keys below `.tooltrail/`.
pub(crate) const NAMES_FOLDER: &str = "names";

/// How long to wait for another process that makes the same key.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The key of one user's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NameKey([u8; 32]);

impl NameKey {
    /// Reads the key of a user's folder; `None` if there is none, or if the file has other content.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn read(disk: &dyn Disk, folder: &str) -> io::Result<Option<Self>> {
        let Some(file) = disk.open(&[OWN_FOLDER, NAMES_FOLDER, folder])? else { return Ok(None) };
        let mut text = [0; 66];
        let read = file.read_at(&mut text, 0)?;
        let digits = text[..read].strip_suffix(b"\n").and_then(|digits| unhex(std::str::from_utf8(digits).ok()?));
        Ok(digits.map(Self))
    }

    /// Returns the key of a user's folder. Makes it if it is missing, and syncs it.
    ///
    /// # Errors
    /// Any I/O error of the operating system; also if the file has other content.
    pub(crate) fn make(disk: &dyn Disk, folder: &str, random: &dyn Random) -> io::Result<Self> {
        let path = [OWN_FOLDER, NAMES_FOLDER, folder];
        let wrong = || io::Error::other(format!(".tooltrail/{NAMES_FOLDER}/{folder} is not a name key"));
        if let Some(key) = Self::read(disk, folder)? {
            return Ok(key);
        }
        if disk.stat(&path)?.is_some() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        let _lock = disk.lock(&[OWN_FOLDER, "names.lock"], LOCK_WAIT)?;
        if disk.create(&path, format!("{}\n", hex(&bytes)).as_bytes(), true)? {
            return Ok(Self(bytes));
        }
        Self::read(disk, folder)?.ok_or_else(wrong)
    }

    /// Returns the key of one day, which a proof discloses.
    pub(crate) fn of_day(&self, date: Date) -> Hash {
        keyed(&self.0, &date.to_string())
    }

    /// Returns the keyed name of a day file.
    pub(crate) fn of_file(&self, folder: &str, date: Date) -> Hash {
        file_name(&self.of_day(date), folder, &date.to_string())
    }
}

/// Returns the keyed name of a day file from the key of its day.
pub(crate) fn file_name(day_key: &Hash, folder: &str, date: &str) -> Hash {
    keyed(day_key, &format!("{folder}/{date}"))
}

fn keyed(key: &[u8; 32], text: &str) -> Hash {
    // A key of any length is accepted.
    Hmac::<Sha256>::new_from_slice(key).map_or([0; 32], |mac| mac.chain_update(text).finalize().into_bytes().into())
}
