//! The redaction key: generated once, and kept outside the home.

use std::path::Path;
use std::time::Duration;

use crate::disk::{Disk, RealDisk};
use crate::error::Error;
use crate::hex::hex;
use crate::home::Home;
use crate::random::Random;
use crate::redact::RedactionKey;

/// The file of the first key. A key rotation would add a file with the next number.
const FILE: &str = "redact-1.key";

/// How long to wait for another process that generates the key.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Returns the redaction key from the key folder of a home. Creates the folder and the key if they are missing.
pub(crate) fn redaction_key(home: &Home, folder: &Path, random: &dyn Random) -> Result<RedactionKey, Error> {
    home.make_keys_folder(folder)?;
    let path = folder.join(FILE);
    let disk = RealDisk::open(folder, false).map_err(Error::io("open", folder))?;
    // A key that exists is read without the lock, so that many processes can start at the same time.
    if let Some(key) = read(&disk, folder)? {
        return Ok(key);
    }
    let _lock = disk.lock(&["redact.lock"], LOCK_WAIT).map_err(Error::io("lock", &path))?;
    if let Some(key) = read(&disk, folder)? {
        return Ok(key);
    }
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    disk.replace(&[FILE], format!("{}\n", hex(&bytes)).as_bytes()).map_err(Error::io("write", &path))?;
    Ok(RedactionKey { number: 1, bytes })
}

/// Returns the redaction keys in a key folder, in the order of their numbers. Returns an empty list if there is no key
/// yet.
///
/// # Errors
/// [`Error::Io`] if a key cannot be read, [`Error::Format`] if the content of a key file is not a key.
pub fn redaction_keys(folder: &Path) -> Result<Vec<RedactionKey>, Error> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let disk = RealDisk::open(folder, false).map_err(Error::io("open", folder))?;
    Ok(read(&disk, folder)?.into_iter().collect())
}

fn read(disk: &RealDisk, folder: &Path) -> Result<Option<RedactionKey>, Error> {
    let path = folder.join(FILE);
    let Some(file) = disk.open(&[FILE]).map_err(Error::io("open", &path))? else { return Ok(None) };
    let mut text = [0; 65];
    let read = file.read_at(&mut text, 0).map_err(Error::io("read", &path))?;
    let bytes = parse(text[..read].trim_ascii());
    let bytes = bytes.ok_or_else(|| Error::Format { path, offset: 0, what: "not 64 hex digits".to_owned() })?;
    Ok(Some(RedactionKey { number: 1, bytes }))
}

fn parse(digits: &[u8]) -> Option<[u8; 32]> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 64 && digits.is_ascii())?;
    let mut bytes = [0; 32];
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(bytes)
}
