//! The newest head of each day file, gathered from the log, with a snapshot so that not the whole log must be read each
//! time.

use std::collections::HashMap;
use std::io;

use crate::disk::Disk;
use crate::home::OWN_FOLDER;
use crate::seal::leaves::SEAL_FOLDER;
use crate::seal::log::each_entry_since;
use crate::seal::record::{Head, Record, What};
use crate::seal::tree::Hash;

/// The snapshot below `.tooltrail/seal/`. No user's folder has this name there, because a dot is encoded in them.
const STATE: &str = "state.1";

/// How many entries the log grows until a new snapshot is written: they are read in a millisecond.
const SNAPSHOT_EVERY: u64 = 2_048;

/// The newest head of each file of a log of a certain size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heads {
    newest: HashMap<Hash, (u64, Head)>,
    size: u64,
    snapshot_size: u64,
}

impl Heads {
    /// Reads the heads of the first `size` entries. `root_at` returns the root of the log at a smaller size, by which a
    /// snapshot is known to belong to this log.
    ///
    /// # Errors
    /// Any I/O error of the operating system; [`io::ErrorKind::InvalidData`] if an entry is malformed.
    pub(crate) fn read(disk: &dyn Disk, size: u64, root_at: impl Fn(u64) -> io::Result<Hash>) -> io::Result<Self> {
        let mut heads = Self::default();
        if let Some((root, snapshot)) = Self::snapshot(disk)?
            && snapshot.size <= size
            && root_at(snapshot.size)? == root
        {
            heads = snapshot;
        }
        let from = heads.size;
        each_entry_since(disk, from, size, |index, entry| {
            let record = Record::decode(entry).ok_or_else(malformed)?;
            heads.add(index, &record);
            Ok(())
        })?;
        Ok(heads)
    }

    /// Takes an entry into account.
    pub(crate) fn add(&mut self, index: u64, record: &Record) {
        match record {
            Record::Head(head) => {
                self.newest.insert(head.name, (index, head.clone()));
            }
            Record::Event(event) => {
                if let What::ErasedFiles(names) | What::Pruned(names) = &event.what {
                    for name in names {
                        self.newest.remove(name);
                    }
                }
            }
        }
        self.size = index + 1;
    }

    /// Returns the newest head of a keyed name, with its index.
    pub(crate) fn newest(&self, name: &Hash) -> Option<&(u64, Head)> {
        self.newest.get(name)
    }

    /// Writes a snapshot, if the log has grown enough since the last one. `root` is the root of the log at this size.
    pub(crate) fn keep(&mut self, disk: &dyn Disk, root: &Hash) {
        let every = SNAPSHOT_EVERY.max(self.newest.len() as u64);
        if self.size < self.snapshot_size + every {
            return;
        }
        let mut bytes = Vec::new();
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(root);
        for (index, head) in self.newest.values() {
            let head = Record::Head(head.clone()).encode();
            bytes.extend(index.to_be_bytes());
            bytes.push(u8::try_from(head.len()).unwrap_or(u8::MAX));
            bytes.extend(head);
        }
        bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
        // Without a snapshot, more of the log is read next time.
        if disk.replace(&[OWN_FOLDER, SEAL_FOLDER, STATE], &bytes).is_ok() {
            self.snapshot_size = self.size;
        }
    }

    fn snapshot(disk: &dyn Disk) -> io::Result<Option<(Hash, Self)>> {
        let Some(file) = disk.open(&[OWN_FOLDER, SEAL_FOLDER, STATE])? else { return Ok(None) };
        let mut bytes = vec![0; usize::try_from(file.stat()?.len).map_err(io::Error::other)?];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(Self::decode(&bytes))
    }

    fn decode(bytes: &[u8]) -> Option<(Hash, Self)> {
        let (bytes, check) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(bytes) != u32::from_be_bytes(*check) {
            return None;
        }
        let (size, rest) = bytes.split_first_chunk::<8>()?;
        let (root, mut rest) = rest.split_first_chunk::<32>()?;
        let size = u64::from_be_bytes(*size);
        let mut heads = Self { size, snapshot_size: size, newest: HashMap::new() };
        while let Some((index, after)) = rest.split_first_chunk::<8>() {
            let (len, after) = after.split_first()?;
            let (head, after) = after.split_at_checked(usize::from(*len))?;
            let Some(Record::Head(head)) = Record::decode(head) else { return None };
            heads.newest.insert(head.name, (u64::from_be_bytes(*index), head));
            rest = after;
        }
        rest.is_empty().then_some((*root, heads))
    }
}

pub(crate) fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an entry of the log is malformed")
}
