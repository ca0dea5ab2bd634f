//! The log on disk: its entries, and the hashes of its tree as a cache beside them.
//!
//! The entries are stored one after the other, each with its length in two bytes, as in the bundles of
//! <https://c2sp.org/tlog-tiles>. The file `hashes-L` has the hashes of level L of that specification: leaf hashes at
//! level 0, and above that one hash for each 256 hashes of the level below. So a tile is a slice of a file. The caches
//! are rebuilt if they do not fit the signed root.

use std::io;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::home::OWN_FOLDER;
use crate::seal::checkpoint::Checkpoint;
use crate::seal::record::ENTRY_BYTES_MAX;
use crate::seal::tree::{Frontier, Hash, Nodes, leaf_hash, reduce, root};

/// The folder of the log below `.tooltrail/`.
pub(crate) const LOG_FOLDER: &str = "log";

/// The hashes of a full tile.
pub(crate) const TILE_HASHES: u64 = 256;

/// The bytes of a hash.
const HASH_BYTES: u64 = 32;

/// The bytes that are read at once. At least one entry must fit.
const BLOCK_BYTES: usize = 256 * 1024;

/// The bytes before an entry, which have its length.
const LENGTH_BYTES: usize = 2;

/// The log while it is written. Only the process that holds the sealer lock has one.
#[derive(Debug)]
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    frontier: Frontier,
    /// The length of the file of entries.
    len: u64,
}

/// The path of a file of the log.
fn path(name: &str) -> [&str; 3] {
    [OWN_FOLDER, LOG_FOLDER, name]
}

impl Log {
    /// Opens the log as it was at this checkpoint, and cuts off what was appended after it: nobody has seen that, because
    /// it was not signed. `None` stands for a log that has no checkpoint yet.
    ///
    /// Returns `None` if the log on disk is not the one of the checkpoint.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn open(disk: &Arc<dyn Disk>, at: Option<&Checkpoint>) -> io::Result<Option<Self>> {
        let size = at.map_or(0, |at| at.size);
        let hashes = HashFiles { disk: &**disk };
        let is_cached = match root(&hashes, size) {
            Ok(root) => at.is_none_or(|at| at.root == root),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(error),
        };
        let mut len = if is_cached { offset_of(&**disk, size)? } else { None };
        if len.is_none() {
            let Some(rebuilt) = rebuild(&**disk, size)? else { return Ok(None) };
            if at.is_some_and(|at| at.root != rebuilt.1) {
                return Ok(None);
            }
            len = Some(rebuilt.0);
        }
        let Some(len) = len else { return Ok(None) };
        let log = Self { disk: Arc::clone(disk), frontier: Frontier::of(&hashes, size)?, len };
        log.cut()?;
        Ok(Some(log))
    }

    /// Returns the number of entries.
    pub(crate) fn size(&self) -> u64 {
        self.frontier.leaves()
    }

    /// Returns the root of all entries.
    pub(crate) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Appends entries and makes them durable. After an error, the log must be opened again.
    ///
    /// What was written is read back and the root is computed from it a second time, before anybody signs it.
    ///
    /// # Errors
    /// Any I/O error of the operating system; also if what is read back is not what was written.
    pub(crate) fn append(&mut self, entries: &[Vec<u8>]) -> io::Result<()> {
        let mut text = Vec::new();
        let mut leaves = Vec::with_capacity(entries.len());
        let mut bundles = Vec::new();
        for entry in entries {
            let length = u16::try_from(entry.len()).map_err(io::Error::other)?;
            if (self.size() + leaves.len() as u64).is_multiple_of(TILE_HASHES) {
                bundles.extend((self.len + text.len() as u64).to_be_bytes());
            }
            text.extend(length.to_be_bytes());
            text.extend(entry);
            leaves.push(leaf_hash(entry));
        }
        let begin = self.size();
        let file = self.disk.append(&path("entries"))?;
        write_all(&*file, &text, self.len)?;
        append_all(&*self.disk, "bundles", &bundles)?;
        append_all(&*self.disk, "hashes-0", &leaves.concat())?;
        append_levels(&*self.disk, begin, begin + leaves.len() as u64)?;
        file.sync()?;
        let mut read_back = vec![0; text.len()];
        let read = file.read_at(&mut read_back, self.len)?;
        for leaf in &leaves {
            self.frontier.push(*leaf);
        }
        self.len += text.len() as u64;
        let second = root(&HashFiles { disk: &*self.disk }, self.size())?;
        if read != text.len() || read_back != text || second != self.root() {
            return Err(io::Error::other("the disk does not give back what was written to the log"));
        }
        Ok(())
    }

    /// Cuts the files off after the size of the log.
    fn cut(&self) -> io::Result<()> {
        let size = self.size();
        cut_file(&*self.disk, "entries", self.len)?;
        cut_file(&*self.disk, "bundles", size.div_ceil(TILE_HASHES) * 8)?;
        let mut hashes = size;
        for level in 0..8 {
            cut_file(&*self.disk, &format!("hashes-{level}"), hashes * HASH_BYTES)?;
            hashes /= TILE_HASHES;
        }
        Ok(())
    }
}

/// The hashes of a log as stored in the files of its levels.
#[derive(Debug)]
pub(crate) struct HashFiles<'a> {
    pub(crate) disk: &'a dyn Disk,
}

impl HashFiles<'_> {
    /// Reads hashes of a level.
    ///
    /// # Errors
    /// As [`Nodes::node`].
    pub(crate) fn read(&self, level: u32, from: u64, count: u64) -> io::Result<Vec<u8>> {
        let name = format!("hashes-{level}");
        let file = self.disk.open(&path(&name))?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut bytes = vec![0; usize::try_from(count * HASH_BYTES).map_err(io::Error::other)?];
        let offset = from.checked_mul(HASH_BYTES).ok_or(io::ErrorKind::UnexpectedEof)?;
        if file.read_at(&mut bytes, offset)? < bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }
}

impl Nodes for HashFiles<'_> {
    fn node(&self, height: u32, index: u64) -> io::Result<Hash> {
        let count = 1 << (height % 8);
        let from = index.checked_mul(count).ok_or(io::ErrorKind::UnexpectedEof)?;
        let bytes = self.read(height / 8, from, count)?;
        let (hashes, _) = bytes.as_chunks::<32>();
        Ok(reduce(hashes.to_vec()))
    }
}

/// Reads the first `size` entries one after the other.
///
/// # Errors
/// Any I/O error of the operating system, and what `each` returns; [`io::ErrorKind::UnexpectedEof`] if there are fewer
/// entries.
pub(crate) fn each_entry(disk: &dyn Disk, size: u64, each: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
    each_entry_from(disk, (0, 0), size, each).map(|_| ())
}

/// Like [`each_entry`], from an entry and its offset on. Returns the offset after the last one.
fn each_entry_from(
    disk: &dyn Disk,
    (mut index, mut offset): (u64, u64),
    size: u64,
    mut each: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<u64> {
    if index >= size {
        return Ok(offset);
    }
    let file = disk.open(&path("entries"))?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut block = vec![0; BLOCK_BYTES];
    let (mut at, mut filled) = (0, 0);
    while index < size {
        let entry = block[at..filled].split_first_chunk::<LENGTH_BYTES>();
        let entry = entry.and_then(|(length, rest)| rest.get(..usize::from(u16::from_be_bytes(*length))));
        let Some(entry) = entry else {
            // The rest of the block is the begin of an entry, or nothing.
            block.copy_within(at..filled, 0);
            filled -= at;
            at = 0;
            let read = file.read_at(&mut block[filled..], offset + filled as u64)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            continue;
        };
        each(index, entry)?;
        let bytes = LENGTH_BYTES + entry.len();
        (index, at, offset) = (index + 1, at + bytes, offset + bytes as u64);
    }
    Ok(offset)
}

/// Reads the entries from `from` on, up to a size.
///
/// # Errors
/// As [`each_entry`].
pub(crate) fn each_entry_since(
    disk: &dyn Disk,
    from: u64,
    size: u64,
    mut each: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let bundle = from - from % TILE_HASHES;
    let begin = bundle_offset(disk, bundle / TILE_HASHES)?.map_or((0, 0), |offset| (bundle, offset));
    let each = |index, entry: &[u8]| if index >= from { each(index, entry) } else { Ok(()) };
    each_entry_from(disk, begin, size, each).map(|_| ())
}

/// Returns an entry.
///
/// # Errors
/// As [`each_entry`].
pub(crate) fn entry(disk: &dyn Disk, index: u64) -> io::Result<Vec<u8>> {
    let mut found = Vec::new();
    each_entry_since(disk, index, index + 1, |_, entry| {
        found = entry.to_vec();
        Ok(())
    })?;
    Ok(found)
}

/// Returns the bytes of a bundle of entries: `count` entries from number `index` · 256 on.
///
/// # Errors
/// As [`each_entry`].
pub(crate) fn bundle(disk: &dyn Disk, index: u64, count: u64) -> io::Result<Vec<u8>> {
    let from = index.checked_mul(TILE_HASHES).ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut bytes = Vec::new();
    each_entry_since(disk, from, from + count, |_, entry| {
        bytes.extend(u16::try_from(entry.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(entry);
        Ok(())
    })?;
    Ok(bytes)
}

/// Returns the offset of a bundle, from the cache.
fn bundle_offset(disk: &dyn Disk, bundle: u64) -> io::Result<Option<u64>> {
    let Some(file) = disk.open(&path("bundles"))? else { return Ok(None) };
    let mut bytes = [0; 8];
    let read = file.read_at(&mut bytes, bundle * 8)?;
    Ok((read == 8).then(|| u64::from_be_bytes(bytes)))
}

/// Returns the offset after the first `size` entries, `None` if there are fewer or the cache does not know.
fn offset_of(disk: &dyn Disk, size: u64) -> io::Result<Option<u64>> {
    if size == 0 {
        return Ok(Some(0));
    }
    let last = size - 1;
    let Some(offset) = bundle_offset(disk, last / TILE_HASHES)? else { return Ok(None) };
    let begin = (last - last % TILE_HASHES, offset);
    match each_entry_from(disk, begin, size, |_, _| Ok(())) {
        Ok(offset) => Ok(Some(offset)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the caches anew from the first `size` entries. Returns the offset after them and their root; `None` if there
/// are fewer entries.
fn rebuild(disk: &dyn Disk, size: u64) -> io::Result<Option<(u64, Hash)>> {
    cut_file(disk, "bundles", 0)?;
    for level in 0..8 {
        cut_file(disk, &format!("hashes-{level}"), 0)?;
    }
    let (mut leaves, mut bundles, mut offset, mut written) = (Vec::new(), Vec::new(), 0_u64, 0);
    let read = each_entry(disk, size, |index, entry| {
        if index.is_multiple_of(TILE_HASHES) {
            bundles.extend(offset.to_be_bytes());
        }
        offset += (LENGTH_BYTES + entry.len()) as u64;
        leaves.extend(leaf_hash(entry));
        if leaves.len() >= BLOCK_BYTES {
            append_all(disk, "hashes-0", &leaves)?;
            append_levels(disk, written, index + 1)?;
            (written, leaves) = (index + 1, Vec::new());
        }
        Ok(())
    });
    match read {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    append_all(disk, "bundles", &bundles)?;
    append_all(disk, "hashes-0", &leaves)?;
    append_levels(disk, written, size)?;
    Ok(Some((offset, root(&HashFiles { disk }, size)?)))
}

/// Appends the hashes above level 0 that become complete when the log grows from `old` to `new` entries.
fn append_levels(disk: &dyn Disk, old: u64, new: u64) -> io::Result<()> {
    let (mut from, mut to) = (old / TILE_HASHES, new / TILE_HASHES);
    let hashes = HashFiles { disk };
    for level in 1..8 {
        if from == to {
            break;
        }
        let mut bytes = Vec::new();
        for index in from..to {
            let below = hashes.read(level - 1, index * TILE_HASHES, TILE_HASHES)?;
            bytes.extend(reduce(below.as_chunks::<32>().0.to_vec()));
        }
        append_all(disk, &format!("hashes-{level}"), &bytes)?;
        (from, to) = (from / TILE_HASHES, to / TILE_HASHES);
    }
    Ok(())
}

fn append_all(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let file = disk.append(&path(name))?;
    let len = file.stat()?.len;
    write_all(&*file, bytes, len)
}

/// Appends all bytes; they must land at `offset`.
fn write_all(file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        let landed = file.append(&bytes[written..])?;
        if landed.taken == 0 || landed.start() != offset + written as u64 {
            return Err(io::Error::other("another process writes the log"));
        }
        written += landed.taken;
    }
    Ok(())
}

fn cut_file(disk: &dyn Disk, name: &str, len: u64) -> io::Result<()> {
    let path = path(name);
    match disk.open(&path)? {
        Some(file) if file.stat()?.len > len => disk.write(&path)?.cut(len),
        _ => Ok(()),
    }
}

const _: () = assert!(BLOCK_BYTES > LENGTH_BYTES + ENTRY_BYTES_MAX, "a block holds an entry");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    fn entries(from: u64, to: u64) -> Vec<Vec<u8>> {
        (from..to).map(|n| vec![b'x'; usize::try_from(n % 300).unwrap()]).collect()
    }

    #[test]
    fn a_log_is_the_same_after_it_is_opened_again_and_its_caches_are_lost() {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path(), false).unwrap());
        let mut log = Log::open(&disk, None).unwrap().unwrap();
        let mut leaves = Vec::new();
        for (from, to) in [(0, 1), (1, 255), (255, 256), (256, 257), (257, 70_000), (70_000, 70_001)] {
            log.append(&entries(from, to)).unwrap();
            leaves.extend(entries(from, to).iter().map(|entry| leaf_hash(entry)));
            assert_eq!((log.size(), log.root()), (to, root(&leaves, to).unwrap()));
        }
        assert_eq!(HashFiles { disk: &*disk }.read(2, 0, 1).unwrap(), root(&leaves, 65_536).unwrap());
        let at = Checkpoint { origin: "a".to_owned(), size: log.size(), root: log.root() };
        log.append(&entries(70_001, 70_300)).unwrap();
        let len = log.len;
        let own = folder.path().join(".tooltrail/log");
        for lost in ["", "bundles", "hashes-0", "hashes-1", "hashes-2"] {
            if !lost.is_empty() {
                std::fs::remove_file(own.join(lost)).unwrap();
            }
            let again = Log::open(&disk, Some(&at)).unwrap().unwrap();
            assert_eq!((again.size(), again.root()), (at.size, at.root), "{lost}");
            assert!(again.len < len);
            assert_eq!(entry(&*disk, 70_000).unwrap().len(), 70_000 % 300);
            assert_eq!(bundle(&*disk, 1, 2).unwrap().len(), 2 + 256 + 2 + 257);
        }
        let other = Checkpoint { root: [0; 32], ..at.clone() };
        assert!(Log::open(&disk, Some(&other)).unwrap().is_none());
        let larger = Checkpoint { size: at.size + 1, ..at };
        assert!(Log::open(&disk, Some(&larger)).unwrap().is_none());
    }
}
