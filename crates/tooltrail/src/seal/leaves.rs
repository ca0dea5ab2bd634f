//! The leaves of a day file's tree: how they are read from the file, and how they are kept as a cache.

use std::io;

use crate::clock::Date;
use crate::disk::{Disk, DiskFile};
use crate::home::OWN_FOLDER;
use crate::seal::record::Tree;
use crate::seal::tree::{Frontier, Hash, leaf_hash};
use sha2::{Digest as _, Sha256};

/// The folder of cached leaves below `.tooltrail/`.
pub(crate) const SEAL_FOLDER: &str = "seal";

/// The bytes of a day file that are read at once: few system calls, and still in the processor's cache.
const BLOCK_BYTES: usize = 256 * 1024;

/// The bytes of cached leaves that are read at once.
const LEAVES_BYTES: usize = 64 * 1024;

/// A line while a file is read forwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    pub(crate) hash: Hash,
    /// The offset after the newline.
    pub(crate) end: u64,
    /// Whether the line has at least one byte and only spaces.
    pub(crate) is_spaces: bool,
}

/// Reads the whole lines of a file between two offsets. The first must be the begin of a line. Returns the offset after
/// the last line.
///
/// # Errors
/// Any I/O error of the operating system, and what `each` returns.
pub(crate) fn each_line(
    file: &dyn DiskFile,
    from: u64,
    to: u64,
    mut each: impl FnMut(Leaf) -> io::Result<()>,
) -> io::Result<u64> {
    let len = usize::try_from(to.saturating_sub(from)).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
    let mut block = vec![0; len];
    let (mut offset, mut end) = (from, from);
    // A line that began in an earlier block.
    let mut open: Option<(Sha256, bool)> = None;
    while offset < to {
        let want = usize::try_from(to - offset).unwrap_or(len).min(len);
        let read = file.read_at(&mut block[..want], offset)?;
        if read == 0 {
            break;
        }
        let mut begin = 0;
        for newline in memchr::memchr_iter(b'\n', &block[..read]) {
            let part = &block[begin..newline];
            let (hash, is_spaces) = match open.take() {
                None => (leaf_hash(part), !part.is_empty() && only_spaces(part)),
                Some((hash, spaces)) => (hash.chain_update(part).finalize().into(), spaces && only_spaces(part)),
            };
            begin = newline + 1;
            end = offset + begin as u64;
            each(Leaf { hash, end, is_spaces })?;
        }
        let rest = &block[begin..read];
        if !rest.is_empty() {
            let (hash, spaces) = open.take().unwrap_or_else(|| (Sha256::new().chain_update([0]), true));
            open = Some((hash.chain_update(rest), spaces && only_spaces(rest)));
        }
        offset += read as u64;
    }
    Ok(end)
}

fn only_spaces(part: &[u8]) -> bool {
    // Nearly every line begins with another byte.
    part.first().is_none_or(|first| *first == b' ') && part.iter().all(|byte| *byte == b' ')
}

/// The cached leaves of one tree.
#[derive(Debug)]
pub(crate) struct LeafCache<'a> {
    disk: &'a dyn Disk,
    folder: &'a str,
    name: String,
}

impl<'a> LeafCache<'a> {
    pub(crate) fn new(disk: &'a dyn Disk, folder: &'a str, date: Date, tree: Tree) -> Self {
        let name = tree.broken.map_or_else(|| date.to_string(), |broken| format!("{date}.{broken}"));
        Self { disk, folder, name }
    }

    fn path(&self) -> [&str; 4] {
        [OWN_FOLDER, SEAL_FOLDER, self.folder, &self.name]
    }

    /// Reads the first `count` leaves; `None` if the cache has fewer.
    ///
    /// # Errors
    /// Any I/O error of the operating system, and what `each` returns.
    pub(crate) fn each(&self, count: u64, mut each: impl FnMut(Hash) -> io::Result<()>) -> io::Result<Option<()>> {
        if count == 0 {
            return Ok(Some(()));
        }
        let Some(file) = self.disk.open(&self.path())? else { return Ok(None) };
        let mut block = vec![0; LEAVES_BYTES];
        let (mut offset, end) = (0, count.saturating_mul(32));
        if file.stat()?.len < end {
            return Ok(None);
        }
        while offset < end {
            let want = usize::try_from(end - offset).unwrap_or(LEAVES_BYTES).min(LEAVES_BYTES);
            let read = file.read_at(&mut block[..want], offset)?;
            if read < want {
                return Ok(None);
            }
            block[..read].as_chunks::<32>().0.iter().try_for_each(|leaf| each(*leaf))?;
            offset += read as u64;
        }
        Ok(Some(()))
    }

    /// Returns the frontier of the first `count` leaves and the last of them; `None` if the cache has fewer.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn frontier(&self, count: u64) -> io::Result<Option<(Frontier, Option<Hash>)>> {
        let (mut frontier, mut last) = (Frontier::default(), None);
        let read = self.each(count, |leaf| {
            frontier.push(leaf);
            last = Some(leaf);
            Ok(())
        })?;
        Ok(read.map(|()| (frontier, last)))
    }

    /// Writes leaves from number `from` on, and removes what stood there before.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn write(&self, from: u64, leaves: &[Hash]) -> io::Result<()> {
        let file = self.disk.write(&self.path())?;
        let mut offset = from * 32;
        if file.stat()?.len > offset {
            file.cut(offset)?;
        }
        let bytes = leaves.concat();
        let mut written = 0;
        while written < bytes.len() {
            match file.write_at(&bytes[written..], offset)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                taken => (written, offset) = (written + taken, offset + taken as u64),
            }
        }
        Ok(())
    }
}

/// Removes the cached leaves of all trees of a day file, because the file is removed.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn remove_caches(disk: &dyn Disk, folder: &str, date: Date) -> io::Result<()> {
    let begin = date.to_string();
    for cache in disk.list(&[OWN_FOLDER, SEAL_FOLDER, folder])?.iter().filter(|cache| cache.name.starts_with(&begin)) {
        disk.remove(&[OWN_FOLDER, SEAL_FOLDER, folder, &cache.name])?;
    }
    Ok(())
}
