//! Extends the tree of one day file by its new lines.

use std::collections::{BTreeMap, HashMap};
use std::io;

use crate::clock::Date;
use crate::disk::{Disk, DiskFile};
use crate::home::{TRAIL_FOLDER, day_name};
use crate::seal::heads::malformed;
use crate::seal::leaves::{LeafCache, each_line};
use crate::seal::log::{each_entry, entry};
use crate::seal::record::{ErasedLine, Head, Record, Tree, What};
use crate::seal::tree::{Frontier, Hash};

/// The most bytes of a file that are read for one head, so that one huge file holds up the others for a fraction of a
/// second only. The rest follows in the next round.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The most files whose frontiers are remembered between rounds.
const REMEMBERED_MAX: usize = 4_096;

/// The frontiers of files that this process has sealed, so that their cached leaves need not be read again.
#[derive(Debug, Default)]
pub(crate) struct Remembered(HashMap<Hash, Known>);

#[derive(Clone, Debug)]
struct Known {
    frontier: Frontier,
    /// The hash of the last sealed line as it stands in the file now.
    last: Option<Hash>,
}

/// A day file and what is known of it in the log.
#[derive(Debug)]
pub(crate) struct Growing<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) folder: &'a str,
    pub(crate) date: Date,
    pub(crate) name: Hash,
    /// The newest head, with its index.
    pub(crate) newest: Option<&'a (u64, Head)>,
    /// The size of the log.
    pub(crate) log_size: u64,
}

/// What sealing a file resulted in.
#[derive(Debug, Default)]
pub(crate) struct Grown {
    /// The new head, if there are new lines. Its time is not set yet.
    pub(crate) head: Option<Head>,
    /// The number of new lines.
    pub(crate) lines: u64,
    /// The index of the head that does not match the file any more.
    pub(crate) broken: Option<u64>,
    /// Whether more lines wait than were read.
    pub(crate) has_more: bool,
}

impl Growing<'_> {
    /// Reads the new lines below `upto` and returns the head that covers them. `is_due` says whether a number of new
    /// lines is worth a head now.
    ///
    /// # Errors
    /// Any I/O error of the operating system.
    pub(crate) fn grow(
        &self,
        remembered: &mut Remembered,
        upto: u64,
        is_due: impl Fn(u64) -> bool,
    ) -> io::Result<Grown> {
        let path = [self.folder, TRAIL_FOLDER, &day_name(self.date)];
        let Some(file) = self.disk.open(&path)? else { return Ok(Grown::default()) };
        let len = file.stat()?.len;
        let mut grown = Grown::default();
        let (tree, known, from) = match self.newest {
            None => (Tree::default(), Known { frontier: Frontier::default(), last: None }, 0),
            Some((index, head)) => match self.matching(remembered, &*file, len, head)? {
                Some(known) => (head.tree, known, head.bytes),
                None => {
                    grown.broken = Some(*index);
                    let tree = next_tree(&*file, len, *index, head)?;
                    (tree, Known { frontier: Frontier::default(), last: None }, tree.first_byte)
                }
            },
        };
        let upto = upto.min(len);
        let (mut leaves, mut end, mut bytes_max) = (Vec::new(), from, BYTES_MAX);
        while end == from && from < upto {
            let to = upto.min(from.saturating_add(bytes_max));
            end = each_line(&*file, from, to, |leaf| {
                leaves.push(leaf.hash);
                Ok(())
            })?;
            grown.has_more = to < upto;
            if to == upto {
                break;
            }
            // A line of more than 64 MiB, which somebody else has written.
            bytes_max = bytes_max.saturating_mul(2);
        }
        grown.lines = leaves.len() as u64;
        if leaves.is_empty() || !is_due(grown.lines) {
            return Ok(grown);
        }
        let second = known.frontier.root_with(&leaves);
        let mut frontier = known.frontier;
        let before = frontier.leaves();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        if frontier.root() != second {
            return Err(io::Error::other("two ways to compute the root of a day file differ"));
        }
        LeafCache::new(self.disk, self.folder, self.date, tree).write(before, &leaves)?;
        let (root, entries) = (second, frontier.leaves());
        remembered.insert(self.name, Known { frontier, last: leaves.last().copied() });
        let prev = self.newest.map(|(index, _)| *index);
        grown.head = Some(Head { name: self.name, root, entries, bytes: end, prev, at: 0, is_adopted: false, tree });
        Ok(grown)
    }

    /// Returns the index of the first head of the newest head's tree.
    fn tree_begin(&self, head: &Head) -> io::Result<u64> {
        first_head(self.disk, self.newest.map_or(0, |(index, _)| *index), head)
    }

    /// Returns the frontier of the newest head, if the file still matches it as far as can be seen without reading all of
    /// it.
    fn matching(
        &self,
        remembered: &mut Remembered,
        file: &dyn DiskFile,
        len: u64,
        head: &Head,
    ) -> io::Result<Option<Known>> {
        if len < head.bytes {
            return Ok(None);
        }
        let last = last_line(file, head)?;
        let fits = |known: &Known| {
            known.frontier.leaves() == head.entries && known.frontier.root() == head.root && known.last == last
        };
        if let Some(known) = remembered.0.get(&self.name).filter(|known| fits(known)) {
            return Ok(Some(known.clone()));
        }
        let cache = LeafCache::new(self.disk, self.folder, self.date, head.tree);
        let cached = cache.frontier(head.entries)?.map(|(frontier, last)| Known { frontier, last });
        if let Some(known) = cached.filter(fits) {
            return Ok(Some(known));
        }
        // The cache is lost, or the last line was erased, or somebody has changed the file: only the file can tell.
        let erased = erased_lines(self.disk, self.log_size, |name| *name == self.name)?;
        let erased = erased.of_tree(&self.name, self.tree_begin(head)?);
        let (mut leaves, mut line) = (Vec::new(), head.tree.first_line);
        let end = each_line(file, head.tree.first_byte, head.bytes, |leaf| {
            leaves.push(
                erased.get(&line).filter(|erased| erased.new == leaf.hash).map_or(leaf.hash, |erased| erased.old),
            );
            line += 1;
            Ok(())
        })?;
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        if end != head.bytes || frontier.leaves() != head.entries || frontier.root() != head.root {
            return Ok(None);
        }
        cache.write(0, &leaves)?;
        let known = Known { frontier, last };
        remembered.insert(self.name, known.clone());
        Ok(Some(known))
    }
}

impl Remembered {
    fn insert(&mut self, name: Hash, known: Known) {
        if self.0.len() >= REMEMBERED_MAX {
            self.0.clear();
        }
        self.0.insert(name, known);
    }

    /// Forgets a file, because its head was not signed.
    pub(crate) fn forget(&mut self, name: &Hash) {
        self.0.remove(name);
    }
}

/// Returns the index of the first head of a head's tree.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn first_head(disk: &dyn Disk, mut index: u64, head: &Head) -> io::Result<u64> {
    let (tree, mut prev) = (head.tree, head.prev);
    while let Some(before) = prev.filter(|before| Some(*before) != tree.broken) {
        let Some(Record::Head(head)) = Record::decode(&entry(disk, before)?) else { return Err(malformed()) };
        if head.tree != tree {
            break;
        }
        (index, prev) = (before, head.prev);
    }
    Ok(index)
}

/// The erased lines of files, by keyed name and line, each with the index of its record.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErasedLines(BTreeMap<(Hash, u64), Vec<(u64, ErasedLine)>>);

/// What a line was and what it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replaced {
    pub(crate) old: Hash,
    pub(crate) new: Hash,
}

impl ErasedLines {
    /// Adds an erased line of the record with this index.
    pub(crate) fn add(&mut self, index: u64, line: ErasedLine) {
        self.0.entry((line.name, line.line)).or_default().push((index, line));
    }

    /// Returns the lines of a file that were erased after the first head of a tree, because a later tree was made from the
    /// new lines. If several records name one line, the first one's old leaf and the last one's new leaf count.
    pub(crate) fn of_tree(&self, name: &Hash, first_head: u64) -> BTreeMap<u64, Replaced> {
        let of_file = self.0.range((*name, 0)..=(*name, u64::MAX));
        let replaced = of_file.filter_map(|((_, line), records)| {
            let mut records = records.iter().filter(|(index, _)| *index > first_head).map(|(_, line)| line);
            let first = records.next()?;
            Some((*line, Replaced { old: first.old, new: records.next_back().unwrap_or(first).new }))
        });
        replaced.collect()
    }
}

/// Gathers the erased lines of the files that `is_wanted` chooses from the first `size` entries of the log.
///
/// # Errors
/// Any I/O error of the operating system.
pub(crate) fn erased_lines(disk: &dyn Disk, size: u64, is_wanted: impl Fn(&Hash) -> bool) -> io::Result<ErasedLines> {
    let mut erased = ErasedLines::default();
    each_entry(disk, size, |index, entry| {
        if entry.first() == Some(&b'{') {
            let Record::Event(event) = Record::decode(entry).ok_or_else(malformed)? else { return Ok(()) };
            if let What::ErasedLines(lines) = event.what {
                lines.into_iter().filter(|line| is_wanted(&line.name)).for_each(|line| erased.add(index, line));
            }
        }
        Ok(())
    })?;
    Ok(erased)
}

/// Returns the hash of the last line that a head covers, as it stands in the file now; `None` if the head covers nothing
/// or no line ends there.
fn last_line(file: &dyn DiskFile, head: &Head) -> io::Result<Option<Hash>> {
    if head.bytes == head.tree.first_byte {
        return Ok(None);
    }
    let begin = crate::day::last_line(file, head.bytes - 1)?.max(head.tree.first_byte);
    let mut last = None;
    each_line(file, begin, head.bytes, |leaf| {
        last = (leaf.end == head.bytes).then_some(leaf.hash);
        Ok(())
    })?;
    Ok(last)
}

/// Returns where a new tree begins after a head that the file does not match any more.
fn next_tree(file: &dyn DiskFile, len: u64, index: u64, head: &Head) -> io::Result<Tree> {
    let mut newline = [b'\n'];
    if head.bytes > 0 && len >= head.bytes {
        file.read_at(&mut newline, head.bytes - 1)?;
    }
    let goes_on = len >= head.bytes && newline == [b'\n'];
    Ok(Tree {
        first_line: if goes_on { head.tree.first_line + head.entries } else { 0 },
        first_byte: if goes_on { head.bytes } else { 0 },
        broken: Some(index),
    })
}
