//! The ids of erased entries, so that nobody who delivers an entry once more brings it back: `.tooltrail/erased_ids`, 16
//! bytes for each, the first ones of the SHA-256 of the id.

use std::collections::HashSet;
use std::io;

use sha2::{Digest as _, Sha256};

use crate::call::EntryId;
use crate::disk::Disk;
use crate::home::OWN_FOLDER;

const FILE: [&str; 2] = [OWN_FOLDER, "erased_ids"];

/// The length of one record.
const RECORD: usize = 16;

/// The most ids that are remembered: 16 MiB. A sender delivers within days what it has, so the newest are enough.
const IDS_MAX: usize = 1 << 20;

/// The ids of erased entries, as far as they were read.
#[derive(Debug, Default)]
pub(crate) struct ErasedIds {
    hashes: HashSet<[u8; RECORD]>,
    read: u64,
}

impl ErasedIds {
    /// Reads what was added since the last time.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn refresh(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let Some(file) = disk.open(&FILE)? else { return Ok(()) };
        let len = file.stat()?.len / RECORD as u64 * RECORD as u64;
        if len < self.read {
            *self = Self::default();
        }
        if len == self.read {
            return Ok(());
        }
        let from = self.read.max(len.saturating_sub((IDS_MAX * RECORD) as u64));
        let mut bytes = vec![0; usize::try_from(len - from).unwrap_or(0)];
        let read = read_all(&*file, &mut bytes, from)?;
        self.hashes.extend(bytes[..read].as_chunks().0);
        self.read = len;
        Ok(())
    }

    /// Whether the entry with this id was erased.
    pub(crate) fn hold(&self, id: EntryId) -> bool {
        !self.hashes.is_empty() && self.hashes.contains(&hash_of(&id.to_string()))
    }
}

fn read_all(file: &dyn crate::disk::DiskFile, bytes: &mut [u8], from: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], from + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

/// Notes ids durably, before their entries are erased.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn note<'a>(disk: &dyn Disk, ids: impl Iterator<Item = &'a str>) -> io::Result<()> {
    let mut bytes = ids.flat_map(hash_of).collect::<Vec<_>>();
    if bytes.is_empty() {
        return Ok(());
    }
    let file = disk.append(&FILE)?;
    // What a killed process has left of a record is filled up.
    let rest = usize::try_from(file.stat()?.len % RECORD as u64).unwrap_or(0);
    if rest > 0 {
        bytes.splice(0..0, std::iter::repeat_n(0, RECORD - rest));
    }
    file.append(&bytes)?;
    file.sync()?;
    disk.sync_folder(&[OWN_FOLDER])
}

fn hash_of(id: &str) -> [u8; RECORD] {
    let mut hash = [0; RECORD];
    hash.copy_from_slice(&Sha256::digest(id.as_bytes())[..RECORD]);
    hash
}
